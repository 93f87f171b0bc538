"""What can be observed of a kernel between two calls: plain values."""

from __future__ import annotations

from dataclasses import dataclass, field

from kernel.pattern import Run


@dataclass(frozen=True)
class Extent:
    """One extent as FIEMAP tells it. `logical`, `physical` and `length` in bytes; holes are not listed.

    On btrfs `physical` is an address of the file system, not of a device. `flags` are those of
    "unwritten", "delalloc", "shared", "inline", "encoded", "unknown", sorted.
    """

    logical: int
    physical: int
    length: int
    flags: tuple[str, ...] = ()


@dataclass(frozen=True)
class FileState:
    """One file between two calls. Times in nanoseconds since the epoch; `sectors` is st_blocks."""

    size: int
    sectors: int
    mode: int
    links: int
    uid: int
    gid: int
    atime: int
    mtime: int
    ctime: int
    btime: int
    flags: int
    """FS_IOC_GETFLAGS, without FS_EXTENT_FL."""
    xattrs: tuple[tuple[str, str], ...]
    """Names and checksums of values, sorted."""
    extents: tuple[Extent, ...]
    content: tuple[Run, ...]
    """As read(2) gives it, from 0 to the size. Empty where `unread` says that nothing was read."""
    unread: str = ""
    """Why the content was not read (an errno), or empty."""


@dataclass(frozen=True)
class MapState:
    """What one mapping shows, from its first byte to its last."""

    file: str
    offset: int
    """Where in the file the mapping begins, in bytes."""
    shared: bool
    content: tuple[Run, ...]
    touched: bool
    """A private mapping through which something was stored: it need not agree with the file any more."""


@dataclass(frozen=True)
class SystemState:
    """What belongs to the file system and the kernel as a whole."""

    free_blocks: int
    """statfs f_bfree, in file system blocks."""
    free_inodes: int
    swap_areas: tuple[str, ...] = ()
    """Files of the trial that are active swap areas, sorted."""
    pages_out: int = 0
    """pswpout of /proc/vmstat."""
    pages_in: int = 0
    """pswpin of /proc/vmstat."""


@dataclass(frozen=True)
class Observation:
    """Everything that is observed at one moment."""

    files: dict[str, FileState] = field(default_factory=dict)
    maps: dict[str, MapState] = field(default_factory=dict)
    system: SystemState = field(default_factory=lambda: SystemState(0, 0))
