"""`conformance list`: the trials that a run would have, and why others are not applicable."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from conformance.cli.verb import cases_argument

if TYPE_CHECKING:
    from conformance.corpus import Variant

NAME = "list"
HELP = "list the trials of a file system"
DESCRIPTION = """\
Lists the trials that `pytest --fs=...` would run, by their names, which are stable. Which trials
are applicable depends on the kernel: one that was never booted before is booted to ask it.
"""
EPILOG = """\
examples:
  conformance list --fs=ext4,xfs:rmapbt0
  conformance list --fs=xfs --rule 'COOKIE-*' move/cookie
  conformance list --fs=btrfs --reasons         and what is not applicable to it, with the reason
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    add = parser.add_argument
    add("--fs", metavar="NAME[:VARIANT],...", required=True, help="file systems, as in ext4,xfs:rmapbt0,./ours.toml")
    add("paths", metavar="PATH", nargs="*", help="only these cases: a file, a folder, the name of a case or trial")
    add("--kernel", metavar="NAME", help="kernel: a name that the suite knows, or the path of a kernel file")
    add(
        "--rule",
        metavar="ID,...",
        action="append",
        default=[],
        help="only trials of these rules, * stands for anything",
    )
    add("--tag", metavar="TAG,...", action="append", default=[], help="only trials with one of these tags")
    add("--reasons", action="store_true", help="also what is not applicable, with the reason")
    cases_argument(parser)


def run(given: argparse.Namespace) -> int:
    """Prints a name a line; how many there are goes to standard error."""
    from conformance.runner.planning import corpus_roots, kernel_for, wanted
    from conformance.runner.settings import Selection, make_settings

    settings = make_settings(
        fs=given.fs, kernel=given.kernel, machine=None, profile="stock", time_scale=1.0, repeat=None, until_fail=False,
        cases=given.cases,
    )  # fmt: skip

    def ask(variants: tuple[Variant, ...]) -> str:
        return kernel_for(settings, variants, _progress)[1].release

    selection = Selection(_words(given.rule), _words(given.tag), tuple(given.paths))
    found = wanted(settings, corpus_roots(given.cases), selection, lambda _name, _marks: True, ask)
    for item in found.planned:
        print(item.name)
    if given.reasons:
        for refused in found.not_run:
            print(f"{refused.name}  not applicable: {refused.reason}")
    print(f"{len(found.planned)} trials, {len(found.not_run)} not applicable", file=sys.stderr)
    return 0


def _words(options: list[str]) -> tuple[str, ...]:
    return tuple(word.strip() for option in options for word in option.split(",") if word.strip())


def _progress(what: str) -> None:
    print(f"conformance: {what}", file=sys.stderr)
