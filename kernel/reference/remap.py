"""Sharing, moving and swapping extents between files.

Before mappings change, both files are locked, what is dirty is written, and the pages are taken
out of the cache and of all mappings. Each change is one transaction.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from kernel.reference.contents import Tape
from kernel.reference.forks import UNWRITTEN, WRITTEN, Mapped
from kernel.reference.inode import Inode
from kernel.reference.log import Transaction
from kernel.reference.memory import Memory

BOOT_INODE = 5
"""Holds the boot loader; no name leads to it."""


class Remap(Memory):
    """A file system whose files can exchange extents."""

    @contextmanager
    def locked(self, *inodes: Inode) -> Iterator[None]:
        """Keeps everybody else from the mappings and pages of the files. Others run, and wait where they need these."""
        self.wait_thawed()
        for inode in inodes:
            self.enter(inode)
        for inode in inodes:
            inode.held = self.tasks.current
        try:
            self.tasks.preempt()
            yield
        finally:
            for inode in inodes:
                inode.held = None

    def flush_and_drop(self, inode: Inode, start: int, end: int) -> None:
        """Writes the dirty pages of a range, and drops it from the cache and all mappings."""
        self.invalidate(inode, start, end)

    def whole(self, inode: Inode) -> int:
        """The end of all that a file has, in bytes, preallocation behind its end included."""
        return max(inode.size, inode.data.extents.end * self.block)

    # --- sharing ------------------------------------------------------------------------------

    def share_range(self, source: Inode, at: int, target: Inode, to: int, length: int, *, stamp: bool) -> None:
        """Makes a range of the target share the blocks of a range of the source."""
        self.writeback(source)
        self.flush_and_drop(target, to, to + length)
        with self.transaction("share", target, source) as into:
            first, last = self.blocks_of(at, at + length)
            by = to // self.block - first
            mapped = [each for each in source.data.extents.within(first, last) if each[2][1] == WRITTEN]
            for a, b, (place, _) in mapped:
                self.share(into, place, b - a)
            self.unmap_blocks(into, target, first + by, last + by)
            for a, b, (place, _) in mapped:
                target.data.extents.put(a + by, b + by, (place, WRITTEN))
            if to + length > target.size:
                self.zero_cached(target, target.size, to)
                target.size = to + length
            target.disk_size = target.size
            if stamp:
                self.stamp(target)

    # --- whole forks --------------------------------------------------------------------------

    def swap_forks(self, one: Inode, other: Inode) -> None:
        """Swaps the data forks of two files, trees included, whose blocks then name their new inode."""
        with self.transaction("swap forks", one, other) as into:
            one.data, other.data = other.data, one.data
            for inode in (one, other):
                self.take_over_tree(into, inode)
                self.count_swap(inode)

    def take_over_tree(self, into: Transaction, inode: Inode) -> None:
        """Makes every block of the tree of a file name it as owner."""
        for number in inode.data.blocks:
            block = self.metadata[number]
            if block.owner != inode.number:
                self.log_block(into, number, block._replace(owner=inode.number))

    def count_swap(self, inode: Inode) -> None:
        """Counts the change of a file whose extents were swapped, which moves none of its times."""
        inode.change += 1
        self.strip_privileges(inode)

    # --- mappings -----------------------------------------------------------------------------

    def cut_out(self, inode: Inode, first: int, last: int) -> list[tuple[int, int, Mapped]]:
        """Takes the mappings of a range out of a file; positions are counted from its start."""
        found = [(a - first, b - first, mapped) for a, b, mapped in inode.data.extents.within(first, last)]
        inode.data.extents.drop(first, last)
        return found

    def put_in(self, inode: Inode, first: int, mappings: list[tuple[int, int, Mapped]]) -> None:
        """Puts mappings into a hole of a file."""
        for a, b, mapped in mappings:
            inode.data.extents.put(first + a, first + b, mapped)

    def exchange_mappings(self, one: Inode, at: int, other: Inode, to: int, count: int, *, written_only: bool) -> None:
        """Exchanges the mappings of two ranges of `count` blocks. `written_only`: only where `one` has written data."""
        stretches = [(0, count)]
        if written_only:
            found = one.data.extents.within(at, at + count)
            stretches = [(a - at, b - at) for a, b, mapped in found if mapped[1] == WRITTEN]
        for a, b in stretches:
            mine, theirs = self.cut_out(one, at + a, at + b), self.cut_out(other, to + a, to + b)
            self.put_in(one, at + a, theirs)
            self.put_in(other, to + a, mine)

    def move_mappings(self, into: Transaction, source: Inode, at: int, target: Inode, to: int, count: int) -> None:
        """Moves mappings: the target loses what it had there, the source has a hole."""
        self.unmap_blocks(into, target, to, to + count)
        self.put_in(target, to, self.cut_out(source, at, at + count))

    # --- onto a donor's blocks -------------------------------------------------------------------

    def move_onto_donor(self, original: Inode, at: int, donor: Inode, to: int, count: int) -> int:
        """Moves data of the original onto the donor's blocks; the donor gets those of the original, unwritten.

        Holes of either are left out. Returns how many blocks were moved. The donor's blocks
        become unwritten before they are overwritten, so that no crash shows the original's data in the donor."""
        pairs = [
            (a, b, mine, theirs)
            for first, last, whole in original.data.extents.allocated(at, at + count)
            for a, b, mine, theirs in self._pairs(first, last, whole, donor, to - at)
        ]
        if not pairs:
            return 0
        self.flush_and_drop(donor, to * self.block, (to + count) * self.block)
        with self.transaction("move onto donor: give up", donor):
            for a, b, _, theirs in pairs:
                donor.data.extents.put(a + to - at, b + to - at, (theirs[0], UNWRITTEN))
        self.flush_log()
        for a, b, mine, theirs in pairs:
            if mine[1] == WRITTEN:
                source = Tape()
                source.write(a * self.block, self.on_device(original, a * self.block, b * self.block))
                self.write_device(theirs[0], source, a, b)
        with self.transaction("move onto donor", original, donor):
            for a, b, mine, theirs in pairs:
                original.data.extents.put(a, b, (theirs[0], mine[1]))
                donor.data.extents.put(a + to - at, b + to - at, (mine[0], UNWRITTEN))
            self.count_swap(original)
            self.count_swap(donor)
        return sum(b - a for a, b, _, _ in pairs)

    def _pairs(
        self, first: int, last: int, mine: Mapped, donor: Inode, by: int
    ) -> Iterator[tuple[int, int, Mapped, Mapped]]:
        """A stretch of the original, cut where the donor has stretches."""
        for a, b, theirs in donor.data.extents.allocated(first + by, last + by):
            yield a - by, b - by, (mine[0] + a - by - first, mine[1]), theirs

    # --- the boot loader, defragmentation ---------------------------------------------------------

    def swap_boot(self, inode: Inode) -> None:
        """Swaps a file with the boot loader inode: data and size."""
        boot = self.inodes.get(BOOT_INODE) or Inode(BOOT_INODE, 1)
        self.inodes[BOOT_INODE] = boot
        with self.locked(inode):
            self.flush_and_drop(inode, 0, self.whole(inode))
            self.flush_and_drop(boot, 0, self.whole(boot))
            with self.transaction("swap boot", inode, boot):
                self.swap_forks(inode, boot)
                inode.size, boot.size = boot.size, inode.size
                inode.disk_size, boot.disk_size = inode.size, boot.size
                self.stamp(inode)

    def defragment(self, inode: Inode) -> None:
        """Rewrites a file to blocks that lie together."""
        with self.locked(inode):
            pieces = [each for each in inode.data.extents.allocated() if each[2][1] == WRITTEN]
            if len(pieces) > 1:
                for a, b, _ in pieces:
                    self.rewrite(inode, a, b)
                self.writeback(inode)
