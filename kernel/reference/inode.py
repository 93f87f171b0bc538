"""What a file is: its attributes, its forks, its page cache; and how it looks on the device."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from kernel.reference.contents import Tape
from kernel.reference.forks import Fork, ForkImage
from kernel.reference.spans import Spans

if TYPE_CHECKING:
    from kernel.reference.memory import Mapping
    from kernel.reference.tasks import Task

IMMUTABLE, APPEND, NOATIME, JOURNAL_DATA, NOCOW, COMPRESS = 0x10, 0x20, 0x80, 0x4000, 0x800000, 0x4
"""Inode flags, with the numbers of FS_IOC_GETFLAGS."""
EXTENTS = 0x80000


class InodeImage(NamedTuple):
    """An inode on the device."""

    number: int
    generation: int
    mode: int
    links: int
    flags: int
    size: int
    atime: int
    mtime: int
    ctime: int
    btime: int
    change: int
    xattrs: tuple[tuple[str, bytes], ...]
    data: ForkImage
    attr: ForkImage


class Cache:
    """The pages of a file that are in memory."""

    def __init__(self) -> None:
        self.pages: Spans[bool] = Spans()
        """Which are present, by page."""
        self.dirty: Spans[bool] = Spans()
        """Which blocks differ from the device, by block."""
        self.content = Tape()
        """By byte."""


@dataclass
class Inode:
    """An inode in memory."""

    number: int
    generation: int
    mode: int = 0o100600
    links: int = 1
    flags: int = EXTENTS
    size: int = 0
    """In bytes, as every call sees it."""
    disk_size: int = 0
    """What the device will say after a crash: it follows once the data is there."""
    atime: int = 0
    mtime: int = 0
    ctime: int = 0
    btime: int = 0
    change: int = 0
    """Counts changes of data, size, mapping and attributes; not reads."""
    xattrs: dict[str, bytes] = field(default_factory=dict)
    data: Fork = field(default_factory=Fork)
    attr: Fork = field(default_factory=Fork)
    cache: Cache = field(default_factory=Cache)
    cow: Spans[bool] = field(default_factory=Spans)
    """Blocks that will get a new place at writeback, with space reserved for it."""
    maps: list[Mapping] = field(default_factory=list)
    opens: int = 0
    """Descriptors and mappings that keep it alive."""
    swapfile: bool = False
    queried: bool = False
    """Somebody looked at its ctime since it was last changed: the next change must be told apart."""
    logged: tuple[int, int] = (0, 0)
    """Which mappings the last transaction that had it saw."""
    pinned: int = 0
    """The last transaction that changed its mappings: until it is durable, nothing may be overwritten in place."""
    held: Task | None = None
    """The task that changes its mappings now: everybody else waits."""

    def image(self) -> InodeImage:
        """As it is on the device."""
        return InodeImage(
            self.number,
            self.generation,
            self.mode,
            self.links,
            self.flags,
            self.disk_size,
            self.atime,
            self.mtime,
            self.ctime,
            self.btime,
            self.change,
            tuple(self.xattrs.items()),
            self.data.image(),
            self.attr.image(),
        )

    @classmethod
    def of(cls, image: InodeImage) -> Inode:
        """From what is on the device."""
        inode = cls(
            image.number,
            image.generation,
            image.mode,
            image.links,
            image.flags,
            image.size,
            image.size,
            image.atime,
            image.mtime,
            image.ctime,
            image.btime,
            image.change,
            dict(image.xattrs),
        )
        inode.data, inode.attr = Fork.of(image.data), Fork.of(image.attr)
        return inode
