"""Makes the files that a trial starts from, with the extents that it asks for."""

from __future__ import annotations

import fcntl
import os

from kernel import abi
from kernel.linux import libc
from kernel.linux.files import get_flags, set_flags, write_all
from kernel.linux.world import File, World
from kernel.setup import FileSpec
from kernel.units import PAGE

TWIN = "_twin"
"""The hidden file that shares the shared segments of NAME is NAME_twin: it is observed like any other."""


def make_files(world: World, files: tuple[FileSpec, ...]) -> None:
    """Makes every file and writes it out; what is to stay delayed is written last."""
    for spec in files:
        _create(world, spec)
    libc.syncfs(world.root)
    for spec in files:
        _finish(world, spec)


def _create(world: World, spec: FileSpec) -> None:
    path = f"{world.machine.mountpoint}/{spec.name}"
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    _remember(world, spec.name, path, fd)
    if spec.flags:
        flags = get_flags(fd)
        for flag in spec.flags:
            if flag not in ("immutable", "append"):  # those would keep it from being filled: see _finish
                flags |= abi.INODE_FLAGS[flag]
        set_flags(fd, flags)
    if spec.fragments:
        _fill_in_fragments(world, spec, fd)
    else:
        # At full size from the start: XFS preallocates behind a file that grows, and would fill its holes with that.
        os.ftruncate(fd, spec.size)
        _fill(world, spec, fd)
    if spec.tail:
        start = spec.size - spec.tail
        write_all(fd, world.palette.encode(spec.name, start, spec.tail), start)
    if libc.statx(fd).size != spec.size:
        os.ftruncate(fd, spec.size)
    if spec.beyond_eof:
        libc.fallocate(fd, abi.FALLOCATE_MODES["keep_size"], spec.size, spec.beyond_eof)
    if spec.xattr:
        os.setxattr(fd, "user.setup", b"x" * spec.xattr)
    os.fchmod(fd, spec.mode)


def _remember(world: World, name: str, path: str, fd: int) -> None:
    observer = os.open(path, os.O_RDONLY | os.O_NOATIME | os.O_CLOEXEC)
    world.files[name] = File(name, path, observer, libc.statx(fd).inode)
    world.fds[name] = fd
    world.owners[name] = name


def _fill(world: World, spec: FileSpec, fd: int) -> None:
    at = 0
    block = world.system.block
    for segment in spec.segments:
        if segment.kind in ("data", "shared"):
            write_all(fd, world.palette.encode(spec.name, at, segment.length), at)
        elif segment.kind == "unwritten":
            libc.fallocate(fd, abi.FALLOCATE_MODES["allocate"], at, segment.length)
        elif segment.kind == "comb":
            for start in range(at, at + segment.length, 2 * block):
                write_all(fd, world.palette.encode(spec.name, start, min(block, at + segment.length - start)), start)
        at += segment.length


def _fill_in_fragments(world: World, spec: FileSpec, fd: int) -> None:
    """Pieces that do not touch on the device: what lies between them is collapsed away, or, where
    the file system cannot collapse, belongs to another file that was written in turns.
    """
    unit = max(world.system.block, PAGE) if spec.size >= 2 * PAGE * spec.fragments else world.system.block
    piece = max(unit, spec.size // spec.fragments // unit * unit)
    kind = spec.segments[0].kind
    starts = range(0, spec.size - spec.tail, piece)
    probe = os.open(f"{world.machine.mountpoint}/collapse_probe", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        write_all(probe, bytes(3 * world.system.block), 0)
        libc.fallocate(probe, abi.FALLOCATE_MODES["collapse"], world.system.block, world.system.block)
        collapses = True
    except OSError:
        collapses = False
    finally:
        os.close(probe)
        os.unlink(f"{world.machine.mountpoint}/collapse_probe")
    if not collapses:
        _fill_in_turns(world, spec, fd, piece)
        return
    libc.fallocate(fd, abi.FALLOCATE_MODES["allocate"], 0, 2 * piece * len(starts) + piece)
    if kind == "data":
        for number, start in enumerate(starts):
            write_all(fd, world.palette.encode(spec.name, start, piece), 2 * number * piece)
    os.fsync(fd)
    for number in range(len(starts)):
        libc.fallocate(fd, abi.FALLOCATE_MODES["collapse"], (number + 1) * piece, piece)
    os.ftruncate(fd, spec.size - spec.tail)


def _fill_in_turns(world: World, spec: FileSpec, fd: int, piece: int) -> None:
    path = f"{world.machine.mountpoint}/{spec.name}_filler"
    filler = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    _remember(world, spec.name + "_filler", path, filler)
    set_flags(filler, get_flags(fd))
    kind = spec.segments[0].kind
    for start in range(0, spec.size - spec.tail, piece):
        for turn, source in ((fd, spec.name), (filler, spec.name + "_filler")):
            if kind == "unwritten":
                libc.fallocate(turn, abi.FALLOCATE_MODES["allocate"], start, piece)
            else:
                write_all(turn, world.palette.encode(source, start, piece), start)
                os.fsync(turn)


def _finish(world: World, spec: FileSpec) -> None:
    fd = world.fds[spec.name]
    if any(segment.kind == "shared" for segment in spec.segments):
        path = f"{world.machine.mountpoint}/{spec.name}{TWIN}"
        twin = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        _remember(world, spec.name + TWIN, path, twin)
        set_flags(twin, get_flags(fd))
        _share(world, spec, fd, twin)
        os.ftruncate(twin, spec.size)
        libc.syncfs(world.root)
    at = 0
    for segment in spec.segments:
        if segment.kind == "delalloc":
            write_all(fd, world.palette.encode(spec.name, at, segment.length), at)
        at += segment.length
    late = [flag for flag in spec.flags if flag in ("immutable", "append")]
    if late:
        flags = get_flags(fd)
        for flag in late:
            flags |= abi.INODE_FLAGS[flag]
        set_flags(fd, flags)


def _share(world: World, spec: FileSpec, fd: int, twin: int) -> None:
    at = 0
    for segment in spec.segments:
        if segment.kind == "shared":
            fcntl.ioctl(twin, abi.FICLONERANGE, abi.CLONE_RANGE.pack(fd, at, segment.length, at))
        at += segment.length
