"""`conformance judge`: judges the saved traces of a run again, without its machine."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

from conformance.cli.verb import FOUND, console

if TYPE_CHECKING:
    from rich.text import Text

    from conformance.reports.events import Judged

NAME = "judge"
HELP = "judge the traces of a run again"
DESCRIPTION = """\
Judges the traces that a run saved, with the judge, the rules and the known deviations of now. No
kernel is booted. Says which verdicts are not what they were.
"""
EPILOG = """\
examples:
  conformance judge                                      the last run
  conformance judge ~/runs/before-the-patch              the run in that directory
  conformance judge --profile strict                     as another profile would
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument(
        "run", metavar="RUN", nargs="?", help="the directory of a run, or its traces.jsonl; by default the last run"
    )
    parser.add_argument("--profile", metavar="NAME", help="stock or strict; by default the run's own")
    parser.add_argument("-q", "--quiet", action="store_true", help="only what changed, and the summary")
    parser.add_argument("--explain", metavar="TRIAL", help="explain the verdict of one trial, whatever it is")


def run(given: argparse.Namespace) -> int:
    """Judges each trace, and prints what a run prints at its end."""
    from conformance.reports.events import Finished, Started
    from conformance.reports.state import RunState
    from conformance.reports.summary import print_summary
    from conformance.reports.words import short_path
    from conformance.runner.again import judge_again
    from conformance.runner.rundir import find_run

    directory = find_run(given.run)
    again = judge_again(directory, given.profile)
    out = console()
    if given.explain:
        out.print(again.explain(given.explain, out.width))
        return 0
    for change in again.changes:
        out.print(f"changed: {change}", markup=False, soft_wrap=True)
    state = RunState({})
    plan, now = again.plan, time.time()
    started = Started(
        now, again.suite, plan.settings.kernel, plan.hello.release, plan.settings.machine, (), len(again.judged), 1,
        again.profile, plan.image.provenance, (),
    )  # fmt: skip
    state.take([started, *plan.not_run, *again.judged, Finished(time.time())])

    def explained(event: Judged, width: int) -> Text:
        return again.styled(event, width)

    print_summary(out, state, explained, short_path(directory.path))
    return FOUND if any(event.red for event in again.judged) else 0
