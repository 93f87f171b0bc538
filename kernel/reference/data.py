"""The page cache: reads, writes, writeback.

A write lands in the cache and reserves space; blocks are allocated when it is written back. The
data is on the device before the transaction that maps it commits, so that no crash shows what
lay in the blocks before. Written blocks that nobody shares are overwritten in place, without a transaction.
"""

from __future__ import annotations

from collections.abc import Iterable

from kernel.reference.contents import ZEROS, Pieces, Tape, cut, length_of
from kernel.reference.forks import NOWHERE, UNWRITTEN, WRITTEN, Mapped
from kernel.reference.inode import NOCOW, Inode
from kernel.reference.inodes import Inodes
from kernel.units import PAGE


class Data(Inodes):
    """A file system whose files can be read and written."""

    # --- helpers ------------------------------------------------------------------------------

    @property
    def page(self) -> int:
        """Bytes that the cache holds together."""
        return max(PAGE, self.block)

    def blocks_of(self, start: int, end: int) -> tuple[int, int]:
        """The blocks that a range of bytes touches: first, and the one behind the last."""
        return start // self.block, -(-end // self.block)

    def enter(self, inode: Inode) -> None:
        """Waits until nobody else changes the mappings of the file."""
        if inode.held is not None and inode.held is not self.tasks.current:
            self.tasks.wait(lambda: inode.held is None, f"the lock of inode {inode.number}")

    def overwrites(self, inode: Inode, start: int, count: int, state: str) -> bool:
        """Whether new data goes to the blocks that are there: not if somebody shares them."""
        if self.space.shared(start, count):
            return False
        return not self.personality.copy_on_write or bool(inode.flags & NOCOW) or state == UNWRITTEN

    def parts(self, first: int, last: int, mapped: Mapped) -> list[tuple[int, int, Mapped]]:
        """A mapped stretch, cut where some of its blocks are shared and others not."""
        start, state = mapped
        if start < 0:
            return [(first, last, mapped)]
        refs = self.space.refs.within(start, start + last - first)
        return [(first + a - start, first + b - start, (a, state)) for a, b, _ in refs]

    def stamp(self, inode: Inode, *, modified: bool = True, invisible: bool = False) -> None:
        """Counts a change, and moves ctime, and mtime where data was modified, unless it is invisible."""
        inode.change += 1
        if modified:
            self.strip_privileges(inode)
        if not invisible:
            now = self.now(inode)
            inode.ctime = now
            if modified:
                inode.mtime = now

    def strip_privileges(self, inode: Inode) -> None:
        """Takes setuid and setgid away where an ordinary user changes the data."""
        if not self.tasks.current.privileged:
            inode.mode &= ~0o4000 if not inode.mode & 0o010 else ~0o6000

    # --- the page cache -----------------------------------------------------------------------

    def load(self, inode: Inode, start: int, end: int) -> None:
        """Makes the pages of a range present, from the device where they are not."""
        size = self.page
        for first, last, present in inode.cache.pages.whole(start // size, -(-end // size)):
            if not present:
                self.fill(inode, first * size, last * size)
                inode.cache.pages.put(first, last, True)

    def fill(self, inode: Inode, start: int, end: int) -> None:
        """Reads a range into the cache. What is a hole, unwritten, or behind the end of the file is zero."""
        content = inode.cache.content
        content.write(start, cut(self.on_device(inode, start, end), 0, max(0, min(end, inode.size) - start)))
        content.drop(max(start, min(end, inode.size)), end)

    def on_device(self, inode: Inode, start: int, end: int) -> Pieces:
        """What the device holds for a range of the file, which begins and ends with a block."""
        found: Pieces = []
        for first, last, mapped in inode.data.extents.whole(start // self.block, -(-end // self.block)):
            if mapped is None or mapped[1] != WRITTEN:
                found.append(((last - first) * self.block, ZEROS))
            else:
                at = mapped[0] * self.block
                found += self.disk.device.read(at, at + (last - first) * self.block)
        return found

    def read(self, inode: Inode, start: int, end: int) -> Pieces:
        """What the file holds, as far as it reaches."""
        self.enter(inode)
        self.check_alive()
        end = min(end, inode.size)
        if start >= end:
            return []
        self.load(inode, start, end)
        return inode.cache.content.read(start, end)

    def write(self, inode: Inode, at: int, pieces: Pieces, *, invisible: bool = False) -> None:
        """Writes into the cache."""
        end = at + length_of(pieces)
        self.begin_change(inode)
        if end == at:
            return
        first, last = self.blocks_of(at, end)
        self.reserve(inode, first, last)
        with self.transaction("write times", inode):
            self.stamp(inode, invisible=invisible)
        self.change_cache(inode, at, pieces)
        if end > inode.size:
            self.zero_cached(inode, inode.size, at)
            inode.size = end
        if "delalloc" not in self.personality.offers:
            self.writeback(inode)

    def begin_change(self, inode: Inode) -> None:
        """What every change of a file waits for: the lock of its mappings, and the thaw."""
        self.enter(inode)
        self.wait_thawed()
        self.check_alive()

    def change_cache(self, inode: Inode, at: int, pieces: Pieces) -> None:
        """Puts a content into the cache, and marks its blocks dirty."""
        end = at + length_of(pieces)
        for edge in (at, end):
            if edge % self.page and edge // self.page * self.page < inode.size:
                self.load(inode, edge, edge + 1)
        cache = inode.cache
        cache.content.write(at, pieces)
        cache.pages.put(at // self.page, -(-end // self.page), True)
        cache.dirty.put(*self.blocks_of(at, end), True)

    def zero_cached(self, inode: Inode, start: int, end: int) -> None:
        """Zeroes what the cache has of a range: what a mapping stored behind the end of the file must not come back."""
        inode.cache.content.drop(start, end)

    def reserve(self, inode: Inode, first: int, last: int) -> None:
        """Promises space to the blocks of a range that will need a new place."""
        for start, stop, mapped in inode.data.extents.whole(first, last):
            if mapped is None:
                self.space.reserve(stop - start)
                inode.data.extents.put(start, stop, NOWHERE)
            elif mapped[0] >= 0:
                for a, b, (place, state) in self.parts(start, stop, mapped):
                    if not self.overwrites(inode, place, b - a, state):
                        for c, d, known in inode.cow.whole(a, b):
                            if not known:
                                self.space.reserve(d - c)
                                inode.cow.put(c, d, True)

    # --- writeback ----------------------------------------------------------------------------

    def writeback(self, inode: Inode, start: int = 0, end: int | None = None) -> None:
        """Writes the dirty blocks of a range to the device, and makes stores through mappings fault again."""
        dirty = inode.cache.dirty
        first, last = self.blocks_of(start, dirty.end * self.block if end is None else end)
        ranges = [(a, b) for a, b, _ in dirty.within(first, last)]
        if not ranges:
            return
        self.check_alive()
        if inode.size % self.block:
            self.zero_cached(inode, inode.size, -(-inode.size // self.block) * self.block)
        behind = -(-inode.size // self.block)
        self.store_blocks(
            inode, [(a, min(b, behind)) for a, b in ranges if a < behind], inode.cache.content, inode.size
        )
        for a, b in ranges:
            self.write_protect(inode, a * self.block, b * self.block)
            dirty.drop(a, b)

    def write_protect(self, inode: Inode, start: int, end: int) -> None:
        """Makes stores through mappings fault again; the layer above has the mappings."""
        raise NotImplementedError

    def forget_pages(self, inode: Inode, start: int, end: int) -> None:
        """What becomes of pages that are dropped although a mapping has them; the layer above has the mappings."""
        raise NotImplementedError

    def zap(self, inode: Inode, start: int, end: int) -> None:
        """Takes the pages of a range out of all mappings; the layer above has these."""
        raise NotImplementedError

    def store_blocks(self, inode: Inode, ranges: Iterable[tuple[int, int]], source: Tape, size: int) -> None:
        """Writes blocks of `source` to where they belong, allocating and converting what has no place of its own."""
        moving: list[tuple[int, int, Mapped | None]] = []
        end = 0
        for first, last in ranges:
            end = max(end, last)
            for start, stop, mapped in inode.data.extents.whole(first, last):
                if mapped is None or mapped[0] < 0:
                    moving.append((start, stop, mapped))
                    continue
                for a, b, part in self.parts(start, stop, mapped):
                    if part[1] == WRITTEN and self.overwrites(inode, part[0], b - a, WRITTEN):
                        self.unreserve_cow(inode, a, b)  # the other owner may have gone since
                        self.secure_place(inode, part[0], b - a)
                        self.write_device(part[0], source, a, b)
                    else:
                        moving.append((a, b, part))
        disk_size = max(inode.disk_size, min(size, end * self.block))
        if moving or disk_size != inode.disk_size:
            with self.transaction("writeback", inode):
                for first, last, mapped in moving:
                    self.settle_blocks(inode, first, last, mapped, source)
                inode.disk_size = disk_size

    def settle_blocks(self, inode: Inode, first: int, last: int, mapped: Mapped | None, source: Tape) -> None:
        """Writes blocks that are delayed, unwritten or shared, and maps them as written."""
        extents = inode.data.extents
        with self.transaction("writeback", inode) as into:
            if (
                mapped is not None
                and mapped[1] == UNWRITTEN
                and self.overwrites(inode, mapped[0], last - first, UNWRITTEN)
            ):
                self.unreserve_cow(inode, first, last)
                self.secure_place(inode, mapped[0], last - first)
                self.write_device(mapped[0], source, first, last)
                extents.put(first, last, (mapped[0], WRITTEN))
                return
            if mapped == NOWHERE:
                self.space.unreserve(last - first)
            self.unreserve_cow(inode, first, last)
            at = first
            for place, count in self.allocate(into, last - first, "writeback"):
                self.write_device(place, source, at, at + count)
                extents.put(at, at + count, (place, WRITTEN))
                at += count
            if mapped is not None and mapped[0] >= 0:
                self.release(into, mapped[0], last - first)

    def secure_place(self, inode: Inode, place: int, count: int) -> None:
        """Makes it durable that blocks are the file's, and nobody else's, before they are written in place."""
        if inode.pinned > self.disk.durable_at or self.space.busy.within(place, place + count):
            self.flush_log()

    def write_device(self, place: int, source: Tape, first: int, last: int) -> None:
        """Writes blocks `first` to before `last` of `source` to the device from block `place` on."""
        self.disk.device.write(place * self.block, source.read(first * self.block, last * self.block))

    def unreserve_cow(self, inode: Inode, first: int, last: int) -> None:
        """Takes back what was promised for a new place of a range."""
        self.space.unreserve(sum(b - a for a, b, _ in inode.cow.within(first, last)))
        inode.cow.drop(first, last)

    def invalidate(self, inode: Inode, start: int, end: int) -> None:
        """Writes a range out, and drops it from the cache and from all mappings."""
        size = self.page
        start, end = start // size * size, -(-end // size) * size
        self.writeback(inode, start, end)
        self.zap(inode, start, end)
        self.forget_pages(inode, start, end)
        inode.cache.pages.drop(start // size, end // size)
        inode.cache.content.drop(start, end)

    def fsync(self, inode: Inode) -> None:
        """Makes a file durable."""
        self.check_alive()
        self.writeback(inode)
        if self.disk.durable < len(self.disk.records):
            self.flush_log()

    def sync(self) -> None:
        """Makes everything durable."""
        self.check_alive()
        for inode in list(self.inodes.values()):
            self.writeback(inode)
        self.flush_log()

    def drop_caches(self) -> None:
        """Drops pages that are clean and in no mapping."""
        size = self.page
        for inode in self.inodes.values():
            kept = {
                page
                for a, b, _ in inode.cache.dirty
                for page in range(a * self.block // size, (b - 1) * self.block // size + 1)
            }
            for mapping in inode.maps:
                kept.update(
                    page for a, b, _ in mapping.present for page in range(a * PAGE // size, (b - 1) * PAGE // size + 1)
                )
            for a, b, _ in inode.cache.pages:
                start = a
                for page in [*sorted(page for page in kept if a <= page < b), b]:
                    inode.cache.pages.drop(start, page)
                    inode.cache.content.drop(start * size, page * size)
                    start = page + 1
