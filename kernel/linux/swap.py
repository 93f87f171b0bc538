"""Performs the calls on swap areas, and makes memory pressure that sends pages out and in."""

from __future__ import annotations

import json
import mmap
import os
import random
import signal
import struct
from pathlib import Path

from kernel import abi, calls
from kernel.linux import libc
from kernel.linux.files import write_all
from kernel.linux.observe import swap_areas, vmstat
from kernel.linux.world import DONE, Pen, World, performs
from kernel.protocol import OK, Outcome
from kernel.units import PAGE

_CGROUPS = Path("/sys/fs/cgroup")


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
    write_all(fd, page, 0)
    os.fsync(fd)
    world.headers[world.owners[call.file]] = page
    return DONE


@performs(calls.Swapon)
def _swapon(world: World, call: calls.Swapon, pen: Pen) -> Outcome:
    world.swap_seen = True
    flags = 0
    for flag in call.flags:
        flags |= abi.SWAPON_FLAGS[flag]
    if call.priority is not None:
        flags |= abi.SWAPON_FLAGS["prefer"] | call.priority
    path = world.path(call.file)
    libc.swapon(path.encode(), flags)
    world.swapped.add(call.file)
    return Outcome(OK, {"pages": swap_areas().get(path, 0)})


@performs(calls.Swapoff)
def _swapoff(world: World, call: calls.Swapoff, pen: Pen) -> Outcome:
    libc.swapoff(world.path(call.file).encode())
    world.swapped.discard(call.file)
    return DONE


@performs(calls.SwapLoad)
def _swap_load(world: World, call: calls.SwapLoad, pen: Pen) -> Outcome:
    group = _CGROUPS / "conformance"
    group.mkdir(exist_ok=True)
    try:
        (group / "memory.max").write_text(str(call.limit))
        before = vmstat("pswpout", "pswpin")
        result, bad = _loaded(group, call, pen.source)
        after = vmstat("pswpout", "pswpin")
    finally:
        group.rmdir()
    values = {"pages_out": after[0] - before[0], "pages_in": after[1] - before[1], "bad_pages": bad}
    return Outcome(result, values)


def _loaded(group: Path, call: calls.SwapLoad, seed: str) -> tuple[str, int]:
    """Runs the load in a child inside the cgroup; "OK" or the signal that ended it, and the bad pages."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(reader)
            (group / "cgroup.procs").write_text(str(os.getpid()))
            os.write(writer, json.dumps(_work(call.memory // PAGE, call.passes, seed)).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as answers:
        answer = answers.read()
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        return signal.Signals(os.WTERMSIG(status)).name, 0
    if not answer:
        return "FAILED", 0
    return OK, int(json.loads(answer))


def _work(pages: int, passes: int, seed: str) -> int:
    """Fills memory with pages that cannot be compressed and are all different; counts those that come back changed.

    In a cgroup smaller than the memory every pass sends pages out and in.
    """
    block = random.Random(seed).randbytes(PAGE - 8)
    bad = 0
    with mmap.mmap(-1, pages * PAGE) as memory:
        for number in range(pages):
            memory[number * PAGE : (number + 1) * PAGE] = number.to_bytes(8, "little") + block
        for _ in range(passes):
            for number in range(pages):
                if memory[number * PAGE : (number + 1) * PAGE] != number.to_bytes(8, "little") + block:
                    bad += 1
    return bad
