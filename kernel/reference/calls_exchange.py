"""Performs the calls that move and swap extents, and those on freshness cookies.

Each call is the list of its refusals, in the order in which they are tested, and then one change.
Nothing is changed before the last refusal.
"""

from __future__ import annotations

from kernel import calls
from kernel.protocol import Outcome
from kernel.reference import calls_move
from kernel.reference.calls_data import regular
from kernel.reference.calls_share import overlapping
from kernel.reference.cookies import Cookie
from kernel.reference.inode import Inode
from kernel.reference.pairs import pair, refuse_states
from kernel.reference.world import DONE, Pen, World, fail, performs, refuse
from kernel.units import Span


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
    _, target, _, donor = pair(world, "swapext", call.target, call.donor)
    refuse(world, "swapext", same_inode=target is donor)
    refuse_states(world, "swapext", target, donor)
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
    two, target, one, donor = pair(world, via, call.target, call.donor)
    refuse_states(world, via, target, donor)
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


_VIA = {
    "swapext": _swapext,
    "exchange_range": _exchange_range,
    "commit_range": _exchange_range,
    "move_ext": calls_move.move_ext,
    "move_range": calls_move.move_range,
    "mov_data": calls_move.mov_data,
}
