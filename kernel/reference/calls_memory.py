"""Performs the calls on mappings."""

from __future__ import annotations

from kernel import calls
from kernel.protocol import OK, Outcome
from kernel.reference.calls_data import accessed, regular
from kernel.reference.memory import Mapping
from kernel.reference.world import DONE, Pen, World, fail, performs
from kernel.units import PAGE, Span


@performs(calls.Map)
def _map(world: World, call: calls.Map, pen: Pen) -> Outcome:
    span = call.range.within(world.size(call.file))
    fd = world.fd(call.file)
    if fd is not None and fd.kind in ("directory", "null", "fifo"):
        fail("ENODEV")
    inode = regular(fd)
    assert fd is not None
    shared = call.kind == "shared"
    if not fd.readable or (shared and call.access == "write" and not fd.writable):
        fail("EACCES")
    if span.offset % PAGE:
        fail("EINVAL")
    if shared and fd.writable and call.access == "write" and inode.swapfile:
        fail("ETXTBSY")
    mapping = Mapping(
        inode, world.owners[call.file], span.offset, span.length, shared, call.access, fd.writable, fd.invisible
    )
    world.fs.map(mapping)
    world.maps[call.name] = mapping
    accessed(world, fd)
    if call.locked:
        world.fs.lock(mapping)
    return DONE


def _span(mapping: Mapping, span: Span) -> Span:
    return Span(max(span.offset, mapping.offset), span.length if span.length >= 0 else mapping.length)


@performs(calls.Store)
def _store(world: World, call: calls.Store, pen: Pen) -> Outcome:
    mapping = world.maps[call.map]
    span = _span(mapping, call.range)
    present = world.fs.load_through(mapping, span.offset, span.end)[1] if call.bytes == "same" else []
    return Outcome(
        world.fs.store_through(mapping, span.offset, pen.write(call.bytes, span.offset, span.length, present))
    )


@performs(calls.Load)
def _load(world: World, call: calls.Load, pen: Pen) -> Outcome:
    mapping = world.maps[call.map]
    span = _span(mapping, call.range)
    result, pieces = world.fs.load_through(mapping, span.offset, span.end)
    return Outcome(result, seen=world.machine.reader.runs(pieces) if result == OK else ())


@performs(calls.Protect)
def _protect(world: World, call: calls.Protect, pen: Pen) -> Outcome:
    world.fs.protect(world.maps[call.map], call.access)
    return DONE


@performs(calls.Unmap)
def _unmap(world: World, call: calls.Unmap, pen: Pen) -> Outcome:
    world.fs.unmap(world.maps.pop(call.map))
    return DONE
