"""Performs the calls that move extents one way, and those that rearrange one file."""

from __future__ import annotations

from kernel import calls
from kernel.protocol import OK, Outcome
from kernel.reference.calls_data import regular
from kernel.reference.calls_share import overlapping
from kernel.reference.forks import NOWHERE
from kernel.reference.inode import APPEND, EXTENTS, IMMUTABLE, JOURNAL_DATA, Inode
from kernel.reference.pairs import pair, refuse_states
from kernel.reference.world import DONE, Pen, World, fail, name_of, performs, refuse
from kernel.units import PAGE

# --- MOVE_EXT -----------------------------------------------------------------------------------


_LARGEST = (1 << 32) - 1
"""The first block that a file can not have."""


def move_ext(world: World, call: calls.Exchange) -> Outcome:
    """EXT4_IOC_MOVE_EXT: all of the range or nothing, so that a refusal has always moved 0."""
    try:
        moved = _moved(world, call)
    except OSError as error:
        return Outcome(name_of(error), {"moved": 0})
    return Outcome(OK, {"moved": moved * world.fs.block})


def _moved(world: World, call: calls.Exchange) -> int:
    fs, block = world.fs, world.fs.block
    span = call.range.within(world.size(call.target))
    donor_at = span.offset if call.donor_at is None else call.donor_at
    start, to, count = span.offset // block, donor_at // block, -(-span.length // block)
    _, original, _, donor = pair(world, "move_ext", call.target, call.donor)
    refuse(world, "move_ext", same_inode=original is donor)
    refuse(
        world,
        "move_ext",
        journal_data=fs.personality.journal_data,
        setuid_donor=bool(donor.mode & 0o6000),
        not_extents=not (original.flags & donor.flags & EXTENTS),
    )
    refuse_states(world, "move_ext", original, donor)
    in_page = max(1, PAGE // block)
    ends = -(-original.size // block), -(-donor.size // block)
    refuse(
        world,
        "move_ext",
        too_large=max(start, to) + count >= _LARGEST,
        misaligned=start % in_page != to % in_page,
        start_beyond_eof=start >= ends[0] or to >= ends[1],
    )
    count = min(count, ends[0] - start, ends[1] - to)
    if count <= 0:
        fail("EINVAL")
    with fs.locked(original, donor):
        delayed = any(mapped == NOWHERE for _, _, mapped in original.data.extents.within(start, start + count))
        refuse(world, "move_ext", delayed=delayed)
        refuse(world, "move_ext", dirty=_dirty(world, original, start, count) or _dirty(world, donor, to, count))
        return fs.move_onto_donor(original, start, donor, to, count)


def _dirty(world: World, inode: Inode, start: int, count: int) -> bool:
    """Whether a page of the range has anything that is not on the device."""
    fs = world.fs
    in_page = max(1, PAGE // fs.block)
    first, last = start // in_page * in_page, -(-(start + count) // in_page) * in_page
    return bool(inode.cache.dirty.within(first, last))


# --- MOVE_RANGE and the proposed MOV_DATA ---------------------------------------------------------


def move_range(world: World, call: calls.Exchange) -> Outcome:
    """F2FS_IOC_MOVE_RANGE: the donor is the source, and has a hole afterwards."""
    fs = world.fs
    span = call.range.within(world.size(call.donor))
    at = span.offset if call.donor_at is None else call.donor_at
    two, source, one, target = pair(world, "move_range", call.donor, call.target, donor_reads=False)
    refuse_states(world, "move_range", source, target)
    length = span.length or source.size - at
    if source is target and at == span.offset:
        return DONE
    refuse(world, "move_range", beyond_eof=length < 0 or at + length > source.size)
    rounded = -(-length // fs.block) * fs.block if at + length == source.size else length
    refuse(
        world,
        "move_range",
        misaligned=bool(at % fs.block or span.offset % fs.block or rounded % fs.block),
        overlap=overlapping(source, at, target, span.offset, rounded),
    )
    with fs.locked(source, target):
        fs.flush_and_drop(source, at, at + rounded)
        fs.flush_and_drop(target, span.offset, span.offset + rounded)
        with fs.transaction("move range", source, target) as into:
            fs.move_mappings(into, source, at // fs.block, target, span.offset // fs.block, rounded // fs.block)
            if span.offset + length > target.size:
                fs.zero_cached(target, target.size, span.offset)
                target.size = span.offset + length
            target.disk_size = target.size
            fs.stamp(source, invisible=two.invisible)
            fs.stamp(target, invisible=one.invisible)
    return DONE


def mov_data(world: World, call: calls.Exchange) -> Outcome:
    """Moves blocks of the donor into a hole of the receiver; sizes stay, the donor has a hole."""
    fs = world.fs
    span = call.range.within(world.size(call.target))
    at = span.offset if call.donor_at is None else call.donor_at
    one, receiver, two, donor = pair(world, "mov_data", call.target, call.donor)
    refuse_states(world, "mov_data", receiver, donor)
    length, block = span.length, fs.block
    refuse(
        world,
        "mov_data",
        flags=bool(call.flags),
        misaligned=bool(span.offset % block or at % block or length % block),
        beyond_eof=span.end > receiver.size or at + length > donor.size,
        overlap=overlapping(donor, at, receiver, span.offset, length),
    )
    with fs.locked(receiver, donor):
        first, count = span.offset // block, length // block
        refuse(world, "mov_data", not_a_hole=bool(receiver.data.extents.within(first, first + count)))
        fs.flush_and_drop(donor, at, at + length)
        fs.flush_and_drop(receiver, span.offset, span.end)
        with fs.transaction("mov data", receiver, donor) as into:
            fs.move_mappings(into, donor, at // block, receiver, first, count)
            fs.stamp(receiver, invisible=one.invisible)
            fs.stamp(donor, invisible=two.invisible)
    return Outcome(OK, {"moved": length})


# --- the others -----------------------------------------------------------------------------------


@performs(calls.SwapBoot)
def _swap_boot(world: World, call: calls.SwapBoot, pen: Pen) -> Outcome:
    if "swap_boot" not in world.fs.personality.offers:
        fail("ENOTTY")
    inode = regular(world.fd(call.file), read=True, write=True)
    if not world.fs.tasks.current.privileged:
        fail("EPERM")
    refuse(
        world,
        "swap_boot",
        shut_down=world.fs.shut,
        links=inode.links != 1,
        immutable=bool(inode.flags & IMMUTABLE),
        append_only=bool(inode.flags & APPEND),
        swapfile=inode.swapfile,
        journal_data=bool(inode.flags & JOURNAL_DATA) or world.fs.personality.journal_data,
    )
    world.fs.swap_boot(inode)
    return DONE


@performs(calls.AllocateDelayed)
def _allocate_delayed(world: World, call: calls.AllocateDelayed, pen: Pen) -> Outcome:
    if "allocate_delayed" not in world.fs.personality.offers:
        fail("ENOTTY")
    world.fs.allocate_delayed(regular(world.fd(call.file), write=True))
    return DONE


@performs(calls.Defragment)
def _defragment(world: World, call: calls.Defragment, pen: Pen) -> Outcome:
    if "defragment" not in world.fs.personality.offers:
        fail("ENOTTY")
    inode = regular(world.fd(call.file), write=True)
    refuse(world, "defragment", shut_down=world.fs.shut, swapfile=inode.swapfile)
    world.fs.defragment(inode)
    return DONE
