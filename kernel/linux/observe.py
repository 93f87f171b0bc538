"""Looks at files, mappings and the file system without changing what a rule speaks of.

Content is read through a descriptor of its own that leaves atime alone, extents without
FIEMAP_FLAG_SYNC, so that delayed allocation stays delayed. A file that is an active swap area
is not read: its pages would stay in the page cache while the kernel writes beneath it.
"""

from __future__ import annotations

import fcntl
import os
import zlib
from dataclasses import dataclass

from kernel import abi
from kernel.linux import libc
from kernel.linux.files import get_flags, read_all
from kernel.linux.world import File, World
from kernel.pattern import SWAP_HEADER, Run
from kernel.state import Extent, FileState, MapState, Observation, SystemState
from kernel.units import PAGE, Span

_EXTENTS_AT_ONCE = 1024
_EXTENT_FL = 0x80000


def extents(fd: int) -> tuple[Extent, ...]:
    """The extent map of an open file, holes left out."""
    found: list[Extent] = []
    start = 0
    size = abi.FIEMAP.size + _EXTENTS_AT_ONCE * abi.FIEMAP_EXTENT.size
    while True:
        buffer = bytearray(size)
        abi.FIEMAP.pack_into(buffer, 0, start, (1 << 64) - 1 - start, 0, 0, _EXTENTS_AT_ONCE, 0)
        fcntl.ioctl(fd, abi.FS_IOC_FIEMAP, buffer)
        mapped = abi.FIEMAP.unpack_from(buffer)[3]
        flags = 0
        for index in range(mapped):
            logical, physical, length, flags = abi.FIEMAP_EXTENT.unpack_from(
                buffer, abi.FIEMAP.size + index * abi.FIEMAP_EXTENT.size
            )
            words = tuple(word for bit, word in sorted(abi.FIEMAP_FLAGS.items(), key=lambda p: p[1]) if flags & bit)
            found.append(Extent(logical, physical, length, words))
            start = logical + length
        if mapped == 0 or flags & abi.FIEMAP_LAST:
            return tuple(found)


def _xattrs(fd: int) -> tuple[tuple[str, str], ...]:
    try:
        names = sorted(os.listxattr(fd))
    except OSError:
        return ()
    return tuple((name, f"{zlib.crc32(os.getxattr(fd, name)):08x}") for name in names)


def _content(world: World, name: str, data: bytes) -> tuple[Run, ...]:
    """The runs of a file; an intact swap header is a run of its own."""
    header = world.headers.get(name)
    if header and data.startswith(header):
        return (Run(SWAP_HEADER, 0, 0, len(header)), *world.palette.decode(data[len(header) :]))
    return world.palette.decode(data)


def file_state(world: World, file: File) -> FileState | None:
    """One file; None where it does not exist any more."""
    fd = file.observer
    if fd < 0:
        return None
    at = libc.statx(fd)
    content: tuple[Run, ...] = ()
    unread = ""
    try:
        mapped = extents(fd)
    except OSError as error:
        mapped, unread = (), "extents: " + libc.errno_name(error.errno or 0)
    if file.name in world.swapped:
        unread = unread or "active swap area"
    else:
        try:
            data = read_all(fd, Span(0, at.size))
        except OSError as error:
            unread = libc.errno_name(error.errno or 0)
            data = b""
        content = _content(world, file.name, data)
    return FileState(
        size=at.size,
        sectors=at.blocks,
        mode=at.mode,
        links=at.links,
        uid=at.uid,
        gid=at.gid,
        atime=at.atime,
        mtime=at.mtime,
        ctime=at.ctime,
        btime=at.btime,
        flags=get_flags(fd) & ~_EXTENT_FL,
        xattrs=_xattrs(fd),
        extents=mapped,
        content=content,
        unread=unread,
    )


def map_states(world: World) -> dict[str, MapState]:
    """Every mapping that can be read."""
    states: dict[str, MapState] = {}
    for name, mapping in world.maps.items():
        if mapping.access == "none" or mapping.broken or mapping.file in world.swapped:
            continue
        size = world.size(mapping.file)
        length = min(mapping.length, max(0, size - mapping.offset))
        result, data = mapping.load(mapping.offset, length)
        if result == "OK":
            content = world.palette.decode(data)
            touched = mapping.touched and mapping.kind == "private"
            states[name] = MapState(mapping.file, mapping.offset, mapping.kind == "shared", content, touched)
    return states


def vmstat(*names: str) -> tuple[int, ...]:
    """Counters of /proc/vmstat."""
    with open("/proc/vmstat") as file:
        values = dict(line.split() for line in file)
    return tuple(int(values.get(name, 0)) for name in names)


@dataclass(frozen=True)
class SwapArea:
    """A line of /proc/swaps."""

    pages: int
    """Those that can be used: without the header."""
    priority: int


def swap_areas() -> dict[str, SwapArea]:
    """Active swap areas by their paths."""
    areas: dict[str, SwapArea] = {}
    with open("/proc/swaps") as file:
        for line in file.readlines()[1:]:
            path, _kind, kilobytes, _used, priority = line.rsplit(None, 4)
            areas[path.replace("\\040", " ")] = SwapArea(int(kilobytes) * 1024 // PAGE, int(priority))
    return areas


def system_state(world: World) -> SystemState:
    """The file system and the kernel as a whole."""
    space = os.fstatvfs(world.root)
    if not world.swap_seen:
        return SystemState(space.f_bfree, space.f_ffree)
    out, back = vmstat("pswpout", "pswpin")
    active = swap_areas()
    ours = tuple(sorted(name for name, file in world.files.items() if active.keys() & {file.path, file.path + ".link"}))
    return SystemState(space.f_bfree, space.f_ffree, ours, out, back)


def observe(world: World, *, maps: bool) -> Observation:
    """All files, and with `maps` all mappings: looking at a mapping makes its pages present."""
    files: dict[str, FileState] = {}
    for name, file in world.files.items():
        state = file_state(world, file)
        if state is not None:
            files[name] = state
    return Observation(files, map_states(world) if maps else {}, system_state(world))
