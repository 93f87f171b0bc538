"""Standing invariants of states: what must agree with what in every trial, without being asked for.

- Written out, read anew, and after a remount, every file is what it was at the end.
- The bystander never changes, but for its extents where a call remaps all files (a snapshot, a balance).
- When all files are removed, all space is free again.

What may legally differ:
- With an actor still running at the end, "flushed" is the first state that all else is compared with.
- The content of a former swap area is undefined, and what was read before `swapon` may stay in the page cache.
- Space allocated behind the end of a file, and st_blocks, may change when a file is closed: maps are
  compared up to the end of the file, and st_blocks is left to the checker.
- Delayed and dirty places may get another mapping between "end" and "flushed" (`extents.Tolerance`).
- A swap area that was still active at the end is deactivated; flags that forbid it are cleared for that.
- btrfs may mark a file as not worth compressing at writeback.
- Times are compared on ext4, xfs and btrfs, which stamp a mapped store at its page fault.
- Places on the device are compared on those three too; others (f2fs) may move what they clean up.
- A file that lost its own name can not be opened anew after a remount.
- After a shutdown nothing of this is asked; the bystander still is.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from conformance.judge import changes
from conformance.judge.bench import TIMES_KEPT, Bench
from conformance.judge.extents import Tolerance
from conformance.judge.record import BYSTANDER, TAIL, Moment
from kernel.state import FileState

EXACT_SPACE = frozenset({"ext4", "xfs"})
"""Kinds that give back exactly what they took; btrfs keeps chunks and tree blocks of its own."""

_AT = {
    "end": "the end",
    "flushed": "written out",
    "dropped": "read anew from the device",
    "remounted": "after the remount",
}


def judge_agreement(bench: Bench) -> None:
    """All of the above."""
    _bystander(bench)
    if not bench.record.crashed:
        for file in bench.files:
            _file(bench, file)
        _space(bench)


def _file(bench: Bench, file: str) -> None:
    """One file from the end to the remount, each state against the one before it."""
    history, record = bench.history, bench.record
    names = TAIL[1:] if record.left_running else TAIL
    known = [record.moments[at] for at in names if at in record.moments]
    for before, after in pairwise(known):
        old, new = before.state.files.get(file), after.state.files.get(file)
        nameless = file in history.nameless or (old is not None and old.links == 0)
        if nameless and after.at == "remounted":
            return
        if old is None or new is None:
            if (old is None) != (new is None) and not nameless:
                told = ("it existed" if old else "it did not exist", "it exists" if new else "it does not exist")
                _find(bench, before, after, file, "existence", *told)
            continue
        fields = [field for field in changes.FIELDS if field != "sectors"]
        if bench.kind not in TIMES_KEPT:
            fields = [field for field in fields if field not in changes.TIMES]
        if file in history.swapped:
            fields.remove("content")
        if before.at == "end" and _was_deactivated(bench, file) and old.flags & _KEPT_FROM_WRITING:
            fields = [field for field in fields if field not in ("flags", "ctime")]
        if before.at == "end":
            old, new = _without_nocomp(bench, old), _without_nocomp(bench, new)
        tolerance = _tolerance(bench, before, old, file)
        for change in changes.changes(old, new, bench.block, tuple(fields), tolerance):
            _find(bench, before, after, file, change.what, change.expected, change.observed)


_KEPT_FROM_WRITING = 0x30
"""FS_IMMUTABLE_FL and FS_APPEND_FL."""


def _was_deactivated(bench: Bench, file: str) -> bool:
    settled = bench.record.settled
    return settled is not None and f"swapoff {file}" in settled.undone


def _without_nocomp(bench: Bench, state: FileState) -> FileState:
    return replace(state, flags=state.flags & ~changes.NOCOMP) if bench.kind == "btrfs" else state


def _tolerance(bench: Bench, before: Moment, state: FileState, file: str) -> Tolerance:
    until = -(-state.size // bench.block) * bench.block
    if before.at == "end":
        found = bench.tolerance(before, state, file, until=until)
    else:
        found = Tolerance(until=until, size=state.size)
    return replace(
        found,
        physical=bench.kind in TIMES_KEPT,
        unshared=found.unshared or bool(bench.history.nameless),
    )


def _find(bench: Bench, before: Moment, after: Moment, file: str, what: str, expected: str, observed: str) -> None:
    because = f"a file is the same {_AT[after.at]} as {_AT[before.at] if before.at != 'end' else 'at the end'}"
    bench.find(what, 0, file, expected, observed, because, since=before.at, at=after.at)


def _bystander(bench: Bench) -> None:
    """The file that no call names is the same in everything at every moment that the file system was reachable at."""
    last: tuple[Moment, FileState] | None = None
    fields = tuple(field for field in changes.FIELDS if field != "extents" or not bench.history.all_remapped)
    for moment in bench.record.moments.values():
        if not moment.reachable or moment.at in ("pristine", "emptied"):
            continue
        state = moment.state.files.get(BYSTANDER)
        if state is None:
            if last is not None:
                bench.find(
                    "existence",
                    bench.step_of(moment),
                    BYSTANDER,
                    "it exists",
                    "it does not",
                    _OTHER,
                    since=last[0].at,
                    at=moment.at,
                )
            return
        if last is not None:
            tolerance = Tolerance(physical=bench.kind in TIMES_KEPT)
            for change in changes.changes(last[1], state, bench.block, fields, tolerance):
                bench.find(
                    change.what,
                    bench.step_of(moment),
                    BYSTANDER,
                    change.expected,
                    change.observed,
                    _OTHER,
                    since=last[0].at,
                    at=moment.at,
                )
        last = (moment, state)


_OTHER = "a file that no call names never changes"


def _space(bench: Bench) -> None:
    """When all files are gone, the file system has as much free as when it was new."""
    pristine, emptied = bench.record.moments.get("pristine"), bench.record.moments.get("emptied")
    if pristine is None or emptied is None or bench.kind not in EXACT_SPACE:
        return
    because = "when all files are removed, all their space is free again"
    pairs = [("blocks", pristine.state.system.free_blocks, emptied.state.system.free_blocks)]
    if bench.kind == "ext4":  # xfs makes inodes as they are needed
        pairs.append(("inodes", pristine.state.system.free_inodes, emptied.state.system.free_inodes))
    for unit, before, after in pairs:
        if before != after:
            lost = f"{after} free {unit}: {abs(before - after)} {'lost' if after < before else 'too many'}"
            bench.find(
                "free space", 0, "file system", f"{before} free {unit}", lost, because, since="pristine", at="emptied"
            )
