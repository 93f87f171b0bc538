"""Mappings: which pages a process has, and whether a store through them faults.

A page that is present and writable is stored to silently: no fault, no time stamp, nobody knows.
That is why writeback write-protects, and why whoever moves data must take the pages away first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from kernel.protocol import OK
from kernel.reference.contents import Pieces, Tape, cut
from kernel.reference.inode import IMMUTABLE, Inode
from kernel.reference.ranges import Ranges
from kernel.reference.spans import Spans
from kernel.units import PAGE

READ_ONLY, WRITABLE = "read only", "writable"


@dataclass(eq=False)
class Mapping:
    """One mapping of a file in one process."""

    inode: Inode
    file: str
    offset: int
    length: int
    shared: bool
    access: str
    """"none", "read" or "write"."""
    may_write: bool = True
    """The descriptor that it was made of allows stores to the file."""
    invisible: bool = False
    present: Spans[str] = field(default_factory=Spans)
    """Pages that the process has, by page of the file: "read only" or "writable"."""
    own: Spans[bool] = field(default_factory=Spans)
    """Pages of a private mapping that are copies of its own, by page of the file."""
    copies: Tape = field(default_factory=Tape)
    touched: bool = False

    def forked(self) -> Mapping:
        """What a child gets: its pages are not there until it faults, but for private copies."""
        child = Mapping(
            self.inode, self.file, self.offset, self.length, self.shared, self.access, self.may_write, self.invisible
        )
        child.own.load(self.own.image())
        child.copies.load(self.copies.image())
        child.touched = self.touched
        return child


class Memory(Ranges):
    """A file system whose files can be mapped."""

    def map(self, mapping: Mapping) -> None:
        """Adds a mapping to its file."""
        mapping.inode.maps.append(mapping)
        mapping.inode.opens += 1

    def unmap(self, mapping: Mapping) -> None:
        """Removes it."""
        mapping.inode.maps.remove(mapping)
        self.put(mapping.inode)

    def write_protect(self, inode: Inode, start: int, end: int) -> None:
        """Makes the next store through any mapping of a range fault."""
        for mapping in inode.maps:
            for a, b, state in mapping.present.within(start // PAGE, -(-end // PAGE)):
                if state == WRITABLE:
                    mapping.present.put(a, b, READ_ONLY)

    def zap(self, inode: Inode, start: int, end: int) -> None:
        """Takes the pages of a range out of all mappings: the next load or store faults. Private copies stay."""
        for mapping in inode.maps:
            mapping.present.drop(start // PAGE, -(-end // PAGE))

    def load_through(self, mapping: Mapping, start: int, end: int) -> tuple[str, Pieces]:
        """Loads from a range: "OK" or the signal, and what is there."""
        if mapping.access == "none":
            return "SIGSEGV", []
        if start < mapping.offset or end > mapping.offset + -(-mapping.length // PAGE) * PAGE:
            return "SIGSEGV", []
        if end > -(-mapping.inode.size // PAGE) * PAGE:
            return "SIGBUS", []
        if start >= end:
            return OK, []
        if self.shut and any(not own for _, _, own in mapping.present.whole(start // PAGE, -(-end // PAGE))):
            return "SIGBUS", []
        self.fault_in(mapping, start, end)
        content = mapping.inode.cache.content.read(start, end)
        for a, b, _ in mapping.own.within(start // PAGE, -(-end // PAGE)):
            first, last = max(a * PAGE, start), min(b * PAGE, end)
            before, behind = cut(content, 0, first - start), cut(content, last - start, end - start)
            content = [*before, *mapping.copies.read(first, last), *behind]
        return OK, content

    def fault_in(self, mapping: Mapping, start: int, end: int) -> None:
        """Makes the pages of a range present for loads."""
        for a, b, state in mapping.present.whole(start // PAGE, -(-end // PAGE)):
            if state is None:
                self.enter(mapping.inode)
                self.load(mapping.inode, a * PAGE, b * PAGE)
                mapping.present.put(a, b, READ_ONLY)

    def store_through(self, mapping: Mapping, start: int, pieces: Pieces) -> str:
        """Stores, page by page: "OK", or the signal that the first refused page met; the others are stored."""
        mapping.touched = True
        met = OK
        for first, part in _by_page(start, pieces):
            result = self._store_page(mapping, first, part)
            met = result if met == OK else met
        return met

    def _store_page(self, mapping: Mapping, at: int, pieces: Pieces) -> str:
        page, inode = at // PAGE, mapping.inode
        if mapping.access != "write" or at < mapping.offset:
            return "SIGSEGV"
        if page >= mapping.offset // PAGE + -(-mapping.length // PAGE):
            return "SIGSEGV"
        if not mapping.shared:
            if page >= -(-inode.size // PAGE):
                return "SIGBUS"
            self.copy_page(mapping, page)
            mapping.copies.write(at, pieces)
            return OK
        if mapping.present.get(page) != WRITABLE:
            result = self.make_writable(mapping, page)
            if result != OK:
                return result
        inode.cache.content.write(at, pieces)
        return OK

    def copy_page(self, mapping: Mapping, page: int) -> None:
        """Gives a private mapping a copy of its own."""
        if not mapping.own.get(page):
            self.fault_in(mapping, page * PAGE, page * PAGE + 1)
            mapping.copies.write(page * PAGE, mapping.inode.cache.content.read(page * PAGE, (page + 1) * PAGE))
            mapping.own.put(page, page + 1, True)

    def make_writable(self, mapping: Mapping, page: int) -> str:
        """The fault of the first store to a clean page: the file learns that it will change."""
        inode = mapping.inode
        self.begin_fault(inode)
        if self.shut or page >= -(-inode.size // PAGE) or self.refuses_store(inode):
            return "SIGBUS"
        start = page * PAGE
        end = min(start + PAGE, -(-inode.size // self.block) * self.block)
        first, last = self.blocks_of(start, end)
        try:
            self.load(inode, start, end)
            self.reserve(inode, first, last)
        except OSError:
            return "SIGBUS"
        with self.transaction("page fault", inode):
            self.stamp(inode, invisible=mapping.invisible)
        inode.cache.dirty.put(first, last, True)
        mapping.present.put(page, page + 1, WRITABLE)
        return OK

    def begin_fault(self, inode: Inode) -> None:
        """Faults are excluded while mappings change, and while the file system is frozen."""
        self.enter(inode)
        self.wait_thawed()

    def refuses_store(self, inode: Inode) -> bool:
        """Whether no page of the file may become writable: it is an active swap area, or immutable."""
        return inode.swapfile or (bool(inode.flags & IMMUTABLE) and not self.personality.immutable_is_written)

    def lock(self, mapping: Mapping) -> None:
        """mlock(2): all pages become present, those of a writable private mapping as copies."""
        end = min(mapping.offset + mapping.length, -(-mapping.inode.size // PAGE) * PAGE)
        if mapping.offset >= end:
            return
        self.fault_in(mapping, mapping.offset, end)
        if mapping.shared or mapping.access != "write":
            return
        for page in range(mapping.offset // PAGE, -(-end // PAGE)):
            self.copy_page(mapping, page)

    def protect(self, mapping: Mapping, access: str) -> None:
        """mprotect(2)."""
        if access == "write" and mapping.shared and not mapping.may_write:
            raise PermissionError(13, "the file is not open for writing")
        if access != "write":
            self.write_protect_one(mapping)
        mapping.access = access

    def write_protect_one(self, mapping: Mapping) -> None:
        """Makes stores through one mapping fault."""
        for a, b, _ in mapping.present:
            mapping.present.put(a, b, READ_ONLY)


def _by_page(start: int, pieces: Pieces) -> Iterator[tuple[int, Pieces]]:
    """A content cut into pages: position, and what goes there."""
    total = sum(length for length, _ in pieces)
    at = start
    while at < start + total:
        end = min((at // PAGE + 1) * PAGE, start + total)
        yield at, cut(pieces, at - start, end - start)
        at = end
