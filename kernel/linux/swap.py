"""Performs the calls on swap areas, and makes memory pressure that sends pages out and in."""

from __future__ import annotations

import mmap
import os
import random
import signal
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from kernel import abi, calls
from kernel.linux import libc
from kernel.linux.files import get_flags, set_flags, write_all
from kernel.linux.memory import Mapping
from kernel.linux.observe import swap_areas, vmstat
from kernel.linux.world import DONE, Pen, World, performs
from kernel.protocol import OK, Outcome
from kernel.units import PAGE, FdName

_CGROUPS = Path("/sys/fs/cgroup")
_NOBODY = 65534
_BYTE = b"x"


def header(call: calls.Mkswap, pages: int) -> bytes:
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
    page = header(call, world.size(call.file) // PAGE if call.pages is None else call.pages)
    if call.mapped:
        mapping = Mapping.of(fd, world.owners[call.file], 0, PAGE, "shared", "write")
        result = mapping.store(0, page)
        world.maps[f"header of {call.file}"] = mapping
        if result != OK:
            return Outcome(result)
    else:
        write_all(fd, page, 0)
        os.fsync(fd)
    world.headers[world.owners[call.file]] = page
    return DONE


@contextmanager
def _leading_to(world: World, file: str, by: str) -> Iterator[str]:
    """A path that leads to a file of the trial, in one of the ways of `calls.SwapPath`."""
    path = world.path(file)
    if by == "symlink":
        link = f"{world.machine.directory}/{file}.symlink"
        os.symlink(path, link)
        try:
            yield link
        finally:
            os.unlink(link)
    elif by == "descriptor":
        yield f"/proc/self/fd/{world.files[file].observer}"
    else:
        yield path + ".link" if by == "link" else path


@contextmanager
def _without_privilege(wanted: bool) -> Iterator[None]:
    """With an effective user that is not root, who therefore has no capability in effect."""
    if wanted:
        os.seteuid(_NOBODY)
    try:
        yield
    finally:
        if wanted:
            os.seteuid(0)


@performs(calls.Swapon)
def _swapon(world: World, call: calls.Swapon, pen: Pen) -> Outcome:
    world.swap_seen = True
    flags = 0
    for flag in call.flags:
        flags |= abi.SWAPON_FLAGS[flag]
    if call.priority is not None:
        flags |= abi.SWAPON_FLAGS["prefer"] | call.priority
    with _leading_to(world, call.file, call.by) as path, _without_privilege(call.unprivileged):
        libc.swapon(path.encode(), flags)
    world.swapped.add(call.file)
    own = world.path(call.file)
    area = next((area for path, area in swap_areas().items() if path in (own, own + ".link")), None)
    return Outcome(OK, {"pages": area.pages, "priority": area.priority} if area else {})


@performs(calls.SwaponOther)
def _swapon_other(world: World, call: calls.SwaponOther, pen: Pen) -> Outcome:
    known = {"directory": world.machine.mountpoint, "null": "/dev/null", "device": world.machine.device}
    path = known.get(call.what, f"{world.machine.directory}/{call.what}")
    if call.what == "fifo":
        os.mkfifo(path)
    elif call.what == "tmpfs_file":
        with open(path, "wb") as file:
            file.write(header(calls.Mkswap(FdName("")), 16) + bytes(15 * PAGE))
    try:
        libc.swapon(path.encode(), 0)
        libc.swapoff(path.encode())
    finally:
        if call.what in ("fifo", "tmpfs_file"):
            os.unlink(path)
    return DONE


@performs(calls.Swapoff)
def _swapoff(world: World, call: calls.Swapoff, pen: Pen) -> Outcome:
    with _leading_to(world, call.file, call.by) as path, _without_privilege(call.unprivileged):
        libc.swapoff(path.encode())
    world.swapped.discard(call.file)
    return DONE


def deactivate(world: World, file: str) -> None:
    """Swapoff whatever the trial did to the file: a name or a flag may be in the way of opening it."""
    observer = world.files[file].observer
    path = f"/proc/self/fd/{observer}" if observer >= 0 else world.path(file)
    flags = get_flags(observer) if observer >= 0 else 0
    kept_from_writing = abi.INODE_FLAGS["immutable"] | abi.INODE_FLAGS["append"]
    if flags & kept_from_writing:
        set_flags(observer, flags & ~kept_from_writing)
    libc.swapoff(path.encode())
    world.swapped.discard(file)


@performs(calls.SwapLoad)
def _swap_load(world: World, call: calls.SwapLoad, pen: Pen) -> Outcome:
    group = _CGROUPS / "conformance"
    group.mkdir(exist_ok=True)
    load = _Load.start(group, call, pen.source)
    try:
        _limit(group, call.limit)
        before = vmstat("pswpout", "pswpin")
        load.go_on()
        if load.filled() and call.swapoff is not None:
            _limit(group, None)
            deactivate(world, call.swapoff)
        load.go_on()
        result, bad = load.finish()
        after = vmstat("pswpout", "pswpin")
    except BaseException:
        load.kill()
        raise
    finally:
        group.rmdir()
    values = {"pages_out": after[0] - before[0], "pages_in": after[1] - before[1], "bad_pages": bad}
    return Outcome(result, values)


def _limit(group: Path, limit: int | None) -> None:
    """Sets or lifts the limit. Below it the process is slowed down while its pages go out: without that the kernel
    kills it when the device is slow and all its pages are on their way.
    """
    (group / "memory.high").write_text("max" if limit is None else str(limit * 3 // 4))
    (group / "memory.max").write_text("max" if limit is None else str(limit))


@dataclass(frozen=True)
class _Load:
    """A child that fills memory and reads it back. It says a byte when it is there, and waits for one to go on."""

    pid: int
    told: int
    """The reading end of what it says."""
    orders: int
    """The writing end of what it waits for."""

    @classmethod
    def start(cls, group: Path, call: calls.SwapLoad, seed: str) -> _Load:
        """Forks it. It moves into the cgroup and waits."""
        told, tell = os.pipe()
        hear, orders = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.close(told)
                os.close(orders)
                os.read(hear, 1)
                (group / "cgroup.procs").write_text(str(os.getpid()))
                bad = _work(call.memory // PAGE, call.passes, seed, tell, hear)
                os.write(tell, bad.to_bytes(8, "little"))
            finally:
                os._exit(0)
        os.close(tell)
        os.close(hear)
        return cls(pid, told, orders)

    def go_on(self) -> None:
        """Lets it work. Where it died already, `finish` tells."""
        with suppress(BrokenPipeError):
            os.write(self.orders, _BYTE)

    def filled(self) -> bool:
        """Waits until its memory is filled; false when it died on the way."""
        return os.read(self.told, 1) == _BYTE

    def finish(self) -> tuple[str, int]:
        """Waits for its end: "OK" or the signal that ended it, and the bad pages."""
        answer = os.read(self.told, 8)
        status = self._reap()
        if os.WIFSIGNALED(status):
            return signal.Signals(os.WTERMSIG(status)).name, 0
        return (OK, int.from_bytes(answer, "little")) if len(answer) == 8 else ("FAILED", 0)

    def kill(self) -> None:
        """Ends it, wherever it is."""
        os.kill(self.pid, signal.SIGKILL)
        self._reap()

    def _reap(self) -> int:
        os.close(self.told)
        os.close(self.orders)
        return os.waitpid(self.pid, 0)[1]


def _work(pages: int, passes: int, seed: str, tell: int, hear: int) -> int:
    """Fills memory with pages that cannot be compressed and are all different; counts those that come back changed.

    In a cgroup smaller than the memory every pass sends pages out and in.
    """
    block = random.Random(seed).randbytes(PAGE - 8)
    bad = 0
    with mmap.mmap(-1, pages * PAGE) as memory:
        for number in range(pages):
            memory[number * PAGE : (number + 1) * PAGE] = number.to_bytes(8, "little") + block
        os.write(tell, _BYTE)
        os.read(hear, 1)
        for _ in range(passes):
            for number in range(pages):
                if memory[number * PAGE : (number + 1) * PAGE] != number.to_bytes(8, "little") + block:
                    bad += 1
    return bad
