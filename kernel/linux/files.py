"""Performs the calls on data, descriptors, mappings, attributes and names."""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import stat
import struct

from kernel import abi, calls
from kernel.linux import libc
from kernel.linux.memory import Mapping
from kernel.linux.world import DONE, Pen, World, performs
from kernel.protocol import OK, Outcome
from kernel.units import PAGE, Span

_OPEN = {
    "append": os.O_APPEND,
    "direct": os.O_DIRECT,
    "sync": os.O_SYNC,
    "dsync": os.O_DSYNC,
    "truncate": os.O_TRUNC,
    "noatime": os.O_NOATIME,
    "path": getattr(os, "O_PATH", 0o10000000),
    "directory": os.O_DIRECTORY,
}
_PAST = 1_000_000_000 * 10**9
_CHUNK = 1 << 20
_NOBODY = 65534


def open_flags(flags: tuple[str, ...]) -> int:
    """The number for open(2)."""
    access = {(True, True): os.O_RDWR, (False, True): os.O_WRONLY}.get(("read" in flags, "write" in flags), os.O_RDONLY)
    number = access | os.O_CLOEXEC
    for flag in flags:
        number |= _OPEN.get(flag, 0)
    return number


def aligned(length: int) -> mmap.mmap:
    """Memory that begins on a page, for direct I/O."""
    return mmap.mmap(-1, max(length, 1))


def write_all(fd: int, data: bytes, offset: int, *, direct: bool = False) -> None:
    """Writes all of `data`. With `direct`, `fd` was opened with O_DIRECT: sent from aligned memory."""
    done = 0
    while done < len(data):
        part = data[done : done + _CHUNK]
        if direct:
            with aligned(len(part)) as buffer:
                buffer.write(part)
                with memoryview(buffer)[: len(part)] as view:
                    done += os.pwritev(fd, [view], offset + done)
        else:
            done += os.pwrite(fd, part, offset + done)


def read_all(fd: int, span: Span, *, direct: bool = False) -> bytes:
    """Reads `span`, less at the end of the file."""
    parts: list[bytes] = []
    done = 0
    while done < span.length:
        want = min(_CHUNK, span.length - done)
        if direct:
            with aligned(want) as buffer, memoryview(buffer)[:want] as view:
                got = os.preadv(fd, [view], span.offset + done)
                parts.append(bytes(view[:got]))
        else:
            parts.append(os.pread(fd, want, span.offset + done))
            got = len(parts[-1])
        done += got
        if got == 0:
            break
    return b"".join(parts)


def direct_fd(world: World, name: str, access: int) -> int:
    """A descriptor of the same file with O_DIRECT: a copy where it has that already (one opened by handle stays what
    it is), else opened through /proc so that no name is needed."""
    if fcntl.fcntl(world.fd(name), fcntl.F_GETFL) & os.O_DIRECT:
        return os.dup(world.fd(name))
    return os.open(f"/proc/self/fd/{world.fd(name)}", access | os.O_DIRECT | os.O_CLOEXEC)


def _bytes(world: World, pen: Pen, how: str, span: Span, present: bytes) -> bytes:
    """What a write or a store puts into `span`."""
    if how == "same":
        return present
    if how == "zero":
        return bytes(span.length)
    return world.palette.encode(pen.source, span.offset, span.length, pen.version)


@performs(calls.Open)
def _open(world: World, call: calls.Open, pen: Pen) -> Outcome:
    world.fds[call.name] = os.open(world.path(call.file), open_flags(call.flags))
    world.owners[call.name] = call.file
    return DONE


@performs(calls.OpenOther)
def _open_other(world: World, call: calls.OpenOther, pen: Pen) -> Outcome:
    if call.what == "bad":
        world.fds[call.name] = -1
        return DONE
    path = {"directory": world.machine.mountpoint, "null": "/dev/null"}.get(call.what)
    if path is None:
        path = f"{world.machine.directory}/{call.name}"
        if call.what == "fifo":
            os.mkfifo(path)
        else:
            with open(path, "wb") as file:
                file.write(bytes(16 * PAGE))
    flags = os.O_RDONLY if call.what == "directory" else os.O_RDWR
    try:
        world.fds[call.name] = os.open(path, flags | os.O_CLOEXEC)
    finally:
        if call.what in ("fifo", "tmpfs_file"):
            os.unlink(path)
    return DONE


@performs(calls.Close)
def _close(world: World, call: calls.Close, pen: Pen) -> Outcome:
    os.close(world.fds.pop(call.file))
    return DONE


