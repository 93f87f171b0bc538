"""Counts transactions as they start, by the kernel's tracepoints, where it has tracefs.

The counters of a file system move when a transaction commits, or not for every kind of it; a tracepoint
tells each one. Each kind of file system has an instance of its own (Documentation/trace/ftrace.rst,
"Instances"), which nobody else's tracing disturbs, with events of the scratch device only.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

TRACEFS = Path("/sys/kernel/tracing")
_BUFFER_KILOBYTES = 64
"""Only the counts are read: events that were overwritten count too."""
_COUNTED = ("entries", "overrun", "dropped events", "read events")

_STARTS = {
    "xfs": ("xfs/xfs_trans_alloc",),
    "ext4": (
        "jbd2/jbd2_handle_start",
        "ext4/ext4_journal_start",  # up to 6.2; split in two since
        "ext4/ext4_journal_start_inode",
        "ext4/ext4_journal_start_sb",
    ),
    "btrfs": ("btrfs/btrfs_transaction_commit",),  # there is none for a start
}
"""The events of each kind of file system."""
_WITHOUT_DEVICE = frozenset({"btrfs/btrfs_transaction_commit"})
"""Events that do not tell the device."""


def transactions(kind: str, device: str) -> dict[str, int]:
    """How many transactions were seen to start on the device since this was first asked; empty where none can be."""
    instance = TRACEFS / "instances" / f"conformance-{kind}"
    try:
        if not instance.is_dir() and not _begin(instance, kind, device):
            return {}
        return {"transactions traced": _events(instance)}
    except OSError:  # a kernel without instances, or a tracefs that may not be written
        with contextlib.suppress(OSError):
            os.rmdir(instance)
        return {}


def forget() -> None:
    """Removes all instances: for a kernel that goes on after the trials."""
    for kind in _STARTS:
        with contextlib.suppress(OSError):
            os.rmdir(TRACEFS / "instances" / f"conformance-{kind}")


def _begin(instance: Path, kind: str, device: str) -> bool:
    """Makes the instance and switches its events on; false where the kernel has none of them."""
    events = [name for name in _STARTS.get(kind, ()) if (TRACEFS / "events" / name).is_dir()]
    if not events:
        return False
    number = os.stat(device).st_rdev
    instance.mkdir()
    (instance / "buffer_size_kb").write_text(str(_BUFFER_KILOBYTES))
    for name in events:
        event = instance / "events" / name
        if name not in _WITHOUT_DEVICE:
            # As the kernel keeps it: 12 bits of major number before 20 bits of minor number.
            (event / "filter").write_text(f"dev == {os.major(number) << 20 | os.minor(number)}")
        (event / "enable").write_text("1")
    return True


def _events(instance: Path) -> int:
    """The number of events so far, over all processors."""
    total = 0
    for stats in instance.glob("per_cpu/cpu*/stats"):
        for line in stats.read_text().splitlines():
            name, _, value = line.partition(": ")
            if name in _COUNTED:
                total += int(value)
    return total
