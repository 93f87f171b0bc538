"""Truncate and fallocate: what changes the size of a file, and which of its blocks are mapped."""

from __future__ import annotations

from kernel.reference.contents import ZEROS
from kernel.reference.direct import Direct
from kernel.reference.forks import NOWHERE, UNWRITTEN, WRITTEN
from kernel.reference.inode import Inode
from kernel.reference.log import Transaction


class Ranges(Direct):
    """A file system whose files have ranges that can be mapped and unmapped."""

    def unmap_blocks(self, into: Transaction, inode: Inode, first: int, last: int) -> None:
        """Makes a hole: gives back the blocks of a range, and what was promised to it."""
        for a, b, (place, _) in inode.data.extents.within(first, last):
            if place < 0:
                self.space.unreserve(b - a)
            else:
                self.release(into, place, b - a)
        inode.data.extents.drop(first, last)
        self.unreserve_cow(inode, first, last)
        inode.cache.dirty.drop(first, last)
        self.zero_cached(inode, first * self.block, last * self.block)

    def zero_bytes(self, inode: Inode, start: int, end: int) -> None:
        """Zeroes a part of a block through the cache, where there is anything but zeros."""
        mapped = inode.data.extents.get(start // self.block)
        if (
            start < end
            and mapped is not None
            and (mapped[1] != UNWRITTEN or inode.cache.dirty.get(start // self.block))
        ):
            self.reserve(inode, *self.blocks_of(start, end))
            self.change_cache(inode, start, [(end - start, ZEROS)])
        elif start < end:
            self.zero_cached(inode, start, end)

    def truncate(self, inode: Inode, size: int, *, invisible: bool = False) -> None:
        """Sets the size."""
        self.begin_change(inode)
        behind = -(-size // self.block)
        if size < inode.size:
            self.zero_bytes(inode, size, min(behind * self.block, inode.size))
            self.zap(inode, -(-size // self.page) * self.page, 1 << 62)
        elif size > inode.size:
            self.zero_cached(inode, inode.size, size)
        with self.transaction("truncate", inode) as into:
            self.stamp(inode, invisible=invisible)
            if size <= inode.size:
                self.unmap_blocks(into, inode, behind, max(inode.data.extents.end, behind))
                inode.cache.content.drop(size, 1 << 62)
                inode.cache.pages.drop(-(-size // self.page), 1 << 62)
                inode.cache.dirty.drop(behind, 1 << 62)
            inode.size = inode.disk_size = size

    def preallocate(self, inode: Inode, start: int, end: int, *, keep_size: bool, invisible: bool = False) -> None:
        """Gives every hole of a range unwritten blocks."""
        self.begin_change(inode)
        first, last = self.blocks_of(start, end)
        with self.transaction("preallocate", inode) as into:
            for a, b, mapped in inode.data.extents.whole(first, last):
                if mapped is None:
                    self._give_unwritten(into, inode, a, b)
            self._grow(inode, 0 if keep_size else end)
            self.stamp(inode, invisible=invisible)

    def _give_unwritten(self, into: Transaction, inode: Inode, first: int, last: int) -> None:
        for place, count in self.allocate(into, last - first, "preallocation"):
            inode.data.extents.put(first, first + count, (place, UNWRITTEN))
            first += count

    def _grow(self, inode: Inode, size: int) -> None:
        if size > inode.size:
            self.zero_cached(inode, inode.size, size)
            inode.size = inode.disk_size = size

    def punch(self, inode: Inode, start: int, end: int, *, invisible: bool = False) -> None:
        """Makes a hole of the whole blocks of a range, and zeroes the rest of it."""
        self.begin_change(inode)
        inner = self._zero_edges(
            inode, start, min(end, -(-inode.size // self.block) * self.block if end > inode.size else end)
        )
        with self.transaction("punch", inode) as into:
            self.unmap_blocks(into, inode, *inner)
            self.stamp(inode, invisible=invisible)

    def _zero_edges(self, inode: Inode, start: int, end: int) -> tuple[int, int]:
        """Drops a range from the cache and zeroes what is not a whole block; the blocks that are whole."""
        if start >= end:
            return 0, 0
        self.invalidate(inode, start, end)
        first, last = -(-start // self.block), end // self.block
        if first > last:
            self.zero_bytes(inode, start, end)
            return 0, 0
        self.zero_bytes(inode, start, min(first * self.block, end))
        self.zero_bytes(inode, last * self.block, end)
        return first, last

    def zero(self, inode: Inode, start: int, end: int, *, keep_size: bool, invisible: bool = False) -> None:
        """Makes a range read as zeros, with blocks behind all of it: written ones become unwritten."""
        self.begin_change(inode)
        first, last = self._zero_edges(inode, start, end)
        self.zero_cached(inode, first * self.block, last * self.block)
        inode.cache.dirty.drop(first, last)
        with self.transaction("zero range", inode) as into:
            for a, b, mapped in inode.data.extents.whole(first, last):
                for c, d, part in self.parts(a, b, mapped) if mapped else ():
                    if part[0] >= 0 and not self.space.shared(part[0], d - c):
                        inode.data.extents.put(c, d, (part[0], UNWRITTEN))
                    else:
                        self.unmap_blocks(into, inode, c, d)
            for a, b, mapped in inode.data.extents.whole(*self.blocks_of(start, end)):
                if mapped is None:
                    self._give_unwritten(into, inode, a, b)
            self._grow(inode, 0 if keep_size else end)
            self.stamp(inode, invisible=invisible)

    def collapse(self, inode: Inode, start: int, end: int, *, invisible: bool = False) -> None:
        """Takes a range of whole blocks out of the file; what is behind it moves down."""
        self.begin_change(inode)
        self.invalidate(inode, start, max(inode.size, inode.data.extents.end * self.block))
        first, last = start // self.block, end // self.block
        with self.transaction("collapse", inode) as into:
            self.unmap_blocks(into, inode, first, last)
            inode.data.extents.shift(last, first - last)
            inode.size -= end - start
            inode.disk_size = inode.size
            self.stamp(inode, invisible=invisible)

    def insert(self, inode: Inode, start: int, end: int, *, invisible: bool = False) -> None:
        """Puts a hole of whole blocks into the file; what is behind it moves up."""
        self.begin_change(inode)
        self.invalidate(inode, start, max(inode.size, inode.data.extents.end * self.block))
        with self.transaction("insert", inode):
            inode.data.extents.shift(start // self.block, (end - start) // self.block)
            inode.size += end - start
            inode.disk_size = inode.size
            self.stamp(inode, invisible=invisible)

    def unshare(self, inode: Inode, start: int, end: int, *, invisible: bool = False) -> None:
        """Gives the file blocks of its own where it shares some."""
        self.begin_change(inode)
        end = min(end, inode.size)
        for a, b, mapped in inode.data.extents.within(*self.blocks_of(start, end)):
            for c, d, (place, state) in self.parts(a, b, mapped):
                if place >= 0 and state == WRITTEN and self.space.shared(place, d - c):
                    self.rewrite(inode, c, d)
        self.writeback(inode, start, end)
        with self.transaction("unshare", inode):
            self.stamp(inode, invisible=invisible)

    def rewrite(self, inode: Inode, first: int, last: int) -> None:
        """Makes blocks dirty with what they hold."""
        start, end = first * self.block, min(last * self.block, inode.size)
        if start < end:
            self.load(inode, start, end)
            self.reserve(inode, first, last)
            inode.cache.dirty.put(first, last, True)

    def allocate_delayed(self, inode: Inode) -> None:
        """Allocates what is only reserved."""
        if any(mapped == NOWHERE for _, _, mapped in inode.data.extents):
            self.writeback(inode)
