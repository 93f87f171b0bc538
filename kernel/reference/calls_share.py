"""Performs the calls that make files share extents, or copy inside the kernel."""

from __future__ import annotations

from kernel import calls
from kernel.protocol import OK, Outcome
from kernel.reference.contents import same
from kernel.reference.inode import APPEND, IMMUTABLE, Inode
from kernel.reference.world import DONE, Descriptor, Pen, World, fail, name_of, performs, refuse
from kernel.units import Span


def _pair(world: World, name: str, source: str, target: str) -> tuple[Descriptor, Inode, Descriptor, Inode]:
    """The two files of a call, if their descriptors allow it."""
    one, two = world.fd(source), world.fd(target)
    if one is None or two is None or one.path or two.path:
        fail("EBADF")
    kinds = {one.kind, two.kind}
    refuse(world, name, other_fs=bool(kinds & {"tmpfs_file", "null", "fifo"}) and name != "copy_range")
    refuse(world, name, is_directory="directory" in kinds, not_regular=bool(kinds & {"null", "fifo"}))
    refuse(world, name, not_readable=not one.readable, not_writable=not two.writable, append_fd=two.append)
    refuse(world, name, other_fs="tmpfs_file" in kinds)
    assert one.inode is not None
    assert two.inode is not None
    return one, one.inode, two, two.inode


def _refuse_states(world: World, name: str, source: Inode, target: Inode) -> None:
    refuse(
        world,
        name,
        shut_down=world.fs.shut,
        immutable=bool(target.flags & IMMUTABLE),
        append_only=bool(target.flags & APPEND) and name != "clone",
        swapfile=source.swapfile or target.swapfile,
    )


def overlapping(source: Inode, at: int, target: Inode, to: int, length: int) -> bool:
    """Whether two ranges of one file have anything in common."""
    return source is target and at < to + length and to < at + length


def _refuse_ranges(world: World, name: str, source: Inode, span: Span, target: Inode, to: int) -> None:
    """What may not be shared: parts of blocks, but for the end of the source where the target ends too."""
    block = world.fs.block
    at_end = span.end == source.size
    refuse(
        world,
        name,
        misaligned=bool(span.offset % block or to % block),
        beyond_eof=span.offset >= source.size > 0 or span.end > source.size,
    )
    refuse(
        world,
        name,
        misaligned=bool(span.length % block) and not at_end,
        partial_block=bool(span.length % block) and to + span.length < target.size,
        overlap=overlapping(source, span.offset, target, to, -(-span.length // block) * block),
    )


@performs(calls.Clone)
def _clone(world: World, call: calls.Clone, pen: Pen) -> Outcome:
    span = call.range.within(world.size(call.source))
    one, source, two, target = _pair(world, "clone", call.source, call.target)
    fs = world.fs
    refuse(world, "clone", unsupported="clone" not in fs.personality.offers)
    _refuse_states(world, "clone", source, target)
    if span.length == 0:
        span = Span(span.offset, max(0, source.size - span.offset))
    _refuse_ranges(world, "clone", source, span, target, call.at)
    with fs.locked(source, target):
        if span.length:
            fs.share_range(source, span.offset, target, call.at, span.length, stamp=not two.invisible)
    if one.sync or two.sync:
        fs.flush_log()
    return DONE


@performs(calls.Dedupe)
def _dedupe(world: World, call: calls.Dedupe, pen: Pen) -> Outcome:
    span = call.range.within(world.size(call.source))
    _, source, _, target = _pair(world, "dedupe", call.source, call.target)
    fs = world.fs
    refuse(world, "dedupe", unsupported="clone" not in fs.personality.offers)
    try:
        _refuse_states(world, "dedupe", source, target)
        _refuse_ranges(world, "dedupe", source, span, target, call.at)
        refuse(world, "dedupe", beyond_eof=call.at + span.length > target.size)
    except OSError as error:
        return Outcome(name_of(error), {"moved": 0})
    with fs.locked(source, target):
        return _dedupe_locked(world, source, span, target, call.at)


def _dedupe_locked(world: World, source: Inode, span: Span, target: Inode, to: int) -> Outcome:
    fs = world.fs
    if not same(fs.read(source, span.offset, span.end), fs.read(target, to, to + span.length)):
        return Outcome("DIFFERS", {"moved": 0})
    if span.length:
        fs.share_range(source, span.offset, target, to, span.length, stamp=False)
    return Outcome(OK, {"moved": span.length})


@performs(calls.CopyRange)
def _copy_range(world: World, call: calls.CopyRange, pen: Pen) -> Outcome:
    span = call.range.within(world.size(call.source))
    one, source, two, target = _pair(world, "copy_range", call.source, call.target)
    _refuse_states(world, "copy_range", source, target)
    length = max(0, min(span.length, source.size - span.offset))
    refuse(world, "copy_range", overlap=overlapping(source, span.offset, target, call.at, length))
    fs = world.fs
    if not length:
        return Outcome(OK, {"moved": 0})
    if "clone" in fs.personality.offers and not (span.offset % fs.block or call.at % fs.block or length % fs.block):
        with fs.locked(source, target):
            fs.share_range(source, span.offset, target, call.at, length, stamp=not two.invisible)
    else:
        pieces = fs.read(source, span.offset, span.offset + length)
        fs.write(target, call.at, pieces, invisible=two.invisible)
    del one
    return Outcome(OK, {"moved": length})
