"""Performs the calls on attributes and names."""

from __future__ import annotations

from kernel import abi, calls
from kernel.protocol import Outcome
from kernel.reference.calls_data import regular
from kernel.reference.forks import WRITTEN
from kernel.reference.inode import APPEND, COMPRESS, EXTENTS, IMMUTABLE, JOURNAL_DATA, NOCOW, Inode
from kernel.reference.world import DONE, Descriptor, Pen, World, fail, performs

_PAST = 1_000_000_000 * 10**9
_LARGEST_XATTR = 65536
_POINTERS = 12
"""Blocks that the inode of an ext4 file without extents points to directly."""


def _attributes(world: World, name: str) -> Inode:
    """The file whose attributes a call changes."""
    fd: Descriptor | None = world.fd(name)
    inode = regular(fd)
    world.fs.wait_thawed()
    world.fs.check_alive()
    if inode.flags & (IMMUTABLE | APPEND) or not world.fs.tasks.current.privileged:
        fail("EPERM")
    return inode


@performs(calls.Chmod)
def _chmod(world: World, call: calls.Chmod, pen: Pen) -> Outcome:
    inode = _attributes(world, call.file)
    with world.fs.transaction("chmod", inode):
        if call.mode != "same":
            inode.mode = inode.mode & ~0o7777 | int(call.mode, 8)
        world.fs.stamp(inode, modified=False)
    return DONE


@performs(calls.SetXattr)
def _setxattr(world: World, call: calls.SetXattr, pen: Pen) -> Outcome:
    inode = _attributes(world, call.file)
    if "xattrs" not in world.fs.personality.offers or "." not in call.name:
        fail("EOPNOTSUPP")
    if call.size > _LARGEST_XATTR:
        fail("E2BIG")
    with world.fs.transaction("setxattr", inode):
        inode.xattrs[call.name] = (pen.source.encode() * call.size)[: call.size]
        world.fs.stamp(inode, modified=False)
    return DONE


@performs(calls.Utimes)
def _utimes(world: World, call: calls.Utimes, pen: Pen) -> Outcome:
    inode = _attributes(world, call.file)
    fs = world.fs
    with fs.transaction("utimes", inode):
        fs.stamp(inode, modified=False)
        if call.to == "now":
            inode.atime = inode.mtime = fs.clock.coarse()
        else:
            inode.mtime = _PAST if call.to == "past" else inode.mtime
            inode.atime = inode.mtime
    return DONE


def _leaves(inode: Inode) -> None:
    """Refuses to take a name from a file that must keep it."""
    if inode.swapfile or inode.flags & (IMMUTABLE | APPEND):
        fail("EPERM")


@performs(calls.Rename)
def _rename(world: World, call: calls.Rename, pen: Pen) -> Outcome:
    fs, file = world.fs, world.machine.files[call.file]
    fs.wait_thawed()
    fs.check_alive()
    new = world.machine.files[call.over].path if call.over else file.path + ".renamed"
    inode = fs.lookup(file.path)
    _leaves(inode)
    replaced = fs.inodes[fs.names[new]] if new in fs.names else None
    if replaced is inode:
        return DONE
    if replaced is not None:
        _leaves(replaced)
    with fs.transaction("rename", inode, *([replaced] if replaced else [])) as into:
        fs.set_name(into, file.path, None)
        fs.set_name(into, new, inode.number)
        fs.stamp(inode, modified=False)
        if replaced is not None:
            replaced.links -= 1
            fs.stamp(replaced, modified=False)
    file.path = new
    _end(world, replaced)
    return DONE


def _end(world: World, inode: Inode | None) -> None:
    if inode is not None and inode.links == 0 and inode.opens == 0:
        world.fs.evict(inode)


@performs(calls.Link)
def _link(world: World, call: calls.Link, pen: Pen) -> Outcome:
    fs, path = world.fs, world.machine.files[call.file].path
    fs.wait_thawed()
    fs.check_alive()
    inode = fs.lookup(path)
    if inode.flags & (IMMUTABLE | APPEND) or not fs.tasks.current.privileged:
        fail("EPERM")
    if path + ".link" in fs.names:
        fail("EEXIST")
    with fs.transaction("link", inode) as into:
        fs.set_name(into, path + ".link", inode.number)
        inode.links += 1
        fs.stamp(inode, modified=False)
    return DONE


@performs(calls.Unlink)
def _unlink(world: World, call: calls.Unlink, pen: Pen) -> Outcome:
    path = world.machine.files[call.file].path
    world.fs.wait_thawed()
    world.fs.check_alive()
    unlink(world, path if call.name == "own" else path + ".link")
    return DONE


def unlink(world: World, path: str) -> None:
    """Takes a name away."""
    fs = world.fs
    inode = fs.lookup(path)
    _leaves(inode)
    with fs.transaction("unlink", inode) as into:
        fs.set_name(into, path, None)
        inode.links -= 1
        fs.stamp(inode, modified=False)
    _end(world, inode)


@performs(calls.SetFlags)
def _set_flags(world: World, call: calls.SetFlags, pen: Pen) -> Outcome:
    fs = world.fs
    inode = regular(world.fd(call.file))
    fs.wait_thawed()
    fs.check_alive()
    if not fs.tasks.current.privileged:
        fail("EPERM")
    if not {*call.set, *call.clear} <= fs.personality.flags:
        fail("EOPNOTSUPP")
    flags = inode.flags
    for name in call.set:
        flags |= abi.INODE_FLAGS[name]
    for name in call.clear:
        flags &= ~abi.INODE_FLAGS[name]
    set_flags(world, inode, flags)
    return DONE


def _fits_pointers(world: World, inode: Inode) -> bool:
    """Whether a file can be mapped by the block pointers in its inode: it is short, and in one written piece."""
    world.fs.writeback(inode)
    stretches = list(inode.data.extents)
    return not stretches or (len(stretches) == 1 and stretches[0][2][1] == WRITTEN and stretches[0][1] <= _POINTERS)


def set_flags(world: World, inode: Inode, flags: int) -> None:
    """Changes inode flags, unless that would change how an active swap area is laid out."""
    fs = world.fs
    changed = inode.flags ^ flags
    if inode.swapfile and changed & JOURNAL_DATA:
        fail("EPERM")
    if changed & EXTENTS and (inode.swapfile or not _fits_pointers(world, inode)):
        fail("EOPNOTSUPP")
    if inode.swapfile and changed & COMPRESS:
        fail("ETXTBSY")
    if flags & COMPRESS and flags & NOCOW:
        fail("EINVAL")
    if changed & NOCOW and inode.size:
        flags = flags & ~NOCOW | inode.flags & NOCOW
    with fs.transaction("setflags", inode):
        inode.flags = flags
        fs.stamp(inode, modified=False)
