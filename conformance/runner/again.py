"""Judges a finished run again from what it left on disk: no machine is needed."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.text import Text

from conformance import __version__
from conformance.corpus import load
from conformance.errors import TraceError, UnknownName
from conformance.judge import judge
from conformance.model.codec import DecodeError, decode
from conformance.model.trace import Trace
from conformance.reports.events import Judged, RunEvent
from conformance.reports.journal import read_lines
from conformance.runner.explaining import Explainer
from conformance.runner.plan import Plan, PlannedRun, read_trials
from conformance.runner.planning import corpus_roots
from conformance.runner.rundir import RunDirectory
from conformance.runner.settings import Profile, profile_named
from conformance.runner.weigh import weigh


@dataclass(frozen=True)
class Again:
    """A run, judged again."""

    plan: Plan
    profile: Profile
    judged: tuple[Judged, ...]
    changes: tuple[str, ...]
    """Verdicts that are not what they were, a line each."""
    explainer: Explainer
    suite: str = __version__

    def styled(self, event: Judged, width: int) -> Text:
        """The explanation of a verdict, for a terminal."""
        return self.explainer.styled(event, width)

    def explain(self, trial: str, width: int) -> Text:
        """The explanation of the last verdict on a trial; raises UnknownName."""
        for event in reversed(self.judged):
            if event.verdict.trial == trial:
                return self.styled(event, width)
        raise UnknownName("trial of this run", trial, [event.verdict.trial for event in self.judged])


def judge_again(directory: RunDirectory, profile: str | None) -> Again:
    """Judges every trace of a run with the judge and the known deviations of now.

    Raises TraceError when the run's files cannot be read, UnknownName for a profile that does not exist."""
    planned = PlannedRun(directory)
    plan, trials = planned.plan, read_trials(directory)
    counted_by = plan.settings.profile if profile is None else profile_named(profile)
    known = load(corpus_roots(plan.settings.cases), tests_only=plan.settings.tests_only).require().known
    before = _verdicts(directory)
    judged: list[Judged] = []
    changes: list[str] = []
    for trace in _traces(directory.traces):
        trial = trials.get(trace.trial)
        if trial is None:
            raise TraceError(f"{directory.traces}: expected traces of the run's trials, found one of {trace.trial!r}")
        weighed = weigh(trial, judge(trial, trace), known, plan.hello.release, plan.settings.machine, counted_by)
        old = before[trace.trial].pop(0) if before[trace.trial] else None
        event = Judged(
            time.time(), old.worker if old else "", old.run if old else trial.name, trial.rule.id, trial.rule.level,
            trial.rule.promise, trial.target, weighed.verdict, weighed.red, known=weighed.known,
        )  # fmt: skip
        judged.append(event)
        if old is not None and (old.verdict.kind, old.red) != (event.verdict.kind, event.red):
            changes.append(f"{event.run}: was {_told(old)}, is {_told(event)}")
    return Again(plan, counted_by, tuple(judged), tuple(changes), Explainer(planned))


def _told(event: Judged) -> str:
    return f"{event.verdict.kind}{' (red)' if event.red else ''}"


def _verdicts(directory: RunDirectory) -> dict[str, list[Judged]]:
    """What the run itself said, by the names of trials, in order. Verdicts without a trace are left out."""
    found: dict[str, list[Judged]] = defaultdict(list)
    for number, value in read_lines(directory.events):
        try:
            event = decode(RunEvent, value)
        except DecodeError as error:
            raise TraceError(f"{directory.events}, line {number}: {error}") from None
        if isinstance(event, Judged):
            found[event.verdict.trial].append(event)
    return found


def _traces(path: Path) -> Iterator[Trace]:
    for number, value in read_lines(path):
        try:
            yield decode(Trace, value)
        except DecodeError as error:
            raise TraceError(f"{path}, line {number}: {error}") from None