@performs(calls.Write)
def _write(world: World, call: calls.Write, pen: Pen) -> Outcome:
    span = call.range.within(world.size(call.file))
    fd = direct_fd(world, call.file, os.O_RDWR) if call.direct else world.fd(call.file)
    try:
        present = b""
        if call.bytes == "same":
            owner = world.files[world.owners[call.file]]
            present = read_all(owner.observer, span)
        write_all(fd, _bytes(world, pen, call.bytes, span, present), span.offset, direct=call.direct)
    finally:
        if call.direct:
            os.close(fd)
    return DONE


@performs(calls.Read)
def _read(world: World, call: calls.Read, pen: Pen) -> Outcome:
    span = call.range.within(world.size(call.file))
    fd = direct_fd(world, call.file, os.O_RDONLY) if call.direct else world.fd(call.file)
    try:
        return Outcome(OK, seen=world.palette.decode(read_all(fd, span, direct=call.direct)))
    finally:
        if call.direct:
            os.close(fd)


@performs(calls.Truncate)
def _truncate(world: World, call: calls.Truncate, pen: Pen) -> Outcome:
    os.ftruncate(world.fd(call.file), call.size)
    return DONE


@performs(calls.Fallocate)
def _fallocate(world: World, call: calls.Fallocate, pen: Pen) -> Outcome:
    span = call.range.within(world.size(call.file))
    libc.fallocate(world.fd(call.file), abi.FALLOCATE_MODES[call.mode], span.offset, span.length)
    return DONE


@performs(calls.Fsync)
def _fsync(world: World, call: calls.Fsync, pen: Pen) -> Outcome:
    os.fsync(world.fd(call.file))
    return DONE


@performs(calls.Sync)
def _sync(world: World, call: calls.Sync, pen: Pen) -> Outcome:
    libc.syncfs(world.root)
    return DONE


@performs(calls.DropCaches)
def _drop_caches(world: World, call: calls.DropCaches, pen: Pen) -> Outcome:
    drop_caches()
    return DONE


def drop_caches() -> None:
    """Drops the clean pages of every file."""
    with open("/proc/sys/vm/drop_caches", "w") as control:
        control.write("1\n")


@performs(calls.Clone)
def _clone(world: World, call: calls.Clone, pen: Pen) -> Outcome:
    span = call.range.within(world.size(call.source))
    argument = abi.CLONE_RANGE.pack(world.fd(call.source), span.offset, span.length, call.at)
    libc.ioctl(world.fd(call.target), abi.FICLONERANGE, bytearray(argument))
    return DONE


@performs(calls.Dedupe)
def _dedupe(world: World, call: calls.Dedupe, pen: Pen) -> Outcome:
    span = call.range.within(world.size(call.source))
    argument = bytearray(
        abi.DEDUPE_RANGE.pack(span.offset, span.length, 1, 0, 0, world.fd(call.target), call.at, 0, 0, 0)
    )
    libc.ioctl(world.fd(call.source), abi.FIDEDUPERANGE, argument)
    *_, deduped, status, _reserved = abi.DEDUPE_RANGE.unpack(argument)
    result = OK if status == 0 else "DIFFERS" if status == 1 else libc.errno_name(-status)
    return Outcome(result, {"moved": deduped})


@performs(calls.CopyRange)
def _copy_range(world: World, call: calls.CopyRange, pen: Pen) -> Outcome:
    span = call.range.within(world.size(call.source))
    copied = os.copy_file_range(world.fd(call.source), world.fd(call.target), span.length, span.offset, call.at)
    return Outcome(OK, {"moved": copied})


# --- mappings ---------------------------------------------------------------------------------


@performs(calls.Map)
def _map(world: World, call: calls.Map, pen: Pen) -> Outcome:
    span = call.range.within(world.size(call.file))
    mapping = Mapping.of(world.fd(call.file), world.owners[call.file], span.offset, span.length, call.kind, call.access)
    world.maps[call.name] = mapping
    if call.locked:
        mapping.lock()
    return DONE


def _map_span(mapping: Mapping, span: Span) -> Span:
    return Span(max(span.offset, mapping.offset), span.length if span.length >= 0 else mapping.length)


@performs(calls.Store)
def _store(world: World, call: calls.Store, pen: Pen) -> Outcome:
    mapping = world.maps[call.map]
    span = _map_span(mapping, call.range)
    present = mapping.load(span.offset, span.length)[1] if call.bytes == "same" else b""
    return Outcome(mapping.store(span.offset, _bytes(world, pen, call.bytes, span, present)))


