"""Performs the calls that move and swap extents, and those on freshness cookies."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import struct

from kernel import abi, calls
from kernel.linux import libc
from kernel.linux.world import DONE, Cookie, Pen, World, performs
from kernel.protocol import OK, Outcome


def bulkstat(world: World, inode: int) -> bytes:
    """The xfs_bstat of an inode, as FSBULKSTAT_SINGLE gives it."""
    number = ctypes.c_uint64(inode)
    count = ctypes.c_int32(0)
    buffer = ctypes.create_string_buffer(abi.BSTAT_SIZE)
    request = abi.BULKREQ.pack(ctypes.addressof(number), 1, 0, ctypes.addressof(buffer), ctypes.addressof(count))
    fcntl.ioctl(world.root, abi.XFS_IOC_FSBULKSTAT_SINGLE, request)
    return buffer.raw


def _take(world: World, fd: int, via: str) -> bytearray:
    if via == "swapext":
        return bytearray(bulkstat(world, libc.statx(fd).inode))
    buffer = bytearray(abi.EXCHANGE_RANGE.size + abi.FRESHNESS_SIZE)
    libc.ioctl(fd, abi.XFS_IOC_START_COMMIT, buffer)
    return buffer[abi.EXCHANGE_RANGE.size :]


@performs(calls.Snapshot)
def _snapshot(world: World, call: calls.Snapshot, pen: Pen) -> Outcome:
    world.cookies[call.cookie] = Cookie(call.via, _take(world, world.fd(call.file), call.via))
    return DONE


@performs(calls.Tamper)
def _tamper(world: World, call: calls.Tamper, pen: Pen) -> Outcome:
    cookie = world.cookies[call.cookie]
    if call.field == "all":
        if call.to != "zero":
            return Outcome("NOFIELD")
        cookie.data = bytearray(len(cookie.data))
        return DONE
    fields = abi.BSTAT_FIELDS if cookie.via == "swapext" else abi.FRESHNESS_FIELDS
    if call.field not in fields:
        return Outcome("NOFIELD")
    offset, kind = fields[call.field]
    value = struct.unpack_from("=" + kind, cookie.data, offset)[0]
    struct.pack_into("=" + kind, cookie.data, offset, 0 if call.to == "zero" else value + 1)
    return DONE


@performs(calls.Exchange)
def _exchange(world: World, call: calls.Exchange, pen: Pen) -> Outcome:
    return _VIA[call.via](world, call)


def _swapext(world: World, call: calls.Exchange) -> Outcome:
    target, donor = world.fd(call.target), world.fd(call.donor)
    span = call.range.within(world.size(call.target))
    if call.cookie is None:
        cookie = bytes(_take(world, target, "swapext")) if target >= 0 else bytes(abi.BSTAT_SIZE)
    else:
        cookie = bytes(world.cookies[call.cookie].data)
    version, pad = call.spoil == "version", call.spoil == "pad"
    argument = abi.SWAPEXT.pack(version, target, donor, span.offset, span.length, pad) + cookie
    fcntl.ioctl(world.root, abi.XFS_IOC_SWAPEXT, argument)
    return DONE


def _exchange_range(world: World, call: calls.Exchange) -> Outcome:
    span = call.range.within(world.size(call.target))
    flags = 0
    for flag in call.flags:
        flags |= abi.EXCHANGE_FLAGS[flag]
    donor_at = span.offset if call.donor_at is None else call.donor_at
    pad = call.spoil == "pad"
    length = 0 if "to_eof" in call.flags else span.length
    argument = abi.EXCHANGE_RANGE.pack(world.fd(call.donor), pad, donor_at, span.offset, length, flags)
    request = abi.XFS_IOC_EXCHANGE_RANGE
    if call.via == "commit_range":
        request = abi.XFS_IOC_COMMIT_RANGE
        if call.cookie is None:
            argument += bytes(_take(world, world.fd(call.target), "commit_range"))
        else:
            argument += bytes(world.cookies[call.cookie].data[: abi.FRESHNESS_SIZE]).ljust(abi.FRESHNESS_SIZE, b"\0")
    libc.ioctl(world.fd(call.target), request, bytearray(argument))
    return DONE


def _move_ext(world: World, call: calls.Exchange) -> Outcome:
    block = world.system.block
    span = call.range.within(world.size(call.target))
    donor_at = span.offset if call.donor_at is None else call.donor_at
    blocks = -(-span.length // block)
    argument = bytearray(
        abi.MOVE_EXTENT.pack(
            call.spoil == "pad", world.fd(call.donor) & 0xFFFFFFFF, span.offset // block, donor_at // block, blocks, 0
        )
    )
    result = OK
    try:
        libc.ioctl(world.fd(call.target), abi.EXT4_IOC_MOVE_EXT, argument)
    except OSError as error:
        result = libc.errno_name(error.errno or 0)
    return Outcome(result, {"moved": abi.MOVE_EXTENT.unpack(argument)[5] * block})


def _move_range(world: World, call: calls.Exchange) -> Outcome:
    span = call.range.within(world.size(call.donor))
    donor_at = span.offset if call.donor_at is None else call.donor_at
    argument = abi.MOVE_RANGE.pack(world.fd(call.target) & 0xFFFFFFFF, donor_at, span.offset, span.length)
    fcntl.ioctl(world.fd(call.donor), abi.F2FS_IOC_MOVE_RANGE, argument)
    return DONE


def _mov_data(world: World, call: calls.Exchange) -> Outcome:
    """No number was ever given to the proposed call, so no Linux offers it."""
    return Outcome("ENOTTY")


_VIA = {
    "swapext": _swapext,
    "exchange_range": _exchange_range,
    "commit_range": _exchange_range,
    "move_ext": _move_ext,
    "move_range": _move_range,
    "mov_data": _mov_data,
}


@performs(calls.SwapBoot)
def _swap_boot(world: World, call: calls.SwapBoot, pen: Pen) -> Outcome:
    fcntl.ioctl(world.fd(call.file), abi.EXT4_IOC_SWAP_BOOT)
    return DONE


@performs(calls.AllocateDelayed)
def _allocate_delayed(world: World, call: calls.AllocateDelayed, pen: Pen) -> Outcome:
    fcntl.ioctl(world.fd(call.file), abi.EXT4_IOC_ALLOC_DA_BLKS)
    return DONE


@performs(calls.Defragment)
def _defragment(world: World, call: calls.Defragment, pen: Pen) -> Outcome:
    argument = abi.DEFRAG_RANGE.pack(0, (1 << 64) - 1, 1, 0xFFFFFFFF, 0)
    fcntl.ioctl(world.fd(call.file), abi.BTRFS_IOC_DEFRAG_RANGE, argument)
    return DONE


@performs(calls.SubvolumeSnapshot)
def _subvolume_snapshot(world: World, call: calls.SubvolumeSnapshot, pen: Pen) -> Outcome:
    argument = bytearray(abi.VOL_ARGS.pack(world.root, f"snapshot_{pen.source}".encode()))
    fcntl.ioctl(world.root, abi.BTRFS_IOC_SNAP_CREATE, argument)
    return DONE


@performs(calls.Balance)
def _balance(world: World, call: calls.Balance, pen: Pen) -> Outcome:
    argument = bytearray(abi.BALANCE_SIZE)
    abi.BALANCE_DATA.pack_into(argument, 0, 1)
    fcntl.ioctl(world.root, abi.BTRFS_IOC_BALANCE_V2, argument)
    return DONE


@performs(calls.Shutdown)
def _shutdown(world: World, call: calls.Shutdown, pen: Pen) -> Outcome:
    fcntl.ioctl(world.root, abi.FS_IOC_SHUTDOWN, struct.pack("=I", abi.SHUTDOWN_MODES[call.mode]))
    return DONE


@performs(calls.Freeze)
def _freeze(world: World, call: calls.Freeze, pen: Pen) -> Outcome:
    libc.ioctl_word(world.root, abi.FIFREEZE, 0)
    world.frozen = True
    return DONE


@performs(calls.Thaw)
def _thaw(world: World, call: calls.Thaw, pen: Pen) -> Outcome:
    libc.ioctl_word(world.root, abi.FITHAW, 0)
    world.frozen = False
    return DONE


def reopen(world: World) -> None:
    """Opens every file of the trial anew after a mount: its own descriptor, and the observer's."""
    world.make_root()
    for name, file in world.files.items():
        try:
            file.observer = os.open(file.path, os.O_RDONLY | os.O_NOATIME | os.O_CLOEXEC)
        except FileNotFoundError:  # unlinked by the trial, or never reached the device before a crash
            file.observer = -1
            continue
        try:
            world.fds[name] = os.open(file.path, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            if error.errno not in (errno.EROFS, errno.EPERM):  # a read-only mount; an immutable or append-only file
                raise
            world.fds[name] = os.open(file.path, os.O_RDONLY | os.O_CLOEXEC)
        world.owners[name] = name
