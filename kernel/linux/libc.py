"""The C library's calls that Python's own modules do not offer, with errors as OSError."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass

_LIBC = ctypes.CDLL(None, use_errno=True)

AT_EMPTY_PATH = 0x1000
STATX_BASIC_AND_BTIME = 0xFFF
_PREFERRED = {errno.EOPNOTSUPP: "EOPNOTSUPP", errno.EDEADLK: "EDEADLK", errno.EAGAIN: "EAGAIN", 524: "ENOTSUPP"}
"""Where Python knows several names for a number, or none."""
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3
_STATX_TIME = struct.Struct("=qI4x")


def errno_name(number: int) -> str:
    """The name of an errno as the kernel's headers and manual pages use it: EBUSY for 16."""
    return _PREFERRED.get(number) or errno.errorcode.get(number, f"errno {number}")


def _function(
    name: str, *arguments: type[ctypes._SimpleCData[object]] | type, result: type = ctypes.c_int
) -> Callable[..., int]:
    function = getattr(_LIBC, name)
    function.argtypes = arguments
    function.restype = result

    def call(*values: object) -> int:
        answer = function(*values)
        if answer == -1 or (result is ctypes.c_void_p and answer == ctypes.c_void_p(-1).value):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return int(answer or 0)

    return call


mount = _function("mount", ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p)
umount2 = _function("umount2", ctypes.c_char_p, ctypes.c_int)
swapon = _function("swapon", ctypes.c_char_p, ctypes.c_int)
swapoff = _function("swapoff", ctypes.c_char_p)
fallocate = _function("fallocate", ctypes.c_int, ctypes.c_int, ctypes.c_long, ctypes.c_long)
mmap = _function(
    "mmap",
    ctypes.c_void_p,
    ctypes.c_size_t,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_long,
    result=ctypes.c_void_p,
)
munmap = _function("munmap", ctypes.c_void_p, ctypes.c_size_t)
mprotect = _function("mprotect", ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
mlock = _function("mlock", ctypes.c_void_p, ctypes.c_size_t)
syncfs = _function("syncfs", ctypes.c_int)
reboot = _function("reboot", ctypes.c_int)
sethostname = _function("sethostname", ctypes.c_char_p, ctypes.c_size_t)
syscall = _function("syscall", ctypes.c_long, ctypes.c_long, ctypes.c_char_p, ctypes.c_long, result=ctypes.c_long)
sigaction = _function("sigaction", ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
_statx = _function("statx", ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_uint, ctypes.c_void_p)
_ioctl_word = _function("ioctl", ctypes.c_int, ctypes.c_ulong, ctypes.c_void_p)


def keep_memory() -> None:
    """Lets the C library keep what is freed instead of giving it back to the kernel: fewer page faults."""
    for parameter, value in ((_M_TRIM_THRESHOLD, 1 << 30), (_M_TOP_PAD, 1 << 22), (_M_MMAP_THRESHOLD, 1 << 30)):
        _LIBC.mallopt(parameter, value)


def ioctl_word(fd: int, request: int, argument: int) -> int:
    """An ioctl whose argument is a number or an address."""
    return _ioctl_word(fd, request, argument)


def ioctl(fd: int, request: int, argument: bytearray) -> int:
    """An ioctl on a structure, which the kernel may change.

    Unlike fcntl.ioctl it lets the kernel refuse a descriptor of -1.
    """
    return _ioctl_word(fd, request, ctypes.addressof(ctypes.c_char.from_buffer(argument)))


@dataclass(frozen=True)
class Statx:
    """What statx(2) says; times in nanoseconds, `blocks` in 512 bytes."""

    links: int
    uid: int
    gid: int
    mode: int
    inode: int
    size: int
    blocks: int
    atime: int
    btime: int
    ctime: int
    mtime: int


def statx(fd: int) -> Statx:
    """The attributes of an open file."""
    buffer = ctypes.create_string_buffer(256)
    _statx(fd, b"", AT_EMPTY_PATH, STATX_BASIC_AND_BTIME, buffer)
    raw = buffer.raw
    links, uid, gid, mode = struct.unpack_from("=IIIH", raw, 16)
    inode, size, blocks = struct.unpack_from("=QQQ", raw, 32)
    times = []
    for at in (64, 80, 96, 112):
        seconds, nanoseconds = _STATX_TIME.unpack_from(raw, at)
        times.append(seconds * 1_000_000_000 + nanoseconds)
    return Statx(links, uid, gid, mode, inode, size, blocks, *times)