@performs(calls.Load)
def _load(world: World, call: calls.Load, pen: Pen) -> Outcome:
    mapping = world.maps[call.map]
    span = _map_span(mapping, call.range)
    result, data = mapping.load(span.offset, span.length)
    return Outcome(result, seen=world.palette.decode(data) if result == OK else ())


@performs(calls.Protect)
def _protect(world: World, call: calls.Protect, pen: Pen) -> Outcome:
    world.maps[call.map].protect(call.access)
    return DONE


@performs(calls.Unmap)
def _unmap(world: World, call: calls.Unmap, pen: Pen) -> Outcome:
    world.maps.pop(call.map).unmap()
    return DONE


# --- attributes and names ---------------------------------------------------------------------


@performs(calls.Chmod)
def _chmod(world: World, call: calls.Chmod, pen: Pen) -> Outcome:
    fd = world.fd(call.file)
    os.fchmod(fd, stat.S_IMODE(libc.statx(fd).mode) if call.mode == "same" else int(call.mode, 8))
    return DONE


@performs(calls.SetXattr)
def _setxattr(world: World, call: calls.SetXattr, pen: Pen) -> Outcome:
    os.setxattr(world.fd(call.file), call.name, (pen.source.encode() * call.size)[: call.size])
    return DONE


@performs(calls.Utimes)
def _utimes(world: World, call: calls.Utimes, pen: Pen) -> Outcome:
    fd = world.fd(call.file)
    if call.to == "now":
        os.utime(fd)
    else:
        mtime = _PAST if call.to == "past" else libc.statx(fd).mtime
        os.utime(fd, ns=(mtime, mtime))
    return DONE


@performs(calls.Rename)
def _rename(world: World, call: calls.Rename, pen: Pen) -> Outcome:
    file = world.files[call.file]
    new = world.path(call.over) if call.over else file.path + ".renamed"
    os.rename(file.path, new)
    file.path = new
    return DONE


@performs(calls.Link)
def _link(world: World, call: calls.Link, pen: Pen) -> Outcome:
    path = world.path(call.file)
    os.link(path, path + ".link")
    return DONE


@performs(calls.Unlink)
def _unlink(world: World, call: calls.Unlink, pen: Pen) -> Outcome:
    path = world.path(call.file)
    os.unlink(path if call.name == "own" else path + ".link")
    return DONE


def get_flags(fd: int) -> int:
    """FS_IOC_GETFLAGS; 0 where the file system has none."""
    buffer = bytearray(4)
    try:
        fcntl.ioctl(fd, abi.FS_IOC_GETFLAGS, buffer)
    except OSError:
        return 0
    return int(struct.unpack("=I", buffer)[0])


def set_flags(fd: int, flags: int) -> None:
    """FS_IOC_SETFLAGS."""
    fcntl.ioctl(fd, abi.FS_IOC_SETFLAGS, struct.pack("=I", flags))


@performs(calls.SetFlags)
def _set_flags(world: World, call: calls.SetFlags, pen: Pen) -> Outcome:
    flags = get_flags(world.fd(call.file))
    for name in call.set:
        flags |= abi.INODE_FLAGS[name]
    for name in call.clear:
        flags &= ~abi.INODE_FLAGS[name]
    set_flags(world.fd(call.file), flags)
    return DONE


@performs(calls.Become)
def _become(world: World, call: calls.Become, pen: Pen) -> Outcome:
    if os.geteuid() != _NOBODY:
        os.setgroups(())
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)
    return DONE


@performs(calls.OpenByHandle)
def _open_by_handle(world: World, call: calls.OpenByHandle, pen: Pen) -> Outcome:
    path = ctypes.create_string_buffer(world.path(call.file).encode())
    handle = ctypes.create_string_buffer(abi.HANDLE_SIZE)
    length = ctypes.c_uint32(abi.HANDLE_SIZE)
    request = bytearray(
        abi.HANDLEREQ.pack(0, ctypes.addressof(path), 0, 0, 0, ctypes.addressof(handle), ctypes.addressof(length))
    )
    fcntl.ioctl(world.root, abi.XFS_IOC_PATH_TO_HANDLE, request)
    request = bytearray(
        abi.HANDLEREQ.pack(0, 0, open_flags(call.flags), ctypes.addressof(handle), abi.HANDLE_SIZE, 0, 0)
    )
    world.fds[call.name] = fcntl.ioctl(world.root, abi.XFS_IOC_OPEN_BY_HANDLE, request)
    world.owners[call.name] = call.file
    return DONE
