"""Swap areas: which files may be one, where their pages are on the device, and how these go out and in.

An area keeps a list of places of its own, made when it is activated, and the file system is not
asked again: swap I/O runs while memory is short, when a transaction would wait for the memory that it
is to free. Where a file system insists on being asked (direct I/O), it may neither allocate nor convert.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass, field

from kernel.reference.contents import Pieces, cut
from kernel.reference.cookies import Cookies
from kernel.reference.core import SWAP_IO
from kernel.reference.forks import DELAYED, UNWRITTEN, WRITTEN, Mapped
from kernel.reference.inode import APPEND, COMPRESS, IMMUTABLE, NOCOW, Inode
from kernel.reference.spans import Spans
from kernel.units import PAGE

MAX_BAD_PAGES = 637
"""That a header of one page can list."""


class Places(Spans[int]):
    """Byte positions on the device by page of the area."""

    def advanced(self, value: int, by: int) -> int:
        """See `Spans.advanced`."""
        return value + by * PAGE


@dataclass(eq=False)
class Area:
    """An active swap area."""

    inode: Inode
    places: Places
    pages: int
    """That can be used, without the header."""
    priority: int
    used: Spans[bool] = field(default_factory=Spans)
    """Slots that hold a page. Slot 0 is the header."""
    rotor: int = 1

    def take(self, count: int) -> list[tuple[int, int]]:
        """Free slots, as stretches, at most `count` in all."""
        found: list[tuple[int, int]] = []
        end = self.pages + 1
        for low, high in ((self.rotor, end), (1, self.rotor)):
            for a, b, used in self.used.whole(low, high):
                if not used and count:
                    b = min(b, a + count)
                    found.append((a, b))
                    count -= b - a
        for a, b in found:
            self.used.put(a, b, True)
            self.rotor = b if b < end else 1
        return found


@dataclass(frozen=True)
class Header:
    """Page 0 of a swap area, as far as the kernel looks at it."""

    magic: bytes
    version: int
    last_page: int
    bad_pages: int


def refuse(why: str) -> OSError:
    """How an activation is refused."""
    return OSError(errno.EINVAL, why)


class FileSystem(Cookies):
    """A file system, complete."""

    # --- activation ---------------------------------------------------------------------------

    def check_header(self, inode: Inode, header: Header) -> int:
        """How many pages the area may have, header included; raises EINVAL."""
        if header.magic != b"SWAPSPACE2":
            self.say("Unable to find swap-space signature")
            raise refuse("magic")
        if header.version != 1:
            self.say(f"Unable to handle swap header version {header.version}")
            raise refuse("version")
        if header.last_page == 0:
            self.say("Empty swap-file")
            raise refuse("empty")
        if header.last_page + 1 > inode.size // PAGE:
            self.say("Swap area shorter than signature indicates")
            raise refuse("short")
        if header.bad_pages:
            raise refuse("bad pages")
        return header.last_page + 1

    def check_flags(self, inode: Inode) -> None:
        """Refuses files whose kind of data can not be swapped to."""
        if inode.flags & (IMMUTABLE | APPEND):
            raise OSError(errno.EPERM, "immutable")
        if inode.flags & COMPRESS:
            self.say("swapfile must not be compressed")
            raise refuse("compressed")
        if self.personality.swap_needs_nocow and not inode.flags & NOCOW:
            self.say("swapfile must not be copy-on-write")
            raise refuse("copy on write")
        if self.personality.swap_by_space and self.sectors(inode) * 512 < inode.size:
            self.say("swapon: swapfile has holes")
            raise refuse("holes")

    def check_extent(self, first: int, last: int, mapped: Mapped | None) -> None:
        """Refuses an extent that a page can not be written to without asking the file system."""
        if mapped is None:
            self.say("swapon: swapfile has unallocated extents")
            raise refuse("hole")
        if mapped[1] == DELAYED:
            self.say("swapon: swapfile is not committed")
            raise refuse("delayed")
        if self.space.shared(mapped[0], last - first):
            self.say("swapon: swapfile has shared extents")
            raise refuse("shared")

    def find_places(self, inode: Inode, limit: int) -> Places:
        """Where whole pages lie on the device, for at most `limit` pages; raises EINVAL for what can not be used."""
        runs: list[tuple[int, int]] = []
        for first, last, mapped in inode.data.extents.whole(0, inode.size // PAGE * PAGE // self.block):
            self.check_extent(first, last, mapped)
            assert mapped is not None
            start, end = mapped[0] * self.block, (mapped[0] + last - first) * self.block
            if runs and runs[-1][1] == start:
                runs[-1] = (runs[-1][0], end)
            else:
                runs.append((start, end))
        places = Places()
        for start, end in runs:
            start, end = -(-start // PAGE) * PAGE, end // PAGE * PAGE
            count = min((end - start) // PAGE, limit - places.end)
            if count > 0:
                places.put(places.end, places.end + count, start)
        return places

    def activate(self, inode: Inode, header: Header, priority: int) -> Area:
        """Makes a file a swap area."""
        self.check_flags(inode)
        limit = self.check_header(inode, header)
        self.settle_before_swap(inode)
        places = self.find_places(inode, limit)
        if places.end < 2:
            self.say("swapon: Cannot find a single usable page in file.")
            raise refuse("no page")
        inode.swapfile = True
        inode.opens += 1
        return Area(inode, places, places.end - 1, priority)

    def settle_before_swap(self, inode: Inode) -> None:
        """Writes the file out, mappings of its blocks included, and makes stores through mappings fault."""
        self.writeback(inode)
        if not self.frozen:
            self.fsync(inode)
        self.flush_and_drop(inode, 0, self.whole(inode))

    def deactivate(self, area: Area) -> None:
        """Ends a swap area: nothing of it is left, and what the cache held of it is forgotten."""
        inode = area.inode
        inode.swapfile = False
        self.zap(inode, 0, self.whole(inode))
        inode.cache.pages.clear()
        inode.cache.content.clear()
        self.put(inode)

    # --- swap I/O -----------------------------------------------------------------------------

    def swap_out(self, area: Area, first: int, last: int, pieces: Pieces) -> None:
        """Writes pages to slots `first` to before `last`."""
        with self.tasks.inside(SWAP_IO):
            if self.personality.swap_io == "direct":
                self.swap_write_direct(area.inode, first * PAGE, pieces)
                return
            for a, b, place in area.places.within(first, last):
                self.disk.device.write(place, cut(pieces, (a - first) * PAGE, (b - first) * PAGE))

    def swap_in(self, area: Area, first: int, last: int) -> Pieces:
        """Reads the pages in slots `first` to before `last`."""
        with self.tasks.inside(SWAP_IO):
            if self.personality.swap_io == "direct":
                return self.swap_read_direct(area.inode, first * PAGE, last * PAGE)
            found: Pieces = []
            for a, b, place in area.places.within(first, last):
                found += self.disk.device.read(place, place + (b - a) * PAGE)
            return found

    def swap_write_direct(self, inode: Inode, at: int, pieces: Pieces) -> None:
        """Writes past the cache: no lock, no time stamp, no allocation; what is unwritten stays so."""
        end = at + sum(length for length, _ in pieces)
        for a, b, mapped in inode.data.extents.whole(*self.blocks_of(at, end)):
            if mapped is None or mapped[0] < 0 or self.space.shared(mapped[0], b - a):
                self.must_not_reclaim("allocation (direct write to a swapfile)")
            else:
                part = cut(pieces, a * self.block - at, b * self.block - at)
                self.disk.device.write(mapped[0] * self.block, part)
                if mapped[1] == UNWRITTEN:
                    self.keep_unwritten(inode, a, b)

    def keep_unwritten(self, inode: Inode, first: int, last: int) -> None:
        """What the completion of swap I/O does to unwritten extents: nothing, because a conversion is a transaction."""

    def swap_read_direct(self, inode: Inode, start: int, end: int) -> Pieces:
        """Reads past the cache what swap I/O wrote, unwritten extents included."""
        found: Pieces = []
        for a, b, mapped in inode.data.extents.whole(*self.blocks_of(start, end)):
            assert mapped is not None
            assert mapped[1] in (WRITTEN, UNWRITTEN)
            found += self.disk.device.read(mapped[0] * self.block, (mapped[0] + b - a) * self.block)
        return found
