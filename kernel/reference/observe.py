"""Looks at files, mappings and the file system without changing what a rule speaks of."""

from __future__ import annotations

import zlib

from kernel.pattern import Run
from kernel.reference.core import FIRST_INODE, INODES
from kernel.reference.forks import DELAYED, UNWRITTEN
from kernel.reference.inode import EXTENTS, Inode
from kernel.reference.world import File, World
from kernel.state import Extent, FileState, MapState, Observation, SystemState


class Observer:
    """Keeps what it derived from a map as long as the map does not change: most files are looked at many times."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._extents: dict[int, tuple[tuple[int, int, int], tuple[Extent, ...]]] = {}
        self._contents: dict[int, tuple[tuple[int, int, int], tuple[Run, ...]]] = {}

    def observe(self, *, maps: bool) -> Observation:
        """All files, and with `maps` all mappings: looking at a mapping makes its pages present."""
        files: dict[str, FileState] = {}
        for name, file in self._world.machine.files.items():
            if file.observer is not None and file.observer.inode is not None:
                files[name] = self._file(file, file.observer.inode)
        return Observation(files, self._maps() if maps else {}, self._system())

    def extents(self, inode: Inode) -> tuple[Extent, ...]:
        """The extent map of a file, holes left out."""
        fs = self._world.fs
        key = (id(inode.data.extents), inode.data.extents.changes, fs.space.refs.changes)
        known = self._extents.get(inode.number)
        if known is not None and known[0] == key:
            return known[1]
        found: list[Extent] = []
        for first, last, mapped in inode.data.extents:
            for a, b, (place, state) in fs.parts(first, last, mapped):
                flags = []
                if state == DELAYED:
                    flags.append("delalloc")
                elif fs.space.shared(place, b - a):
                    flags.append("shared")
                if state == UNWRITTEN:
                    flags.append("unwritten")
                found.append(Extent(a * fs.block, max(0, place) * fs.block, (b - a) * fs.block, tuple(flags)))
        self._extents[inode.number] = key, tuple(found)
        return tuple(found)

    def _content(self, file: File, inode: Inode) -> tuple[Run, ...]:
        pieces = self._world.fs.read(inode, 0, inode.size)
        key = (id(inode.cache.content), inode.cache.content.changes, inode.size)
        known = self._contents.get(inode.number)
        if known is not None and known[0] == key:
            return known[1]
        runs = self._world.machine.reader.runs(pieces, self._world.machine.headers.get(file.name))
        self._contents[inode.number] = key, runs
        return runs

    def _file(self, file: File, inode: Inode) -> FileState:
        content: tuple[Run, ...] = ()
        unread = ""
        if inode.swapfile:
            unread = "active swap area"
        elif self._world.fs.shut:
            unread = "EIO"
        else:
            content = self._content(file, inode)
        return FileState(
            size=inode.size,
            sectors=self._world.fs.sectors(inode),
            mode=inode.mode,
            links=inode.links,
            uid=0,
            gid=0,
            atime=inode.atime,
            mtime=inode.mtime,
            ctime=inode.ctime,
            btime=inode.btime,
            flags=inode.flags & ~EXTENTS,
            xattrs=tuple((name, f"{zlib.crc32(value):08x}") for name, value in sorted(inode.xattrs.items())),
            extents=self.extents(inode),
            content=content,
            unread=unread,
        )

    def _maps(self) -> dict[str, MapState]:
        world = self._world
        states: dict[str, MapState] = {}
        for name, mapping in world.maps.items():
            if mapping.access == "none" or mapping.inode.swapfile:
                continue
            length = min(mapping.length, max(0, mapping.inode.size - mapping.offset))
            result, pieces = world.fs.load_through(mapping, mapping.offset, mapping.offset + length)
            if result == "OK":
                content = world.machine.reader.runs(pieces)
                touched = mapping.touched and not mapping.shared
                states[name] = MapState(mapping.file, mapping.offset, mapping.shared, content, touched)
        return states

    def _system(self) -> SystemState:
        machine, fs = self._world.machine, self._world.fs
        inodes = INODES - sum(number >= FIRST_INODE for number in fs.inodes)
        if not machine.swap_seen:
            return SystemState(fs.space.available, inodes)
        active = {area.inode.number for area in machine.areas}
        names = tuple(sorted(name for name, file in machine.files.items() if file.number in active))
        return SystemState(fs.space.available, inodes, names, machine.pages_out, machine.pages_in)
