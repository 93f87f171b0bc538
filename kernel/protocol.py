"""What every kernel offers to the interpreter: Linux as it runs, and the reference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from kernel.calls import Call
from kernel.pattern import Run
from kernel.setup import Checked, FileSpec, FileSystem
from kernel.state import Observation

OK = "OK"


@dataclass(frozen=True)
class Outcome:
    """How one call ended."""

    result: str
    """"OK", the name of an errno ("EBUSY"), of a signal ("SIGBUS"), or a word that the call documents."""
    values: dict[str, int] = field(default_factory=dict)
    """Numbers that the call answers with, by the names that it documents."""
    seen: tuple[Run, ...] = ()
    """What a read or a load found."""

    @property
    def ok(self) -> bool:
        """Whether the call succeeded."""
        return self.result == OK


@dataclass(frozen=True)
class Counters:
    """How far the file system's transactions have come: numbers by the name of their source.

    A file system that starts no transaction between two samples shows the same numbers in both.
    """

    values: dict[str, int]


@dataclass(frozen=True)
class OwnersFound:
    """What the bmap btree blocks of one file say of their owner (xfs_db, field `owner`)."""

    inode: int
    blocks: int
    """How many blocks were looked at."""
    foreign: tuple[int, ...] = ()
    """Owners that are not the inode."""


ActorBody = Callable[[Callable[[], bool], Callable[[str], None]], None]
"""What an actor does: given a function that says whether it was told to stop, and one that
reports a line to the interpreter."""


class Kernel(Protocol):
    """Answers the calls of one trial after the other."""

    def open_trial(self, name: str, salt: str, system: FileSystem, sources: tuple[str, ...]) -> None:
        """Mounts a pristine file system. `sources` are the names that contents may carry."""
        ...

    def make_files(self, files: tuple[FileSpec, ...]) -> None:
        """Makes the files, opens each for read and write, and writes all to the device."""
        ...

    def perform(self, call: Call, source: str, version: int = 0) -> Outcome:
        """Makes one call. What it writes names `source` and `version`."""
        ...

    def observe(self, *, maps: bool) -> Observation:
        """Looks at every file without changing what a rule speaks of. With `maps` also at every mapping,
        which makes its pages present.
        """
        ...

    def counters(self) -> Counters:
        """The transaction counters, after everything pending was written out."""
        ...

    def tick(self) -> None:
        """Lets the clock that stamps files move on visibly."""
        ...

    def start_actor(self, name: str, body: ActorBody) -> None:
        """Starts a process that makes its own calls."""
        ...

    def actor_blocked(self, name: str) -> Outcome:
        """Whether the actor sleeps inside a call."""
        ...

    def stop_actor(self, name: str) -> tuple[str, ...]:
        """Waits for the actor's end; the lines that it reported."""
        ...

    def flush(self) -> None:
        """Writes everything out."""
        ...

    def drop_caches(self) -> None:
        """Drops clean pages."""
        ...

    def settle(self) -> tuple[str, ...]:
        """Undoes what would keep the file system from being unmounted (swap areas, a freeze, actors), and closes
        every mapping and descriptor. Says what it had to undo.
        """
        ...

    def remount_files(self) -> None:
        """Unmounts, mounts again and opens the files anew."""
        ...

    def remove_files(self) -> None:
        """Unlinks every file of the trial, and waits until all their space is given back."""
        ...

    def unmount(self) -> None:
        """Unmounts for good."""
        ...

    def check(self) -> Checked:
        """Runs the checker on the unmounted file system."""
        ...

    def btree_owners(self, file: str) -> OwnersFound:
        """The owners in the bmap btree blocks of a file, on the unmounted file system."""
        ...

    def close_trial(self) -> None:
        """Leaves nothing of the trial behind, whatever state it is in."""
        ...

    def console(self) -> tuple[str, ...]:
        """What the kernel printed since this was last asked."""
        ...
