"""`conformance findings`: the known deviations of stock kernels, with their evidence."""

from __future__ import annotations

import argparse

from conformance.cli.verb import cases_argument, console

NAME = "findings"
HELP = "list the known deviations of stock kernels"
DESCRIPTION = """\
Lists what stock kernels are known to do wrong: the rule, the kernels, how often it shows, what was
seen, why it happens, and the trials that show it. A run is green with these, and red with any other.
"""
EPILOG = """\
examples:
  conformance findings              all of them
  conformance findings --long       with evidence, control and trials
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument("--long", action="store_true", help="with the evidence, the control and the trials")
    cases_argument(parser)


def run(given: argparse.Namespace) -> int:
    """Prints the deviations."""
    from rich.table import Table
    from rich.text import Text

    from conformance.corpus import load
    from conformance.runner.planning import corpus_roots

    corpus = load(corpus_roots(given.cases)).require()
    entries = sorted(corpus.known.entries, key=lambda entry: (entry.rule, entry.id))
    out = console()
    for number, entry in enumerate(entries):
        if number:
            out.print()
        rate = "always" if entry.rate is None else f"in {entry.rate:.0%} of the runs"
        where = f" on {entry.machine}" if entry.machine else ""
        out.print(Text.assemble((entry.id, "bold"), f"  {entry.verdict}, {rate}; kernels {entry.range}{where}"))
        table = Table.grid(padding=(0, 2))
        table.add_column(no_wrap=True)
        table.add_column()
        facts = [("rule", f"{entry.rule}: {corpus.rules[entry.rule].sentence}"), ("reason", entry.reason)]
        if given.long:
            facts += [
                ("findings", ", ".join(entry.findings)),
                ("evidence", entry.evidence),
                ("trials", "\n".join(entry.trials)),
                ("control", "\n".join(entry.control)),
                ("since", entry.since),
                ("written in", entry.where),
            ]
        for label, text in facts:
            if text:
                shown = text if label in ("trials", "control") else " ".join(text.split())
                table.add_row(Text(f"  {label}", "dim"), Text(shown))
        out.print(table)
    out.print(
        f"\n{len(entries)} known deviation{'' if len(entries) == 1 else 's'}" if entries else "No deviation is known."
    )
    return 0
