"""A trace: what happened in a trial, event by event, as its kernel told it. JSON lines on the way."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from conformance.model.trial import FORMAT
from kernel.protocol import Outcome
from kernel.setup import Checked
from kernel.state import Observation


@dataclass(frozen=True)
class Event:
    """The base of all events."""

    EVENTS: ClassVar[dict[str, type[Event]]] = {}

    def __init_subclass__(cls) -> None:
        Event.EVENTS[cls.__dict__["EVENT"]] = cls


@dataclass(frozen=True)
class Began(Event):
    """The kernel received the trial."""

    EVENT: ClassVar[str] = "began"
    trial: str
    format: int = FORMAT


@dataclass(frozen=True)
class Observed(Event):
    """All that can be observed at one moment.

    `at`: "start"; "before N" and "after N" around step N; "end" after the last step; "flushed"
    when everything was written out; "dropped" when it was read anew from the device;
    "remounted" after an unmount and a mount.
    """

    EVENT: ClassVar[str] = "observed"
    at: str
    state: Observation


@dataclass(frozen=True)
class Stepping(Event):
    """A step is about to be made: after a crash this tells which one did it."""

    EVENT: ClassVar[str] = "stepping"
    step: int


@dataclass(frozen=True)
class Stepped(Event):
    """A step was made. Times on the guest's monotonic clock, in nanoseconds."""

    EVENT: ClassVar[str] = "stepped"
    step: int
    outcome: Outcome
    began: int
    ended: int
    actor: str = ""
    turn: int = 0
    """Which pass of a looping actor."""
    counters_before: dict[str, int] = field(default_factory=dict)
    counters_after: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Settled(Event):
    """What had to be undone before the file system could be unmounted."""

    EVENT: ClassVar[str] = "settled"
    undone: tuple[str, ...]


@dataclass(frozen=True)
class Owners(Event):
    """The owners found in the bmap btree blocks of one file, once unmounted."""

    EVENT: ClassVar[str] = "owners"
    file: str
    inode: int
    blocks: int
    """How many blocks were looked at."""
    foreign: tuple[int, ...]
    """Owners that are not its inode."""


@dataclass(frozen=True)
class CheckerRan(Event):
    """The checker's answer."""

    EVENT: ClassVar[str] = "checked"
    checked: Checked


@dataclass(frozen=True)
class Console(Event):
    """Lines that the kernel printed during the trial."""

    EVENT: ClassVar[str] = "console"
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Failed(Event):
    """The kernel failed at what must work for every file system: writing out, mounting, looking at a file.

    `doing` says what, `result` how it ended: an errno, or what a tool said. What depends on it is not in the trace."""

    EVENT: ClassVar[str] = "failed"
    doing: str
    result: str


@dataclass(frozen=True)
class Broke(Event):
    """The agent or the interpreter failed: the harness's fault, not the kernel's."""

    EVENT: ClassVar[str] = "broke"
    problem: str


@dataclass(frozen=True)
class Died(Event):
    """The guest ended or did not answer; told by the host. `kind`: panic, oops, killed, exited, flood, hang."""

    EVENT: ClassVar[str] = "died"
    kind: str
    detail: str
    console: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ended(Event):
    """The trial is over, and the guest is ready for the next one. `tainted` is /proc/sys/kernel/tainted."""

    EVENT: ClassVar[str] = "ended"
    tainted: int = 0


@dataclass(frozen=True)
class Trace:
    """All events of one trial, in order."""

    trial: str
    events: tuple[Event, ...]
    kernel: str = ""
    """uname -r of the kernel that answered."""
    machine: str = ""
    seconds: float = 0.0
    """How long it took, on the host's clock."""
