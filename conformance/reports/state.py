"""Where a run stands, worked out from its events: what each worker does, the verdicts so far, the time left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from conformance.model.verdict import Verdict
from conformance.reports.events import Doing, Finished, Judged, NotRun, RunEvent, Running, Started

Outcome = Literal["pass", "known", "noted", "fail", "crash", "hang", "vacuous", "error", "not applicable"]
"""A verdict as it is counted. noted: a SHOULD is broken, which only the strict profile minds."""

OUTCOMES: tuple[Outcome, ...] = (
    "pass",
    "known",
    "noted",
    "fail",
    "crash",
    "hang",
    "vacuous",
    "error",
    "not applicable",
)
"""In the order of tables."""
RED: frozenset[Outcome] = frozenset({"fail", "crash", "hang", "vacuous", "error"})


@dataclass
class WorkerState:
    """What one worker does."""

    what: str
    """In a few words, or the trial that it runs."""
    since: float
    trial: bool = False


@dataclass
class RunState:
    """All that a report needs to know; `take` keeps it up to date."""

    expected: Mapping[str, float]
    """Seconds that each run of a trial is expected to take, by its id."""
    started: Started | None = None
    finished: Finished | None = None
    workers: dict[str, WorkerState] = field(default_factory=dict)
    judged: list[Judged] = field(default_factory=list)
    not_run: list[NotRun] = field(default_factory=list)
    counts: Counter[Outcome] = field(default_factory=Counter)
    _measured: float = 0.0
    """Seconds that the trials judged so far took, ..."""
    _foreseen: float = 0.0
    """... and seconds that had been expected."""

    def take(self, events: Iterable[RunEvent]) -> list[Judged]:
        """Takes events in; returns the verdicts among them."""
        new: list[Judged] = []
        for event in events:
            match event:
                case Started():
                    self.started = event
                case Finished():
                    self.finished = event
                    self.workers.clear()
                case NotRun():
                    self.not_run.append(event)
                case Doing():
                    self.workers[event.worker] = WorkerState(event.what, event.at)
                case Running():
                    self.workers[event.worker] = WorkerState(event.run, event.at, trial=True)
                case Judged():
                    self._judge(event)
                    new.append(event)
        return new

    def _judge(self, event: Judged) -> None:
        self.judged.append(event)
        self.counts[outcome(event)] += 1
        worker = self.workers.get(event.worker)
        if worker is not None and worker.trial and worker.what == event.run:
            self.workers[event.worker] = WorkerState("", event.at)
        if event.verdict.kind in ("pass", "fail", "known", "vacuous"):
            self._measured += event.verdict.seconds
            self._foreseen += self.expected.get(event.run, 0.0)

    @property
    def total(self) -> int:
        """Trials of this run."""
        return self.started.trials if self.started else 0

    @property
    def red(self) -> int:
        """Verdicts that make the run red."""
        return sum(event.red for event in self.judged)

    def seconds_left(self) -> float | None:
        """How long the rest is expected to take; None before anything was measured."""
        if not self.started or not self._foreseen:
            return None
        done = {event.run for event in self.judged}
        left = sum(seconds for run, seconds in self.expected.items() if run not in done)
        return left * self._measured / self._foreseen / self.started.workers


def outcome(event: Judged) -> Outcome:
    """How a verdict is counted."""
    kind = event.verdict.kind
    return "noted" if kind == "fail" and not event.red else kind


def first_words(verdict: Verdict) -> str:
    """A verdict in one line: what was expected, and what happened."""
    if verdict.reason:
        return verdict.reason.strip().splitlines()[-1 if verdict.kind == "error" else 0]
    for finding in verdict.findings:
        where = f"step {finding.step}: " if finding.step else ""
        told = [(text.splitlines() or [""])[0] for text in (finding.expected, finding.observed)]
        return f"{where}{finding.what} of {finding.subject}: expected {told[0]}, observed {told[1]}"
    return ""
