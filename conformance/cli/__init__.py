"""The `conformance` command: one verb a module, each with its arguments, its help and what it does.

Exit statuses: 0 all is well; 1 something was found (problems of a corpus, verdicts that make a run
red); 2 the command could not do what it was asked.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from conformance import __version__
from conformance.cli import explain, findings, judge, lint, listing, rules
from conformance.cli.verb import COULD_NOT, Verb
from conformance.errors import ConformanceError

VERBS: tuple[Verb, ...] = (listing, explain, rules, findings, judge, lint)

_EPILOG = """\
to judge a kernel:
  pytest --fs=ext4                          every case that ext4 offers the calls for
  pytest --fs=ext4,xfs:rmapbt0 -m quick     the quick set on two file systems
  pytest --fs=xfs --rule 'COOKIE-*' -n 4    some rules, four guests at a time
  pytest --help                             all options, under "conformance"

to look around:
  conformance list --fs=xfs                 the trials that would run
  conformance explain COOKIE-2              what a rule says, where it comes from, what tests it
  conformance findings                      what stock kernels are known to do wrong

exit statuses: 0 all is well, 1 something was found, 2 it could not be done
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a verb; its exit status."""
    given = parser().parse_args(arguments)
    verb: Verb = given.verb
    try:
        status = verb.run(given)
        sys.stdout.flush()
        return status
    except ConformanceError as error:
        print(f"conformance: {error}", file=sys.stderr)
        return COULD_NOT
    except BrokenPipeError:  # the reader, `head` for example, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return COULD_NOT
    except KeyboardInterrupt:
        return 130


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command."""
    formatter = argparse.RawDescriptionHelpFormatter
    whole = argparse.ArgumentParser(
        prog="conformance",
        description="Looks into the conformance suite for extent moves, extent swaps and swapfiles. Pytest runs it.",
        epilog=_EPILOG,
        formatter_class=formatter,
    )
    whole.add_argument("--version", action="version", version=f"conformance {__version__}")
    verbs = whole.add_subparsers(title="verbs", metavar="VERB", required=True)
    for verb in VERBS:
        one = verbs.add_parser(
            verb.NAME, help=verb.HELP, description=verb.DESCRIPTION, epilog=verb.EPILOG, formatter_class=formatter
        )
        verb.arguments(one)
        one.set_defaults(verb=verb)
    return whole
