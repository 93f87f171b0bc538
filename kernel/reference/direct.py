"""Direct I/O: past the page cache, and coherent with it."""

from __future__ import annotations

from kernel.reference.contents import Pieces, Tape, cut, length_of
from kernel.reference.data import Data
from kernel.reference.inode import Inode


class Direct(Data):
    """A file system whose files can be read and written past the cache."""

    def read_direct(self, inode: Inode, start: int, end: int) -> Pieces:
        """Reads past the cache, which is written out before."""
        self.enter(inode)
        self.check_alive()
        end = min(end, inode.size)
        if start >= end:
            return []
        self.writeback(inode, start, end)
        first = start // self.block * self.block
        return cut(self.on_device(inode, first, -(-end // self.block) * self.block), start - first, end - first)

    def write_direct(self, inode: Inode, at: int, pieces: Pieces, *, invisible: bool = False) -> None:
        """Writes past the cache, whose pages of the range are written out and dropped before."""
        end = at + length_of(pieces)
        self.begin_change(inode)
        if end == at:
            return
        with self.transaction("write times", inode):
            self.stamp(inode, invisible=invisible)
        self.invalidate(inode, at, end)
        first, last = self.blocks_of(at, end)
        self.reserve(inode, first, last)
        source = Tape()
        source.write(first * self.block, self.on_device(inode, first * self.block, last * self.block))
        if end > inode.size:
            self.zero_cached(inode, inode.size, at)
            source.drop(end, last * self.block)
        source.write(at, pieces)
        inode.size = max(inode.size, end)
        self.store_blocks(inode, [(first, last)], source, inode.size)
