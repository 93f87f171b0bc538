"""Mappings: which pages a process has, and whether a store through them faults.

A page that is present and writable is stored to silently: no fault, no time stamp, nobody knows.
That is why writeback write-protects, and why whoever moves data must take the pages away first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from kernel.protocol import OK
from kernel.reference.contents import Pieces, Tape, cut, length_of
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
    """Pages that are not the file's, by page of the file: the copies of a private mapping; and pages that were
    dropped from the cache while they were mapped, which whoever drops pages must not let happen."""
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

    def forget_pages(self, inode: Inode, start: int, end: int) -> None:
        """A page that is dropped while it is mapped stays with the mapping, and is no part of the file any more."""
        for mapping in inode.maps:
            for a, b, _ in mapping.present.within(start // PAGE, -(-end // PAGE)):
                mapping.copies.write(a * PAGE, inode.cache.content.read(a * PAGE, b * PAGE))
                mapping.own.put(a, b, True)

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
        """Stores: "OK", or the signal that the first refused page met; what is not refused is stored."""
        mapping.touched = True
        end = start + length_of(pieces)
        met, at = OK, start
        for stop, result in self._limits(mapping, end):
            if at < stop:
                done = result or self._store(mapping, at, cut(pieces, at - start, stop - start))
                met = done if met == OK else met
                at = stop
        return met

    def _limits(self, mapping: Mapping, end: int) -> Iterator[tuple[int, str]]:
        """Up to which position which signal is met; an empty one where pages are."""
        if mapping.access != "write":
            yield end, "SIGSEGV"
        yield mapping.offset, "SIGSEGV"
        last = mapping.offset + -(-mapping.length // PAGE) * PAGE
        yield min(end, last, -(-mapping.inode.size // PAGE) * PAGE), ""
        yield min(end, last), "SIGBUS"
        yield end, "SIGSEGV"

    def _store(self, mapping: Mapping, at: int, pieces: Pieces) -> str:
        """Stores to pages that lie in the mapping and in the file."""
        first, last = at // PAGE, -(-(at + length_of(pieces)) // PAGE)
        if not mapping.shared:
            self.copy_pages(mapping, first, last)
            mapping.copies.write(at, pieces)
            return OK
        if mapping.own.within(first, last):
            mapping.copies.write(at, pieces)
            return OK
        for a, b, state in mapping.present.whole(first, last):
            if state != WRITABLE:
                result = self.make_writable(mapping, a, b)
                if result != OK:
                    return result
        mapping.inode.cache.content.write(at, pieces)
        return OK

    def copy_pages(self, mapping: Mapping, first: int, last: int) -> None:
        """Gives a private mapping copies of its own."""
        for a, b, own in mapping.own.whole(first, last):
            if not own:
                self.fault_in(mapping, a * PAGE, b * PAGE)
                mapping.copies.write(a * PAGE, mapping.inode.cache.content.read(a * PAGE, b * PAGE))
                mapping.own.put(a, b, True)

    def make_writable(self, mapping: Mapping, first: int, last: int) -> str:
        """The faults of the first stores to clean pages: the file learns that it will change."""
        inode = mapping.inode
        self.begin_fault(inode)
        if self.shut or self.refuses_store(inode):
            return "SIGBUS"
        end = min(last * PAGE, -(-inode.size // self.block) * self.block)
        blocks = self.blocks_of(first * PAGE, end)
        try:
            self.load(inode, first * PAGE, end)
            self.reserve(inode, *blocks)
        except OSError:
            return "SIGBUS"
        with self.transaction("page fault", inode):
            mode = inode.mode
            self.stamp(inode, invisible=mapping.invisible)
            inode.mode = mode  # a store through a mapping keeps setuid, unlike write(2)
        inode.cache.dirty.put(*blocks, True)
        mapping.present.put(first, last, WRITABLE)
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
        self.copy_pages(mapping, mapping.offset // PAGE, -(-end // PAGE))

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
