"""Quantities that calls and observations are made of. All of them are in bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NewType

Bytes = NewType("Bytes", int)
"""A size or position in bytes; written in cases as "8b" (blocks), "2p" (pages), "4k", "1m" or "17"."""

FileName = NewType("FileName", str)
"""A file of the trial, as named in its `[files]`."""
FdName = NewType("FdName", str)
"""An open descriptor. Every file has one under its own name (read and write); `open` makes more."""
NewName = NewType("NewName", str)
"""A name that a call gives to what it makes: a descriptor, a mapping, a cookie, a file."""
MapName = NewType("MapName", str)
"""A mapping made by `map`."""
CookieName = NewType("CookieName", str)
"""A freshness cookie taken by `snapshot`."""
ActorName = NewType("ActorName", str)
"""A process of its own, as named in `[actors]`."""

SECTOR = 512
"""Bytes. st_blocks counts in it, and no file system shares less than this between two files."""
PAGE = 4096
"""Bytes in a page of memory and in a slot of a swap area (x86-64)."""


@dataclass(frozen=True)
class Span:
    """A range of a file: `offset` and `length` in bytes. A length of -1 reaches to the end of the file."""

    offset: int
    length: int

    def within(self, size: int) -> Span:
        """The same range with its end fixed for a file of `size` bytes."""
        return self if self.length >= 0 else Span(self.offset, max(0, size - self.offset))

    @property
    def end(self) -> int:
        """The first byte after the range."""
        return self.offset + self.length


WHOLE = Span(0, -1)
