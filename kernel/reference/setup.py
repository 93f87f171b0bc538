"""Makes the files that a trial starts from, with the extents that it asks for."""

from __future__ import annotations

from kernel import abi
from kernel.reference.calls_mounts import observe_by
from kernel.reference.contents import Tape
from kernel.reference.forks import UNWRITTEN, WRITTEN
from kernel.reference.inode import Inode
from kernel.reference.world import TWIN, Descriptor, File, World
from kernel.setup import FileSpec

_LATE = ("immutable", "append")
"""Flags that would keep a file from being filled."""


def make_files(world: World, files: tuple[FileSpec, ...]) -> None:
    """Makes every file and writes it out; what is to stay delayed is written last."""
    for spec in files:
        _create(world, spec)
    world.fs.sync()
    for spec in files:
        _finish(world, spec)


def _remember(world: World, name: str, inode: Inode) -> None:
    file = File(name, name, None, inode.number)
    world.machine.files[name] = file
    observe_by(world, file)
    world.open(name, name, Descriptor(inode))


def _write(world: World, inode: Inode, name: str, at: int, length: int) -> None:
    world.fs.write(inode, at, [(length, (name, 0, at))], invisible=True)


def _create(world: World, spec: FileSpec) -> None:
    fs = world.fs
    inode = fs.create(spec.name, spec.mode)
    _remember(world, spec.name, inode)
    for flag in spec.flags:
        if flag not in _LATE:
            inode.flags |= abi.INODE_FLAGS[flag]
    if spec.size:
        fs.truncate(inode, spec.size, invisible=True)
    if spec.fragments:
        _fill_in_fragments(world, spec, inode)
    else:
        _fill(world, spec, inode)
    if spec.tail:
        _write(world, inode, spec.name, spec.size - spec.tail, spec.tail)
    if spec.beyond_eof:
        fs.preallocate(inode, spec.size, spec.size + spec.beyond_eof, keep_size=True, invisible=True)
    if spec.xattr:
        with fs.transaction("setxattr", inode):
            inode.xattrs["user.setup"] = b"x" * spec.xattr


def _fill(world: World, spec: FileSpec, inode: Inode) -> None:
    fs, at, block = world.fs, 0, world.fs.block
    for segment in spec.segments:
        end = at + segment.length
        if segment.kind in ("data", "shared") and segment.length:
            _write(world, inode, spec.name, at, segment.length)
        elif segment.kind == "unwritten":
            fs.preallocate(inode, at, end, keep_size=False, invisible=True)
        elif segment.kind == "comb":
            _fill_comb(world, spec, inode, list(range(at // block, -(-end // block), 2)))
        at = end


def _fill_comb(world: World, spec: FileSpec, inode: Inode, blocks: list[int]) -> None:
    """Single blocks with a hole after each, as if they were written one by one."""
    _place(world, spec, inode, [(block, 1) for block in blocks], WRITTEN, apart=False)


def _fill_in_fragments(world: World, spec: FileSpec, inode: Inode) -> None:
    """Pieces that do not touch on the device."""
    block = world.fs.block
    size = spec.size - spec.tail
    unit = max(block, 4096) if spec.size >= 2 * 4096 * spec.fragments else block
    piece = max(unit, spec.size // spec.fragments // unit * unit) // block
    total = size // block
    state = UNWRITTEN if spec.segments[0].kind == "unwritten" else WRITTEN
    pieces = [(start, min(piece, total - start)) for start in range(0, total, piece)]
    _place(world, spec, inode, pieces, state, apart=True)


def _place(
    world: World, spec: FileSpec, inode: Inode, pieces: list[tuple[int, int]], state: str, *, apart: bool
) -> None:
    """Allocates and writes stretches of blocks in one transaction; with `apart` so that no two touch on the device."""
    fs, block = world.fs, world.fs.block
    source = Tape()
    gaps: list[tuple[int, int]] = []
    with fs.transaction("set up", inode) as into:
        for first, count in pieces:
            for place, got in fs.allocate(into, count, "set up"):
                at = first * block
                if state == WRITTEN:
                    source.put(at, at + got * block, (spec.name, 0, at))
                    fs.write_device(place, source, first, first + got)
                inode.data.extents.put(first, first + got, (place, state))
                first += got
            if apart:
                gaps += fs.allocate(into, 1, "set up")
        for place, got in gaps:
            fs.release(into, place, got)
        inode.disk_size = inode.size
        fs.stamp(inode, invisible=True)


def _finish(world: World, spec: FileSpec) -> None:
    fs = world.fs
    inode = fs.lookup(spec.name)
    at = 0
    shared = [segment for segment in spec.segments if segment.kind == "shared"]
    if shared:
        twin = fs.create(spec.name + TWIN, 0o600)
        _remember(world, spec.name + TWIN, twin)
        twin.flags = inode.flags
    for segment in spec.segments:
        if segment.kind == "shared":
            fs.share_range(inode, at, twin, at, segment.length, stamp=False)
        at += segment.length
    if shared:
        fs.truncate(twin, spec.size, invisible=True)
        fs.sync()
    at = 0
    for segment in spec.segments:
        if segment.kind == "delalloc":
            _write(world, inode, spec.name, at, segment.length)
        at += segment.length
    with fs.transaction("setflags", inode):
        for flag in spec.flags:
            if flag in _LATE:
                inode.flags |= abi.INODE_FLAGS[flag]
