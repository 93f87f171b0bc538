"""What the calls of one trial work on: its mount, descriptors, mappings and cookies."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from kernel.calls import Call
from kernel.linux import libc
from kernel.linux.memory import Mapping
from kernel.pattern import Palette
from kernel.protocol import Outcome
from kernel.setup import FileSystem

if TYPE_CHECKING:
    from kernel.linux.aio import PendingWrite


@dataclass(frozen=True)
class Machine:
    """Where the kernel keeps what a trial needs."""

    device: str
    """The scratch disk."""
    mountpoint: str
    directory: str
    """A writable directory outside the scratch file system."""
    channel: int = -1
    """The descriptor that leads to the host, for the calls that misbehave on it on purpose."""


@dataclass
class Cookie:
    """A freshness cookie in the caller's memory."""

    via: str
    data: bytearray


@dataclass
class File:
    """A file of the trial, by the name that the case gives it."""

    name: str
    path: str
    observer: int
    """A descriptor of the observer's own: read only, leaving atime alone."""
    inode: int


@dataclass
class World:
    """All that the calls of one trial change in this process."""

    machine: Machine
    system: FileSystem
    palette: Palette
    files: dict[str, File] = field(default_factory=dict)
    fds: dict[str, int] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    """Which file a descriptor is of."""
    maps: dict[str, Mapping] = field(default_factory=dict)
    cookies: dict[str, Cookie] = field(default_factory=dict)
    headers: dict[str, bytes] = field(default_factory=dict)
    """The swap header (page 0) that each file was given."""
    swapped: set[str] = field(default_factory=set)
    """Files that are active swap areas by a call of ours."""
    swap_seen: bool = False
    """The trial has used swap: its counters are worth reading."""
    pending: PendingWrite | None = None
    """The write that `submit` began and nobody took the result of."""
    mounted: bool = False
    frozen: bool = False
    root: int = -1
    """A descriptor of the mount point."""

    def fd(self, name: str) -> int:
        """The descriptor of that name; -1 where it was closed."""
        return self.fds.get(name, -1)

    def path(self, file: str) -> str:
        """The present path of a file."""
        return self.files[file].path

    def size(self, fd_name: str) -> int:
        """The size of what a descriptor is open on, in bytes; 0 where it has none."""
        fd = self.fd(fd_name)
        return libc.statx(fd).size if fd >= 0 else 0

    def make_root(self) -> None:
        """Opens the mount point."""
        self.root = os.open(self.machine.mountpoint, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


@dataclass(frozen=True)
class Pen:
    """Whose pattern a call writes."""

    source: str
    version: int = 0


C = TypeVar("C", bound=Call)
Handler = Callable[[World, C, Pen], Outcome]
HANDLERS: dict[type[Call], Callable[[World, Call, Pen], Outcome]] = {}
"""The function that performs each call."""


def performs(kind: type[C]) -> Callable[[Handler[C]], Handler[C]]:
    """Registers the function that performs a call."""

    def register(function: Handler[C]) -> Handler[C]:
        def adapted(world: World, call: Call, pen: Pen) -> Outcome:
            assert isinstance(call, kind)
            return function(world, call, pen)

        HANDLERS[kind] = adapted
        return function

    return register


DONE = Outcome("OK")
