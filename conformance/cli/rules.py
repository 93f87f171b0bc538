"""`conformance rules`: the rules, with how many cases test each."""

from __future__ import annotations

import argparse
from collections import Counter

from conformance.cli.verb import cases_argument, console, plain_table
from conformance.errors import UsageError, unknown_name

NAME = "rules"
HELP = "list the rules"
DESCRIPTION = "Lists the rules: level, who promises it, how many cases test it, and its sentence."
EPILOG = """\
examples:
  conformance rules                 all of them
  conformance rules 'COOKIE-*'      some
  conformance rules --untested      those that no case tests, with the reason
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument("patterns", metavar="ID", nargs="*", help="only rules with this id, * stands for anything")
    parser.add_argument("--untested", action="store_true", help="only rules that no case tests")
    cases_argument(parser)


def run(given: argparse.Namespace) -> int:
    """Prints the table."""
    from rich.text import Text

    from conformance.corpus import load
    from conformance.corpus.known import matches
    from conformance.runner.planning import corpus_roots

    corpus = load(corpus_roots(given.cases)).require()
    for pattern in given.patterns:
        if not any(matches(pattern, rule) for rule in corpus.rules):
            near = unknown_name("rule", pattern, corpus.rules).partition(" What exists")[0]
            raise UsageError(f"{near} `conformance rules` lists them.")
    tested = Counter(case.head.rule for case in corpus.cases.values())
    table = plain_table("rule", "level", "promise", "cases", "sentence")
    for rule in corpus.rules.values():
        if given.patterns and not any(matches(pattern, rule.id) for pattern in given.patterns):
            continue
        if given.untested and tested[rule.id]:
            continue
        sentence = Text(rule.sentence)
        if rule.untested:
            sentence.append(f" Untested: {rule.untested}", "dim")
        table.add_row(rule.id, rule.level, rule.promise, str(tested[rule.id]), sentence)
    console().print(table)
    return 0
