"""What the calls of one trial work on: files and their descriptors, mappings, cookies; the process that makes them."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NoReturn, TypeVar

from kernel.calls import Call
from kernel.protocol import Outcome
from kernel.reference.contents import Pieces, Reader, Stuff
from kernel.reference.cookies import Cookie
from kernel.reference.inode import Inode
from kernel.reference.memory import Mapping
from kernel.reference.swap import Area, FileSystem
from kernel.setup import FileSystem as Setup

TWIN = "_twin"
"""The hidden file that shares the shared segments of NAME is NAME_twin: it is observed like any other."""


@dataclass(eq=False)
class Descriptor:
    """An open file. `inode` is None for what is not a file of this file system: `kind` says what it is."""

    inode: Inode | None
    kind: str = "file"
    readable: bool = True
    writable: bool = True
    append: bool = False
    direct: bool = False
    sync: bool = False
    noatime: bool = False
    invisible: bool = False
    """Opened by handle: reads and writes move no time."""
    path: bool = False


@dataclass(eq=False)
class File:
    """A file of the trial, by the name that the case gives it."""

    name: str
    path: str
    observer: Descriptor | None
    """Keeps the file alive for observations; None where it could not be opened anew."""
    number: int


@dataclass
class Machine:
    """What all processes of a trial share."""

    system: Setup
    fs: FileSystem
    reader: Reader
    files: dict[str, File] = field(default_factory=dict)
    areas: list[Area] = field(default_factory=list)
    """Active swap areas, in the order of their activation."""
    swap_seen: bool = False
    pages_out: int = 0
    pages_in: int = 0
    headers: dict[str, Stuff] = field(default_factory=dict)
    """The swap header (page 0) that each file was given."""
    lines: list[str] = field(default_factory=list)
    """What the kernel printed."""


@dataclass
class World:
    """One process: the main one, or an actor."""

    machine: Machine
    fds: dict[str, Descriptor | None] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    """Which file a descriptor is of."""
    maps: dict[str, Mapping] = field(default_factory=dict)
    cookies: dict[str, Cookie] = field(default_factory=dict)
    submitted: bool = False
    """A direct write was begun and nobody took its result."""

    @property
    def fs(self) -> FileSystem:
        """The file system."""
        return self.machine.fs

    def fd(self, name: str) -> Descriptor | None:
        """The descriptor of that name; None where it is closed or bad."""
        return self.fds.get(name)

    def size(self, name: str) -> int:
        """The size of what a descriptor is open on; 0 where it has none."""
        fd = self.fds.get(name)
        return (
            fd.inode.size if fd is not None and fd.inode is not None else 65536 if fd and fd.kind == "tmpfs_file" else 0
        )

    def open(self, name: str, file: str, descriptor: Descriptor) -> None:
        """Adds a descriptor."""
        if descriptor.inode is not None:
            descriptor.inode.opens += 1
        self.fds[name] = descriptor
        self.owners[name] = file

    def close(self, name: str) -> None:
        """Removes one; raises KeyError."""
        descriptor = self.fds.pop(name)
        if descriptor is None:
            fail("EBADF")
        if descriptor.inode is not None:
            self.fs.put(descriptor.inode)

    def forked(self) -> World:
        """What a child process inherits."""
        child = World(self.machine, owners=dict(self.owners))
        for name, descriptor in self.fds.items():
            child.fds[name] = descriptor
            if descriptor is not None and descriptor.inode is not None:
                descriptor.inode.opens += 1
        for name, mapping in self.maps.items():
            child.maps[name] = mapping.forked()
            self.fs.map(child.maps[name])
        child.cookies = {name: cookie.copy() for name, cookie in self.cookies.items()}
        return child

    def exit(self) -> None:
        """Closes everything."""
        for mapping in self.maps.values():
            self.fs.unmap(mapping)
        self.maps.clear()
        for name in list(self.fds):
            if self.fds[name] is None:
                del self.fds[name]
            else:
                self.close(name)
        self.owners.clear()


@dataclass(frozen=True)
class Pen:
    """Whose pattern a call writes."""

    source: str
    version: int = 0

    def write(self, how: str, at: int, length: int, present: Pieces) -> Pieces:
        """What a write or a store puts there."""
        if how == "same":
            return present
        return [(length, ("zero", 0, 0) if how == "zero" else (self.source, self.version, at))] if length else []


_PREFERRED = {errno.EOPNOTSUPP: "EOPNOTSUPP", errno.EDEADLK: "EDEADLK", errno.EAGAIN: "EAGAIN"}
"""Where Python knows several names for a number."""


def fail(name: str) -> NoReturn:
    """Refuses with an errno."""
    raise OSError(getattr(errno, name), name)


def name_of(error: OSError) -> str:
    """EBUSY for 16."""
    return _PREFERRED.get(error.errno or 0) or errno.errorcode.get(error.errno or 0, "EIO")


def refuse(world: World, call: str, **conditions: bool) -> None:
    """Refuses with the errno of the first condition that holds, unless the file system does not mind it."""
    for condition, holds in conditions.items():
        if holds:
            name = world.fs.personality.refusal(call, condition)
            if name != "OK":
                fail(name)


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
