"""Pristine file systems: made once by a guest's own mkfs, written back in a blink before every trial.

Only the extents that mkfs wrote are kept. Nothing in them is parsed here.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from kernel.linux import libc

_KEEP_SIZE_PUNCH = 3


@dataclass(frozen=True)
class Pristine:
    """A freshly made file system: where its bytes are on the scratch disk, and what they are."""

    size: int
    """Bytes of the whole disk."""
    extents: tuple[tuple[int, bytes], ...]

    @classmethod
    def capture(cls, scratch: Path) -> Pristine:
        """Reads what is not a hole in a raw file; runs of zeros within are left out by the page."""
        found: list[tuple[int, bytes]] = []
        with scratch.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            at = 0
            while at < size:
                try:
                    at = os.lseek(file.fileno(), at, os.SEEK_DATA)
                except OSError:  # ENXIO: only a hole is left
                    break
                end = os.lseek(file.fileno(), at, os.SEEK_HOLE)
                found += _pages(at, os.pread(file.fileno(), end - at, at))
                at = end
        return cls(size, tuple(found))

    def restore(self, scratch: Path) -> None:
        """Makes the raw file hold this file system and nothing else."""
        fd = os.open(scratch, os.O_RDWR | os.O_CLOEXEC)
        try:
            libc.fallocate(fd, _KEEP_SIZE_PUNCH, 0, self.size)
            for at, data in self.extents:
                os.pwrite(fd, data, at)
        finally:
            os.close(fd)

    def save(self, path: Path) -> None:
        """Writes a sparse copy; whole or not at all."""
        temporary = path.with_name(f"{path.name}.{os.getpid()}")
        with temporary.open("wb") as file:
            file.truncate(self.size)
            for at, data in self.extents:
                os.pwrite(file.fileno(), data, at)
        temporary.rename(path)


_PAGE = 4096


def _pages(at: int, data: bytes) -> list[tuple[int, bytes]]:
    """The stretches of `data` that are not zero, in whole pages."""
    found: list[tuple[int, bytes]] = []
    zero = bytes(_PAGE)
    start = -1
    for offset in range(0, len(data) + _PAGE, _PAGE):
        page = data[offset : offset + _PAGE]
        if page and page != zero[: len(page)]:
            start = offset if start < 0 else start
        elif start >= 0:
            found.append((at + start, data[start:offset]))
            start = -1
    return found
