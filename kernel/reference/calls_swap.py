"""Performs the calls on swap areas, and makes memory pressure that sends pages out and in."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from kernel import abi, calls
from kernel.protocol import OK, Outcome
from kernel.reference.calls_data import regular, write_file
from kernel.reference.contents import Pieces, Stuff, cut, same
from kernel.reference.inode import APPEND, IMMUTABLE, Inode
from kernel.reference.swap import Area, Header
from kernel.reference.world import DONE, Pen, World, fail, performs, refuse
from kernel.units import PAGE, Span

_BATCH = 256
"""Pages that go out and come in together, at most."""


def header_page(call: calls.Mkswap, pages: int) -> bytes:
    """Page 0 of a swap area."""
    order = ">" if call.byte_swapped else "<"
    numbers = struct.pack(order + "III", call.version, max(0, pages - 1), call.bad_pages)
    page = bytearray(PAGE)
    page[abi.SWAP_VERSION_AT : abi.SWAP_VERSION_AT + len(numbers)] = numbers
    magic = call.magic.encode()
    page[abi.SWAP_MAGIC_END - len(magic) : abi.SWAP_MAGIC_END] = magic
    return bytes(page)


@performs(calls.Mkswap)
def _mkswap(world: World, call: calls.Mkswap, pen: Pen) -> Outcome:
    fd = world.fd(call.file)
    inode = regular(fd, write=True)
    assert fd is not None
    page = header_page(call, world.size(call.file) // PAGE if call.pages is None else call.pages)
    stuff = world.machine.reader.literal(page)
    write_file(world, fd, inode, Span(0, PAGE), [(PAGE, stuff)])
    world.fs.fsync(inode)
    world.machine.headers[world.owners[call.file]] = stuff
    return DONE


def _read_header(world: World, inode: Inode) -> Header:
    """What page 0 says, in either byte order. A pattern is as good as any bytes that are no header."""
    page = b""
    for length, stuff in world.fs.read(inode, 0, PAGE):
        page += world.machine.reader.bytes_of(stuff, length) or b"\1" * length
    page = page.ljust(PAGE, b"\0")
    magic = page[abi.SWAP_MAGIC_END - 10 :]
    version, last_page, bad_pages = struct.unpack_from("<III", page, abi.SWAP_VERSION_AT)
    if int.from_bytes(version.to_bytes(4, "little"), "big") == 1:
        version, last_page, bad_pages = struct.unpack_from(">III", page, abi.SWAP_VERSION_AT)
    return Header(magic, version, last_page, bad_pages)


def _led_to(world: World, file: str, by: str) -> Inode:
    """The file that a path leads to; one without a name can be reached, and is refused."""
    known = world.machine.files[file]
    if by == "descriptor":
        observer = known.observer
        if observer is None or observer.inode is None or observer.inode.links == 0:
            fail("ENOENT")
        return observer.inode
    return world.fs.lookup(known.path + ".link" if by == "link" else known.path)


@performs(calls.Swapon)
def _swapon(world: World, call: calls.Swapon, pen: Pen) -> Outcome:
    machine, fs = world.machine, world.fs
    machine.swap_seen = True
    if "unknown" in call.flags:
        fail("EINVAL")
    if call.unprivileged:
        fail("EPERM")
    fs.check_alive()
    inode = _led_to(world, call.file, call.by)
    if inode.flags & (IMMUTABLE | APPEND):
        fail("EPERM")
    if fs.read_only:
        fail("EROFS")
    if inode.swapfile:
        fail("EBUSY")
    if "swapfile" not in fs.personality.offers:
        fail("EINVAL")
    lowest = min([-1, *(area.priority for area in machine.areas)])
    priority = lowest - 1 if call.priority is None else call.priority
    area = fs.activate(inode, _read_header(world, inode), priority)
    machine.areas.append(area)
    return Outcome(OK, {"pages": area.pages, "priority": area.priority})


@performs(calls.SwaponOther)
def _swapon_other(world: World, call: calls.SwaponOther, pen: Pen) -> Outcome:
    refuse(world, "swapon_other", **{call.what: True})
    return DONE


@performs(calls.Swapoff)
def _swapoff(world: World, call: calls.Swapoff, pen: Pen) -> Outcome:
    if call.unprivileged:
        fail("EPERM")
    inode = _led_to(world, call.file, call.by)
    if inode.flags & (IMMUTABLE | APPEND):
        fail("EPERM")
    if not any(area.inode is inode for area in world.machine.areas):
        fail("EINVAL")
    swapoff(world, call.file)
    return DONE


def swapoff(world: World, file: str) -> None:
    """Ends a swap area, whatever the trial did to the file; works on a file system that was shut down too."""
    machine = world.machine
    for area in machine.areas:
        if area.inode.number == machine.files[file].number:
            machine.areas.remove(area)
            world.fs.deactivate(area)
            return


@dataclass
class _Load:
    """A process whose memory does not fit: what is resident, and where the rest is."""

    world: World
    total: int
    limit: int
    batch: int
    """Pages that go out and come in together."""
    where: dict[int, tuple[Area, int, int]] = field(default_factory=dict)
    """By first page of a batch that is out: the area and its slots, for batches in one stretch each."""
    resident: list[tuple[int, int]] = field(default_factory=list)
    """Batches in memory, the one used longest ago first."""
    out: int = 0
    back: int = 0
    bad: int = 0

    def held(self) -> int:
        """Pages in memory."""
        return sum(b - a for a, b in self.resident)

    def make_room(self, count: int) -> bool:
        """Sends pages out until so many fit; False where no area has room."""
        while self.resident and self.held() + count > self.limit:
            first, last = self.resident.pop(0)
            while first < last:
                stretch = self._slot(last - first)
                if stretch is None:
                    return False
                area, a, b = stretch
                area_pieces: Pieces = [((b - a) * PAGE, memory(first))]
                self.world.fs.swap_out(area, a, b, area_pieces)
                self.where[first] = (area, a, b)
                self.out += b - a
                first += b - a
        return True

    def _slot(self, count: int) -> tuple[Area, int, int] | None:
        for area in sorted(self.world.machine.areas, key=lambda each: -each.priority):
            found = area.take(count)
            if found:
                for a, b in found[1:]:
                    area.used.drop(a, b)
                return area, *found[0]
        return None

    def bring_in(self, first: int, last: int) -> None:
        """Reads pages back, and looks at them."""
        at = first
        while at < last:
            area, a, b = self.where.pop(at)
            pieces = self.world.fs.swap_in(area, a, b)
            self.back += b - a
            for page in range(b - a) if not same(pieces, [((b - a) * PAGE, memory(at))]) else ():
                self.bad += not _page_is(pieces, page, memory(at + page))
            area.used.drop(a, b)
            at += b - a

    def empty(self, file: str) -> None:
        """Deactivates an area: all that lies in it comes back first."""
        number = self.world.machine.files[file].number
        for first, (area, a, b) in sorted(self.where.items()):
            if area.inode.number == number:
                self.bring_in(first, first + b - a)
                self.resident.append((first, first + b - a))
        swapoff(self.world, file)


def memory(page: int) -> Stuff:
    """What the process put into a page of its memory: different in each."""
    return ("memory", 0, page * PAGE)


def _page_is(pieces: Pieces, page: int, stuff: Stuff) -> bool:
    return same(cut(pieces, page * PAGE, (page + 1) * PAGE), [(PAGE, stuff)])


@performs(calls.SwapLoad)
def _swap_load(world: World, call: calls.SwapLoad, pen: Pen) -> Outcome:
    limit = call.limit // PAGE
    batch = max(1, min(_BATCH, limit // 16))
    load = _Load(world, call.memory // PAGE, max(batch, limit - batch), batch)
    result = _pressure(load, call)
    for area in world.machine.areas:
        area.used.clear()
    if result != OK:
        world.machine.lines.append("Memory cgroup out of memory: Killed process 1 (load)")
    world.machine.pages_out += load.out
    world.machine.pages_in += load.back
    return Outcome(result, {"pages_out": load.out, "pages_in": load.back, "bad_pages": load.bad})


def _pressure(load: _Load, call: calls.SwapLoad) -> str:
    """Fills memory once and reads all of it back again and again, batch by batch."""
    batches = [(first, min(first + load.batch, load.total)) for first in range(0, load.total, load.batch)]
    for first, last in batches:
        if not load.make_room(last - first):
            return "SIGKILL"
        load.resident.append((first, last))
    if call.swapoff is not None:
        load.limit = load.total
        load.empty(call.swapoff)
    for first, last in batches * call.passes:
        if (first, last) in load.resident:
            load.resident.remove((first, last))
        elif load.make_room(last - first):
            load.bring_in(first, last)
        else:
            return "SIGKILL"
        load.resident.append((first, last))
    return OK
