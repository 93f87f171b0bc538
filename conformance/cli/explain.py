"""`conformance explain`: what is known of a rule, a case, a call, a file system or a word of the case format."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING

from conformance.cli.verb import cases_argument, console

if TYPE_CHECKING:
    from rich.console import RenderableType

    from conformance.corpus.explain import Explanation

NAME = "explain"
HELP = "what a rule says, where it comes from, what tests it; or a case, a call, a word"
DESCRIPTION = "Tells what is known of a rule, a case, a trial, a call, a file system, or a word of the case format."
EPILOG = """\
examples:
  conformance explain COOKIE-2                             a rule: its sentence, sources, cases
  conformance explain move/cookie/write_after_snapshot     a case; the last part of its name is enough
  conformance explain exchange                             a call that cases can make, with its fields
  conformance explain delalloc                             a word of the case format
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument(
        "names", metavar="NAME", nargs="+", help="the id of a rule, the name of a case or trial, a word"
    )
    cases_argument(parser)


def run(given: argparse.Namespace) -> int:
    """Prints all that is known of each name."""
    from conformance.corpus import load
    from conformance.corpus.explain import explain
    from conformance.runner.planning import corpus_roots

    corpus = load(corpus_roots(given.cases)).require()
    found = [explanation for name in given.names for explanation in explain(corpus, name)]
    out = console()
    for number, explanation in enumerate(found):
        if number:
            out.print()
        for part in _parts(explanation):
            out.print(part)
    return 0


def _parts(explanation: Explanation) -> Iterator[RenderableType]:
    from rich.markdown import Markdown
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    yield Text.assemble((explanation.name, "bold"), f"  ({explanation.kind})")
    if explanation.markdown:
        yield Markdown(explanation.markdown)
    else:
        yield Padding(Text(explanation.sentence), (0, 0, 0, 2))
    if explanation.facts:
        table = Table.grid(padding=(0, 2))
        table.add_column(no_wrap=True)
        table.add_column()
        for label, text in explanation.facts:
            table.add_row(Text(f"  {label}", "dim"), Text(text))
        yield table
    if explanation.cases:
        yield Text("  cases", "dim")
        yield from (Text(f"    {name}") for name in explanation.cases)
