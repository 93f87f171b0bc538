"""The events of a run, in the order in which they happen: what every report reads, and nothing else.

A run's processes write them as JSON lines into one journal (`journal.py`). Times are seconds since the epoch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from conformance.model.trial import Level, Promise
from conformance.model.verdict import Verdict

FORMAT = 1
"""The version of these events. Another version is refused."""


@dataclass(frozen=True)
class RunEvent:
    """The base of all events of a run."""

    EVENTS: ClassVar[dict[str, type[RunEvent]]] = {}

    def __init_subclass__(cls) -> None:
        RunEvent.EVENTS[cls.__dict__["EVENT"]] = cls


@dataclass(frozen=True)
class Started(RunEvent):
    """The run is about to begin: what runs where."""

    EVENT: ClassVar[str] = "started"
    at: float
    suite: str
    """Version of the suite."""
    kernel: str
    """As in `--kernel`."""
    release: str
    """uname -r."""
    machine: str
    """As in `--machine`."""
    targets: tuple[str, ...]
    trials: int
    """How many will run, repetitions included."""
    workers: int
    """How many guests at a time."""
    profile: str
    provenance: tuple[tuple[str, str, str], ...]
    """(Debian package or path, version, sha256 in hex) of all that the guests boot from."""
    command: tuple[str, ...]
    format: int = FORMAT


@dataclass(frozen=True)
class NotRun(RunEvent):
    """A trial, or a whole case, that is not applicable to a target."""

    EVENT: ClassVar[str] = "not_applicable"
    name: str
    reason: str
    rule: str
    target: str


@dataclass(frozen=True)
class Doing(RunEvent):
    """What a worker does beside running trials: booting its guest, waiting."""

    EVENT: ClassVar[str] = "doing"
    at: float
    worker: str
    what: str
    process: int
    """Its process id."""


@dataclass(frozen=True)
class Running(RunEvent):
    """A worker began a trial."""

    EVENT: ClassVar[str] = "running"
    at: float
    worker: str
    run: str
    """The trial's name; with "#2" and so on behind it when it is repeated."""


@dataclass(frozen=True)
class Judged(RunEvent):
    """A trial got its verdict."""

    EVENT: ClassVar[str] = "judged"
    at: float
    worker: str
    run: str
    """As in `Running`."""
    rule: str
    level: Level
    promise: Promise
    target: str
    verdict: Verdict
    red: bool
    """Whether it makes this run red, under its profile."""
    explanation: str = ""
    """The verdict explained in plain text, where it is more than a pass."""
    known: str = ""
    """The id of the known deviation that it is, or that did not show."""


@dataclass(frozen=True)
class Finished(RunEvent):
    """The run is over."""

    EVENT: ClassVar[str] = "finished"
    at: float
    interrupted: str = ""
    """Why it ended before all trials had run; empty when they had."""
