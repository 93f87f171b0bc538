"""Performs the calls that move and swap extents, and those on freshness cookies.

Each call is the list of its refusals, in the order in which they are tested, and then one change.
Nothing is changed before the last refusal.
"""

from __future__ import annotations

from kernel import calls
from kernel.protocol import OK, Outcome
from kernel.reference.calls_data import regular
from kernel.reference.calls_share import overlapping
from kernel.reference.cookies import Cookie
from kernel.reference.forks import NOWHERE
from kernel.reference.inode import APPEND, EXTENTS, IMMUTABLE, JOURNAL_DATA, Inode
from kernel.reference.world import DONE, Descriptor, Pen, World, fail, name_of, performs, refuse
from kernel.units import PAGE, Span


@performs(calls.Snapshot)
def _snapshot(world: World, call: calls.Snapshot, pen: Pen) -> Outcome:
    if call.via == "swapext" and "swapext" not in world.fs.personality.offers:
        fail("ENOTTY")
    world.cookies[call.cookie] = _take(world, regular(world.fd(call.file)), call.via)
    return DONE


def _take(world: World, inode: Inode, via: str) -> Cookie:
    """The record that SWAPEXT compares is told to root alone."""
    if via == "swapext" and not world.fs.tasks.current.privileged:
        fail("EPERM")
    return world.fs.take_cookie(inode, via)


@performs(calls.Tamper)
def _tamper(world: World, call: calls.Tamper, pen: Pen) -> Outcome:
    cookie = world.cookies[call.cookie]
    if call.field == "all":
        if call.to != "zero":
            return Outcome("NOFIELD")
        cookie.fields = dict.fromkeys(cookie.fields, 0)
        cookie.change = 0
        return DONE
    if call.field not in cookie.fields:
        return Outcome("NOFIELD")
    cookie.fields[call.field] = 0 if call.to == "zero" else cookie.fields[call.field] + 1
    return DONE


@performs(calls.Exchange)
def _exchange(world: World, call: calls.Exchange, pen: Pen) -> Outcome:
    if call.via not in world.fs.personality.offers:
        _refuse_absent(world, call)
    refuse(world, call.via, reserved=call.spoil != "nothing" or "unknown" in call.flags)
    return _VIA[call.via](world, call)


def _refuse_absent(world: World, call: calls.Exchange) -> None:
    """A call that the file system does not have; a feature that it could have is told apart."""
    if call.via in ("exchange_range", "commit_range") and "swapext" in world.fs.personality.offers:
        refuse(world, call.via, no_feature=True)
    fail("ENOTTY")


def _pair(
    world: World, via: str, target: str, donor: str, *, donor_reads: bool = True
) -> tuple[Descriptor, Inode, Descriptor, Inode]:
    """The two files of a call, if their descriptors and kinds allow it."""
    one, two = world.fd(target), world.fd(donor)
    if one is None or one.path or two is None or two.path:
        refuse(world, via, bad_fd=True)
    assert one is not None
    assert two is not None
    kinds = {one.kind, two.kind}
    refuse(
        world,
        via,
        not_writable=not (one.readable and one.writable and two.writable) and "directory" not in kinds,
        not_readable=donor_reads and not two.readable,
        append_fd=one.append or two.append,
    )
    refuse(
        world,
        via,
        is_directory="directory" in kinds,
        other_fs="tmpfs_file" in kinds or (via in ("exchange_range", "commit_range") and kinds != {"file"}),
    )
    refuse(world, via, not_regular=kinds != {"file"})
    refuse(world, via, not_writable=not (one.writable and two.writable))
    assert one.inode is not None
    assert two.inode is not None
    return one, one.inode, two, two.inode


def _refuse_states(world: World, via: str, target: Inode, donor: Inode) -> None:
    """What no exchange may touch."""
    flags = target.flags | donor.flags
    refuse(
        world,
        via,
        read_only=world.fs.read_only,
        shut_down=world.fs.shut,
        swapfile=target.swapfile or donor.swapfile,
        immutable=bool(flags & IMMUTABLE),
        append_only=bool(flags & APPEND),
        mapped=via in world.fs.personality.refuses_mapped and bool(target.maps or donor.maps),
    )


# --- SWAPEXT ----------------------------------------------------------------------------------


def _swapext(world: World, call: calls.Exchange) -> Outcome:
    fs = world.fs
    fd = world.fd(call.target)
    span = call.range.within(world.size(call.target))
    refuse(world, "swapext", read_only=fs.read_only)
    if call.cookie is not None:
        cookie = world.cookies[call.cookie]
    elif fd is not None and fd.inode is not None:
        cookie = _take(world, fd.inode, "swapext")
    else:
        cookie = Cookie("swapext")
    _, target, _, donor = _pair(world, "swapext", call.target, call.donor)
    refuse(world, "swapext", same_inode=target is donor)
    _refuse_states(world, "swapext", target, donor)
    with fs.locked(target, donor):
        fs.flush_and_drop(target, 0, fs.whole(target))
        fs.flush_and_drop(donor, 0, fs.whole(donor))
        refuse(
            world,
            "swapext",
            not_whole=span.offset != 0 or not span.length == target.size == donor.size,
            more_extents=len(donor.data.extents) > len(target.data.extents),
            does_not_fit=fs.personality.swaps_forks and not _fit(world, target, donor),
            stale=not fs.fresh(target, cookie),
        )
        if fs.personality.swaps_forks:
            fs.swap_forks(target, donor)
        else:
            _swap_all_mappings(world, target, donor)
    return DONE


