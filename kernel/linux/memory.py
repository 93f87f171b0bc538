"""Mappings, and copies to and from them that survive SIGBUS and SIGSEGV.

A store must be a real one by this process's own page tables: that is what a defragmenter
can lose. So the copy is a plain memory copy, and a handler for the signals puts an
anonymous page under the address that faulted, notes it, and lets the copy go on.
"""

from __future__ import annotations

import ctypes
import os
import signal
import struct
from dataclasses import dataclass

from kernel.linux import libc
from kernel.protocol import OK
from kernel.units import PAGE

PROT = {"none": 0, "read": 1, "write": 3}
_SHARED, _PRIVATE, _FIXED, _ANONYMOUS = 1, 2, 0x10, 0x20
_SA_SIGINFO, _SA_NODEFER = 4, 0x40000000
_SI_ADDR = 16

_HANDLER = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
_faults: list[tuple[int, int]] = []


def _on_fault(number: int, info: int, _context: int) -> None:
    address = struct.unpack("=Q", ctypes.string_at(info + _SI_ADDR, 8))[0]
    if len(_faults) > 1_000_000:
        os._exit(128 + number)
    _faults.append((number, address))
    libc.mmap(address - address % PAGE, PAGE, PROT["write"], _PRIVATE | _FIXED | _ANONYMOUS, -1, 0)


_handler = _HANDLER(_on_fault)


def catch_faults() -> None:
    """Installs the handler; once for each process that makes guarded copies."""
    action = struct.pack("=Q", ctypes.cast(_handler, ctypes.c_void_p).value or 0)
    action += bytes(128) + struct.pack("=i4xQ", _SA_SIGINFO | _SA_NODEFER, 0)
    for number in (signal.SIGBUS, signal.SIGSEGV):
        libc.sigaction(number, ctypes.create_string_buffer(action, len(action)), None)


@dataclass
class Mapping:
    """One mapping of a file. It changes as it is used, so it is not a value."""

    address: int
    length: int
    fd: int
    offset: int
    file: str
    kind: str
    access: str
    touched: bool = False
    broken: bool = False
    """A fault left an anonymous page in it, and the file could not be mapped there again."""

    @classmethod
    def of(cls, fd: int, file: str, offset: int, length: int, kind: str, access: str) -> Mapping:
        """Maps `length` bytes of an open file from `offset` on."""
        flags = _SHARED if kind == "shared" else _PRIVATE
        address = libc.mmap(None, max(length, 1), PROT[access], flags, fd, offset)
        return cls(address, length, fd, offset, file, kind, access)

    def store(self, offset: int, data: bytes) -> str:
        """Copies `data` to file offset `offset`; "OK", or the name of the signal that it met."""
        self.touched = True
        return self._guarded(self.address + offset - self.offset, data, len(data))

    def load(self, offset: int, length: int) -> tuple[str, bytes]:
        """Copies from file offset `offset`; "OK" or the name of a signal, and the bytes."""
        buffer = ctypes.create_string_buffer(length)
        result = self._guarded(ctypes.addressof(buffer), self.address + offset - self.offset, length)
        return result, buffer.raw

    def _guarded(self, to: int, source: bytes | int, length: int) -> str:
        _faults.clear()
        ctypes.memmove(to, source, length)
        if not _faults:
            return OK
        number = _faults[0][0]
        for _, address in _faults:
            self._restore(address - address % PAGE)
        _faults.clear()
        return signal.Signals(number).name

    def _restore(self, page: int) -> None:
        """Maps the file's page again where a fault left an anonymous one."""
        flags = (_SHARED if self.kind == "shared" else _PRIVATE) | _FIXED
        try:
            libc.mmap(page, PAGE, PROT[self.access], flags, self.fd, self.offset + page - self.address)
        except OSError:
            self.broken = True

    def protect(self, access: str) -> None:
        """mprotect(2)."""
        libc.mprotect(self.address, self.length, PROT[access])
        self.access = access

    def lock(self) -> None:
        """mlock(2)."""
        libc.mlock(self.address, self.length)

    def unmap(self) -> None:
        """munmap(2)."""
        libc.munmap(self.address, max(self.length, 1))
