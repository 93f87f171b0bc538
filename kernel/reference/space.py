"""The blocks of the device: how often each is referenced, which are free, and how many are promised.

A block that lost an owner is busy until that is durable: given out again or overwritten before,
it would be so in the file that it belonged to, which a crash brings back.
"""

from __future__ import annotations

import errno

from kernel.reference.contents import GARBAGE, Pieces, Tape
from kernel.reference.spans import Spans


class Device:
    """A block device: contents by byte."""

    def __init__(self, blocks: int, block: int) -> None:
        self.blocks, self.block = blocks, block
        self._data = Tape(GARBAGE)

    def read(self, start: int, end: int) -> Pieces:
        """The content between two byte positions."""
        return self._data.read(start, end)

    def write(self, start: int, pieces: Pieces) -> None:
        """Puts a content at a byte position."""
        self._data.write(start, pieces)


class Space:
    """Reference counts of all blocks, as memory knows them."""

    def __init__(self, blocks: int, first: int, align: int) -> None:
        self.blocks, self.first, self.align = blocks, first, align
        """How many there are, the first one that files may have, and how many make a page."""
        self.refs: Spans[int] = Spans()
        self.busy: Spans[bool] = Spans()
        self.free = blocks - first
        self.reserved = 0
        self._rotor = first

    @property
    def available(self) -> int:
        """Free blocks that are not promised to anyone."""
        return self.free - self.reserved

    def reserve(self, count: int) -> None:
        """Promises blocks that will be allocated later; raises ENOSPC."""
        if count > self.available:
            raise OSError(errno.ENOSPC, "no space left")
        self.reserved += count

    def unreserve(self, count: int) -> None:
        """Takes a promise back."""
        self.reserved -= count

    def find(self, count: int) -> tuple[int, int]:
        """A free stretch (first block, length): long enough if there is one, else the longest. Length 0: none."""
        best = (0, 0)
        for start in (self._rotor, self.first):
            at = start
            for first, last, _ in [*self.refs.within(start, self.blocks), (self.blocks, self.blocks, 0)]:
                while at < first:
                    taken = self.busy.within(at, first)
                    stop = taken[0][0] if taken else first
                    if count >= self.align:
                        at = min(stop, -(-at // self.align) * self.align)
                    if stop - at > best[1]:
                        best = (at, stop - at)
                    if stop - at >= count:
                        return at, count
                    at = taken[0][1] if taken else first
                at = last
        return best

    def take(self, start: int, count: int) -> None:
        """Makes free blocks referenced once."""
        self.refs.put(start, start + count, 1)
        self.free -= count
        self._rotor = start + count

    def change(self, start: int, count: int, by: int) -> None:
        """Adds to the reference counts of a stretch."""
        for first, last, refs in self.refs.whole(start, start + count):
            now = (refs or 0) + by
            if now < 0:
                raise AssertionError(f"blocks {first} to {last - 1} are released, and nobody has them")
            if now == 0:
                self.refs.drop(first, last)
                self.free += last - first
            else:
                if not refs:
                    self.free -= last - first
                self.refs.put(first, last, now)

    def shared(self, start: int, count: int) -> bool:
        """Whether any block of a stretch is referenced more than once."""
        return any(refs > 1 for _, _, refs in self.refs.within(start, start + count))