def _fit(world: World, target: Inode, donor: Inode) -> bool:
    """Whether each fork fits into the other inode: a list beside its attributes, a tree only where one was."""
    if donor.data.tree and not target.data.tree:
        return False
    for fork, other in ((target.data, donor), (donor.data, target)):
        if not fork.tree and len(fork.extents) > world.fs.slots(other):
            return False
    return True


def _swap_all_mappings(world: World, target: Inode, donor: Inode) -> None:
    fs = world.fs
    with fs.transaction("swap mappings", target, donor):
        count = max(target.data.extents.end, donor.data.extents.end)
        fs.exchange_mappings(target, 0, donor, 0, count, written_only=False)
        fs.count_swap(target)
        fs.count_swap(donor)


# --- EXCHANGE_RANGE and COMMIT_RANGE ------------------------------------------------------------


def _exchange_range(world: World, call: calls.Exchange) -> Outcome:
    fs, via = world.fs, call.via
    fd = world.fd(call.target)
    span = call.range.within(world.size(call.target))
    at = span.offset if call.donor_at is None else call.donor_at
    cookie: Cookie | None = None
    if via == "commit_range":
        if call.cookie is not None:
            cookie = world.cookies[call.cookie]
        elif fd is not None and fd.inode is not None:
            cookie = _take(world, fd.inode, "commit_range")
        else:
            cookie = Cookie("commit_range")
    two, target, one, donor = _pair(world, via, call.target, call.donor)
    _refuse_states(world, via, target, donor)
    to_eof = "to_eof" in call.flags
    _refuse_ranges(world, via, target, span, donor, at, to_eof=to_eof)
    with fs.locked(target, donor):
        refuse(world, via, stale=cookie is not None and not fs.fresh(target, cookie))
        if "dry_run" in call.flags or (not to_eof and span.length == 0):
            return DONE
        length = max(target.size - span.offset, donor.size - at) if to_eof else span.length
        fs.flush_and_drop(target, span.offset, span.offset + length)
        fs.flush_and_drop(donor, at, at + length)
        with fs.transaction("exchange range", target, donor):
            count = -(-length // fs.block)
            written_only = "file1_written" in call.flags
            fs.exchange_mappings(
                donor, at // fs.block, target, span.offset // fs.block, count, written_only=written_only
            )
            if to_eof:
                _swap_sizes(world, target, span.offset, donor, at)
            fs.stamp(target, invisible=two.invisible)
            fs.stamp(donor, invisible=one.invisible)
        if "dsync" in call.flags or one.sync or two.sync:
            fs.flush_log()
    return DONE


def _swap_sizes(world: World, target: Inode, at: int, donor: Inode, donor_at: int) -> None:
    """Each file ends where the other one did."""
    target_size, donor_size = at + donor.size - donor_at, donor_at + target.size - at
    for inode, size in ((target, target_size), (donor, donor_size)):
        if size > inode.size:
            world.fs.zero_cached(inode, inode.size, size)
        else:
            world.fs.flush_and_drop(inode, size, inode.size)
        inode.size = inode.disk_size = size


def _refuse_ranges(world: World, via: str, target: Inode, span: Span, donor: Inode, at: int, *, to_eof: bool) -> None:
    """Ranges are whole blocks inside both files, unless they end where both files end."""
    block = world.fs.block
    refuse(world, via, misaligned=bool(span.offset % block or at % block))
    if to_eof:
        refuse(world, via, beyond_eof=span.offset > target.size or at > donor.size, overlap=target is donor)
        return
    refuse(
        world,
        via,
        beyond_eof=span.end > target.size or at + span.length > donor.size,
        overlap=overlapping(donor, at, target, span.offset, span.length),
    )
    at_ends = span.end == target.size and at + span.length == donor.size
    refuse(world, via, partial_block=bool(span.length % block) and not at_ends)


# --- MOVE_EXT -----------------------------------------------------------------------------------


_LARGEST = (1 << 32) - 1
"""The first block that a file can not have."""


def _move_ext(world: World, call: calls.Exchange) -> Outcome:
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
    _, original, _, donor = _pair(world, "move_ext", call.target, call.donor)
    refuse(world, "move_ext", same_inode=original is donor)
    refuse(
        world,
        "move_ext",
        journal_data=fs.personality.journal_data,
        setuid_donor=bool(donor.mode & 0o6000),
        not_extents=not (original.flags & donor.flags & EXTENTS),
    )
    _refuse_states(world, "move_ext", original, donor)
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


def _move_range(world: World, call: calls.Exchange) -> Outcome:
    fs = world.fs
    span = call.range.within(world.size(call.donor))
    at = span.offset if call.donor_at is None else call.donor_at
    two, source, one, target = _pair(world, "move_range", call.donor, call.target, donor_reads=False)
    _refuse_states(world, "move_range", source, target)
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


def _mov_data(world: World, call: calls.Exchange) -> Outcome:
    """Moves blocks of the donor into a hole of the receiver; sizes stay, the donor has a hole."""
    fs = world.fs
    span = call.range.within(world.size(call.target))
    at = span.offset if call.donor_at is None else call.donor_at
    one, receiver, two, donor = _pair(world, "mov_data", call.target, call.donor)
    _refuse_states(world, "mov_data", receiver, donor)
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


_VIA = {
    "swapext": _swapext,
    "exchange_range": _exchange_range,
    "commit_range": _exchange_range,
    "move_ext": _move_ext,
    "move_range": _move_range,
    "mov_data": _mov_data,
}

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
