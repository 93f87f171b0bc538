"""Performs the calls on descriptors and data."""

from __future__ import annotations

from kernel import calls
from kernel.protocol import OK, Outcome
from kernel.reference.contents import Pieces
from kernel.reference.inode import APPEND, IMMUTABLE, NOATIME, Inode
from kernel.reference.world import DONE, Descriptor, Pen, World, fail, performs, refuse
from kernel.units import SECTOR, Span

_DAY = 86_400 * 10**9


def regular(fd: Descriptor | None, *, read: bool = False, write: bool = False) -> Inode:
    """The file behind a descriptor that can be read or written; raises EBADF, or EINVAL for what is not a file."""
    if fd is None or fd.path or (read and not fd.readable) or (write and not fd.writable):
        fail("EBADF")
    if fd.inode is None:
        fail("EINVAL")
    return fd.inode


def opened(world: World, inode: Inode, flags: tuple[str, ...], *, invisible: bool = False) -> Descriptor:
    """A descriptor of a file, if it may be opened so."""
    write = "write" in flags
    if "path" in flags:
        return Descriptor(inode, readable=False, writable=False, path=True)
    if "directory" in flags:
        fail("ENOTDIR")
    world.fs.check_alive()
    wanted = 0o2 * write + 0o4 * ("read" in flags or not write)
    if not world.fs.tasks.current.privileged and inode.mode & wanted != wanted:
        fail("EACCES")
    if write and (inode.flags & IMMUTABLE or (inode.flags & APPEND and "append" not in flags)):
        fail("EPERM")
    if "truncate" in flags and inode.flags & APPEND:
        fail("EPERM")
    if (write or "truncate" in flags) and world.fs.read_only:
        fail("EROFS")
    if "truncate" in flags:
        if inode.swapfile:
            fail("ETXTBSY")
        world.fs.truncate(inode, 0)
    return Descriptor(
        inode,
        readable="read" in flags or not write,
        writable=write,
        append="append" in flags,
        direct="direct" in flags,
        sync="sync" in flags or "dsync" in flags,
        noatime="noatime" in flags or invisible,
        invisible=invisible,
    )


@performs(calls.Open)
def _open(world: World, call: calls.Open, pen: Pen) -> Outcome:
    inode = world.fs.lookup(world.machine.files[call.file].path)
    world.open(call.name, call.file, opened(world, inode, call.flags))
    return DONE


@performs(calls.OpenByHandle)
def _open_by_handle(world: World, call: calls.OpenByHandle, pen: Pen) -> Outcome:
    if "handle" not in world.fs.personality.offers:
        fail("ENOTTY")
    if not world.fs.tasks.current.privileged:
        fail("EPERM")
    inode = world.fs.lookup(world.machine.files[call.file].path)
    world.open(call.name, call.file, opened(world, inode, call.flags, invisible=True))
    return DONE


@performs(calls.Become)
def _become(world: World, call: calls.Become, pen: Pen) -> Outcome:
    world.fs.tasks.current.privileged = False
    return DONE


@performs(calls.OpenOther)
def _open_other(world: World, call: calls.OpenOther, pen: Pen) -> Outcome:
    descriptor = None
    if call.what != "bad":
        descriptor = Descriptor(None, kind=call.what, writable=call.what != "directory")
    world.fds[call.name] = descriptor
    return DONE


@performs(calls.Close)
def _close(world: World, call: calls.Close, pen: Pen) -> Outcome:
    world.close(call.file)
    return DONE


def accessed(world: World, fd: Descriptor) -> None:
    """Moves atime as relatime does: when it is not later than the last change, or a day old."""
    inode, fs = fd.inode, world.fs
    if inode is None or fd.noatime or inode.flags & NOATIME or fs.read_only or fs.frozen or fs.shut:
        return
    now = fs.clock.coarse()
    if inode.atime <= inode.mtime or inode.atime <= inode.ctime or now - inode.atime >= _DAY:
        with fs.transaction("atime", inode):
            inode.atime = now


def _reopened(world: World, fd: Descriptor | None, *, write: bool) -> Descriptor:
    """What is behind a call that asks for direct I/O: the descriptor if it is direct, else the file opened anew."""
    if fd is None:
        fail("EBADF")
    if fd.direct:
        return fd
    if fd.inode is None:
        fail("EINVAL")
    return opened(world, fd.inode, ("read", "write", "direct") if write else ("read", "direct"))


def _direct(world: World, fd: Descriptor, span: Span) -> bool:
    """Whether I/O goes past the cache; raises EINVAL where it would have to and can not."""
    if not fd.direct or world.fs.personality.journal_data:
        return False
    if span.offset % SECTOR or span.length % SECTOR:
        if world.fs.personality.copy_on_write:
            return False
        fail("EINVAL")
    return True


@performs(calls.Write)
def _write(world: World, call: calls.Write, pen: Pen) -> Outcome:
    span = call.range.within(world.size(call.file))
    fd = world.fd(call.file)
    if call.direct:
        fd = _reopened(world, fd, write=True)
    if fd is not None and fd.inode is None and fd.writable:
        return DONE
    inode = regular(fd, write=True)
    assert fd is not None
    present: Pieces = []
    if call.bytes == "same":
        present = world.fs.read(inode, span.offset, span.end)
    if span.length == 0:
        return DONE
    write_file(world, fd, inode, span, pen.write(call.bytes, span.offset, span.length, present))
    return DONE


