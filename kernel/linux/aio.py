"""Performs asynchronous direct writes: io_submit(2), and io_getevents(2) for what became of them."""

from __future__ import annotations

import ctypes
import mmap
import os
import struct
from dataclasses import dataclass

from kernel import calls
from kernel.linux import libc
from kernel.linux.files import aligned, direct_fd
from kernel.linux.world import DONE, Pen, World, performs
from kernel.protocol import OK, Outcome

_SETUP, _DESTROY, _GETEVENTS, _SUBMIT = 206, 207, 208, 209
_IOCB = struct.Struct("=QIIHhIQQqQII")
"""data, key, rw_flags, opcode, reqprio, fildes, buf, nbytes, offset, reserved, flags, resfd."""
_PWRITE = 1
_EVENT = struct.Struct("=QQqq")
"""data, obj, res, res2."""
_NO_TIME = struct.pack("=qq", 0, 0)

_SYSCALL = ctypes.CDLL(None, use_errno=True).syscall


def _call(number: int, *arguments: object) -> int:
    """A system call that the C library has no function for. Whole numbers are passed as long."""
    answer = int(_SYSCALL(*(ctypes.c_long(item) if isinstance(item, int) else item for item in (number, *arguments))))
    if answer == -1:
        failed = ctypes.get_errno()
        raise OSError(failed, os.strerror(failed))
    return answer


@dataclass
class PendingWrite:
    """A write under way, with the memory that the kernel uses meanwhile."""

    context: int
    fd: int
    buffer: mmap.mmap
    length: int
    result: int | None = None
    """Bytes that were written, or a negative errno; None as long as it is not known."""

    def look(self, *, wait: bool) -> None:
        """Asks for the result; with `wait` until there is one."""
        if self.result is None:
            event = ctypes.create_string_buffer(_EVENT.size)
            if _call(_GETEVENTS, self.context, int(wait), 1, event, None if wait else _NO_TIME):
                self.result = _EVENT.unpack(event.raw)[2]

    def end(self) -> None:
        """Gives back what it used; io_destroy(2) waits for it where it is still under way."""
        _call(_DESTROY, self.context)
        os.close(self.fd)


@performs(calls.Submit)
def _submit(world: World, call: calls.Submit, pen: Pen) -> Outcome:
    if world.pending is not None:
        return Outcome("EBUSY")
    span = call.range.within(world.size(call.file))
    fd = direct_fd(world, call.file, os.O_RDWR)
    buffer = aligned(span.length)
    buffer.write(world.palette.encode(pen.source, span.offset, span.length, pen.version))
    address = ctypes.addressof(ctypes.c_char.from_buffer(buffer))
    context = ctypes.c_ulong(0)
    _call(_SETUP, 1, ctypes.byref(context))
    write = PendingWrite(context.value, fd, buffer, span.length)
    packed = _IOCB.pack(0, 0, 0, _PWRITE, 0, fd, address, span.length, span.offset, 0, 0, 0)
    block = ctypes.create_string_buffer(packed, len(packed))
    pointer = ctypes.c_void_p(ctypes.addressof(block))
    try:
        _call(_SUBMIT, write.context, 1, ctypes.byref(pointer))
    except OSError:
        write.end()
        raise
    world.pending = write
    return DONE


@performs(calls.Collect)
def _collect(world: World, call: calls.Collect, pen: Pen) -> Outcome:
    write = world.pending
    if write is None:
        return Outcome("EINVAL")
    write.look(wait=call.wait)
    if not call.wait:
        return Outcome(OK, {"under_way": int(write.result is None)})
    world.pending = None
    write.end()
    assert write.result is not None
    if write.result < 0:
        return Outcome(libc.errno_name(-write.result), {"under_way": 0})
    return Outcome(OK if write.result == write.length else "EIO", {"under_way": 0})
