"""Reads from ELF files the little that making an image needs: the libraries a program links to.

It takes only 64-bit little-endian files, which is what all machines of this suite run.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

_PT_LOAD, _PT_DYNAMIC, _PT_INTERP = 1, 2, 3
_DT_NULL, _DT_NEEDED, _DT_STRTAB = 0, 1, 5
_KERNEL_HALF = 1 << 63
"""Addresses from here on belong to the kernel: only a kernel that runs on bare hardware is linked there."""


@dataclass(frozen=True)
class Elf:
    """What one ELF file says of itself."""

    needed: tuple[str, ...]
    """The libraries it links to (DT_NEEDED), in order."""
    interpreter: str | None
    """The dynamic loader it asks for (PT_INTERP), or None."""
    bare_metal: bool
    """True when it is linked into the kernel's half of the address space, as a vmlinux is."""


def read(path: Path) -> Elf | None:
    """The facts about `path`, or None when it is no 64-bit little-endian ELF file.

    Raises OSError when it cannot be read, and ValueError when it is a damaged ELF file."""
    with path.open("rb") as file:
        if file.read(6) != b"\x7fELF\x02\x01":
            return None
    data = path.read_bytes()
    try:
        return _parse(data)
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: damaged ELF file: {error}") from error


def _parse(data: bytes) -> Elf:
    offset, size, count = struct.unpack_from("<Q14xHH", data, 32)
    segments = [struct.unpack_from("<II4Q", data, offset + n * size) for n in range(count)]
    loads = [(address, file_offset) for kind, _, file_offset, address, _, _ in segments if kind == _PT_LOAD]
    interpreter = None
    needed: tuple[str, ...] = ()
    for kind, _, file_offset, _, _, length in segments:
        if kind == _PT_INTERP:
            interpreter = data[file_offset : file_offset + length].rstrip(b"\0").decode()
        elif kind == _PT_DYNAMIC:
            needed = _needed(data, file_offset, length, segments)
    return Elf(needed, interpreter, any(address >= _KERNEL_HALF for address, _ in loads))


def _needed(data: bytes, offset: int, length: int, segments: list[tuple[int, ...]]) -> tuple[str, ...]:
    names: list[int] = []
    table = 0
    for tag, value in struct.iter_unpack("<qQ", data[offset : offset + length]):
        if tag == _DT_NULL:
            break
        if tag == _DT_NEEDED:
            names.append(value)
        elif tag == _DT_STRTAB:
            table = value
    for kind, _, file_offset, address, _, size in segments:
        if kind == _PT_LOAD and address <= table < address + size:
            start = table - address + file_offset
            return tuple(data[start + name : data.index(b"\0", start + name)].decode() for name in names)
    return ()