def write_file(world: World, fd: Descriptor, inode: Inode, span: Span, pieces: Pieces) -> None:
    """What write(2) does once it knows its bytes."""
    fs = world.fs
    at = inode.size if fd.append else span.offset
    if inode.swapfile:
        fail("ETXTBSY")
    if inode.flags & IMMUTABLE and not fs.personality.immutable_is_written:
        fail("EPERM")
    if _direct(world, fd, Span(at, span.length)):
        fs.write_direct(inode, at, pieces, invisible=fd.invisible)
    else:
        fs.write(inode, at, pieces, invisible=fd.invisible)
    if fd.sync:
        fs.fsync(inode)


@performs(calls.Submit)
def _submit(world: World, call: calls.Submit, pen: Pen) -> Outcome:
    """It is on the device at once: whatever is done before its result is taken comes after it."""
    if world.submitted:
        fail("EBUSY")
    span = call.range.within(world.size(call.file))
    fd = _reopened(world, world.fd(call.file), write=True)
    inode = regular(fd, write=True)
    write_file(world, fd, inode, span, pen.write("different", span.offset, span.length, []))
    world.submitted = True
    return DONE


@performs(calls.Collect)
def _collect(world: World, call: calls.Collect, pen: Pen) -> Outcome:
    if not world.submitted:
        fail("EINVAL")
    if call.wait:
        world.submitted = False
    return Outcome("OK", {"under_way": int(not call.wait)})


@performs(calls.Read)
def _read(world: World, call: calls.Read, pen: Pen) -> Outcome:
    span = call.range.within(world.size(call.file))
    fd = world.fd(call.file)
    if call.direct:
        fd = _reopened(world, fd, write=False)
    if fd is not None and fd.kind == "directory":
        fail("EISDIR")
    if fd is not None and fd.kind == "null":
        return DONE
    inode = regular(fd, read=True)
    assert fd is not None
    reader = world.fs.read_direct if _direct(world, fd, span) else world.fs.read
    found = reader(inode, span.offset, span.end)
    accessed(world, fd)
    return Outcome(OK, seen=world.machine.reader.runs(found))


@performs(calls.Truncate)
def _truncate(world: World, call: calls.Truncate, pen: Pen) -> Outcome:
    fd = world.fd(call.file)
    if fd is not None and not fd.path and (fd.kind == "directory" or not fd.writable):
        fail("EINVAL")
    inode = regular(fd, write=True)
    if inode.flags & (APPEND | IMMUTABLE):
        fail("EPERM")
    if inode.swapfile and call.size <= inode.size:
        fail("ETXTBSY")
    world.fs.truncate(inode, call.size)
    return DONE


@performs(calls.Fallocate)
def _fallocate(world: World, call: calls.Fallocate, pen: Pen) -> Outcome:
    span = call.range.within(world.size(call.file))
    fs, fd, mode = world.fs, world.fd(call.file), call.mode
    extra = mode not in ("allocate", "keep_size")
    if fd is None or fd.path:
        fail("EBADF")
    if span.offset < 0 or span.length <= 0:
        fail("EINVAL")
    refuse(world, "fallocate", not_writable=not fd.writable)
    inode = fd.inode
    if inode is not None:
        refuse(
            world,
            "fallocate",
            append_only=extra and bool(inode.flags & APPEND),
            immutable=bool(inode.flags & IMMUTABLE),
            swapfile=inode.swapfile,
        )
    refuse(world, "fallocate", is_directory=fd.kind == "directory", not_regular=inode is None)
    assert inode is not None
    ability = "unwritten" if not extra else f"fallocate_{mode}"
    shifts = mode in ("collapse", "insert")
    refuse(
        world,
        "fallocate",
        unsupported=mode not in ("punch", "allocate") and ability not in fs.personality.offers,
        misaligned=shifts and bool(span.offset % fs.block or span.length % fs.block),
        beyond_eof=(mode == "collapse" and span.end >= inode.size) or (mode == "insert" and span.offset >= inode.size),
    )
    start, end, invisible = span.offset, span.end, fd.invisible
    if mode in ("allocate", "keep_size"):
        fs.preallocate(inode, start, end, keep_size=mode == "keep_size", invisible=invisible)
    elif mode in ("zero", "zero_keep_size"):
        fs.zero(inode, start, end, keep_size=mode == "zero_keep_size", invisible=invisible)
    else:
        action = {"punch": fs.punch, "collapse": fs.collapse, "insert": fs.insert, "unshare": fs.unshare}[mode]
        action(inode, start, end, invisible=invisible)
    if fd.sync:
        fs.fsync(inode)
    return DONE


@performs(calls.Fsync)
def _fsync(world: World, call: calls.Fsync, pen: Pen) -> Outcome:
    world.fs.fsync(regular(world.fd(call.file)))
    return DONE


@performs(calls.Sync)
def _sync(world: World, call: calls.Sync, pen: Pen) -> Outcome:
    world.fs.sync()
    return DONE


@performs(calls.DropCaches)
def _drop_caches(world: World, call: calls.DropCaches, pen: Pen) -> Outcome:
    world.fs.drop_caches()
    return DONE
