"""What a trial starts from: a file system to mount, and files to make on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kernel.calls import InodeFlag

SegmentKind = Literal["data", "hole", "unwritten", "delalloc", "shared", "comb"]


@dataclass(frozen=True)
class Segment:
    """A stretch of a file, `length` in bytes.

    data: written and allocated. hole: nothing there. unwritten: preallocated. delalloc: written
    into the page cache only, after everything else, so that nothing is allocated yet. shared:
    data whose extents a hidden file shares. comb: blocks of data, each followed by a hole of
    one block that counts in the length.
    """

    kind: SegmentKind
    length: int


@dataclass(frozen=True)
class FileSpec:
    """A file that exists when the first step is made."""

    name: str
    segments: tuple[Segment, ...]
    fragments: int = 0
    """Its data is made of at least so many extents that do not touch on the device (0: as it comes)."""
    beyond_eof: int = 0
    """Bytes preallocated behind its end."""
    xattr: int = 0
    """Length in bytes of an extended attribute that it has from the start."""
    mode: int = 0o600
    flags: tuple[InodeFlag, ...] = ()
    """Inode flags, set while it is empty."""
    tail: int = 0
    """Bytes written behind the last segment."""

    @property
    def size(self) -> int:
        """In bytes."""
        return sum(segment.length for segment in self.segments) + self.tail


@dataclass(frozen=True)
class FileSystem:
    """What is mounted, and with what it is checked. `{device}` in a command stands for the device."""

    kind: str
    """The name for mount(2)."""
    block: int
    """Bytes in a block, the unit of allocation."""
    mkfs: tuple[str, ...]
    check: tuple[str, ...]
    """The checker that changes nothing; exit status 0 means clean."""
    mount_options: str = ""
    after_mkfs: tuple[tuple[str, ...], ...] = ()
    """Commands that finish what mkfs makes, for features that it does not know."""
    before_check: tuple[tuple[str, ...], ...] = ()
    """Commands that take away from the unmounted file system what its checker does not know."""


@dataclass(frozen=True)
class Checked:
    """What a checker said about an unmounted file system."""

    command: str
    status: int
    output: str
    """Its last 8 KiB."""
