"""`conformance lint`: checks a corpus for everything that is wrong, and everything that is there for nothing."""

from __future__ import annotations

import argparse
from pathlib import Path

from conformance.cli.verb import FOUND
from conformance.errors import UsageError

NAME = "lint"
HELP = "check rules, cases, targets and known deviations"
DESCRIPTION = """\
Checks a corpus: its syntax, words that do not exist, ids and titles that are used twice, rules
without a case and cases without a rule, matrix values that nothing uses, races without a witness,
known deviations that speak of nothing. Every trial of every case is built, for every target.
"""
EPILOG = """\
examples:
  conformance lint              the suite's own corpus
  conformance lint ./ours       a folder of one's own, which may use the suite's rules and targets
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument(
        "folders", metavar="DIR", nargs="*", help="a folder with cases, rules, targets, known deviations"
    )


def run(given: argparse.Namespace) -> int:
    """Prints one line for each problem."""
    from conformance.corpus import load
    from conformance.corpus.lint import lint
    from conformance.runner.planning import corpus_roots

    own = corpus_roots()[0]
    for name in given.folders:
        if not Path(name).is_dir():
            raise UsageError(f"{name}: expected a folder with cases, found none.")
    more = [Path(name) for name in given.folders if Path(name).resolve() != own.resolve()]
    corpus = load([own, *more])
    problems = lint(corpus)
    for problem in problems:
        print(problem)
    counted = f"{len(corpus.rules)} rules, {len(corpus.cases)} cases, {len(corpus.targets)} targets"
    print(
        f"{counted}: {len(problems)} problem{'' if len(problems) == 1 else 's'}"
        if problems
        else f"{counted}: all is well"
    )
    return FOUND if problems else 0
