"""Lines of the kernel log that are findings, those that are not, and taint."""

from __future__ import annotations

import pytest
from tracekit import Story, found, only, step, trial

from conformance.judge import console
from conformance.model.verdict import Verdict
from kernel import calls

FAULTS = [
    "WARNING: CPU: 0 PID: 41 at mm/swapfile.c:1234 swap_free+0x10/0x20",
    "[   12.345678] WARNING: possible circular locking dependency detected",
    "[    3.000001][  T12] BUG: kernel NULL pointer dereference, address: 0000000000000008",
    "kernel BUG at fs/ext4/inode.c:2790!",
    "Oops: 0000 [#1] PREEMPT SMP NOPTI",
    "general protection fault, probably for non-canonical address 0xdead000000000100",
    "Kernel panic - not syncing: Fatal exception",
    "INFO: task kworker/0:1:12 blocked for more than 3 seconds.",
    "rcu: INFO: rcu_sched self-detected stall on CPU",
    "watchdog: BUG: soft lockup - CPU#0 stuck for 22s!",
    "UBSAN: shift-out-of-bounds in fs/xfs/xfs_log.c:1:2",
    "BUG: KASAN: use-after-free in xfs_swap_extents+0x1/0x2",
    "XFS: Assertion failed: ip->i_nblocks >= 0, file: fs/xfs/xfs_bmap_util.c, line: 12",
    "XFS (ubda): Internal error XFS_WANT_CORRUPTED_GOTO at line 1 of file fs/xfs/libxfs/xfs_btree.c",
    "XFS (ubda): Metadata corruption detected at xfs_bmbt_read_verify+0x1/0x2, xfs_bmbt block 0x40",
    "XFS (ubda): Metadata CRC error detected at xfs_bmbt_read_verify",
    "XFS (ubda): Corruption of in-memory data (0x8) detected at xfs_defer_finish_noroll",
    "XFS (ubda): Unmount and run xfs_repair",
    "EXT4-fs error (device ubda): ext4_ext_check_inode:520: inode #12: bad header/extent",
    "EXT4-fs (ubda): This should not happen!! Data will be lost",
    "Aborting journal on device ubda-8.",
    "EXT4-fs (ubda): Remounting filesystem read-only",
    "BTRFS error (device ubda): bad tree block start, want 1 have 0",
    "BTRFS: Transaction aborted (error -28)",
    "BTRFS warning (device ubda): csum failed root 5 ino 257 off 0 csum 0x1 expected csum 0x2 mirror 1",
    "BTRFS critical (device ubda): corrupt leaf: root=5 block=1 slot=0",
    "F2FS-fs (vda): Inconsistent segment (1) type [1, 0] in SSA and SIT",
    "Buffer I/O error on dev vda, logical block 5, lost async page write",
    "blk_update_request: I/O error, dev vda, sector 8 op 0x1:(WRITE)",
    "Read-error on swap-device (254:0:1234)",
    "get_swap_device: Bad swap file entry 2000000000000001",
    "BUG: Bad page map in process python3  pte:1 pmd:2",
    "list_del corruption. prev->next should be 1, but was 2",
    "refcount_t: underflow; use-after-free.",
    "Memory cgroup out of memory: Killed process 33 (python3)",
    "INFO: trying to register non-static key.",
    "WARNING: possible recursive locking detected",
]
HARMLESS = [
    "EXT4-fs (ubda): mounted filesystem with ordered data mode. Quota mode: none.",
    "EXT4-fs (ubda): re-mounted. Opts: errors=remount-ro. Quota mode: none.",
    "XFS (ubda): Mounting V5 Filesystem",
    "XFS (ubda): Ending clean mount",
    "XFS (ubda): Unmounting Filesystem",
    "XFS (ubda): inode 0x83 format is incompatible for exchanging.",
    "BTRFS warning (device ubda): swapfile must not be copy-on-write",
    "BTRFS warning (device ubda): swapfile must not have holes",
    "BTRFS info (device ubda): using crc32c (crc32c-generic) checksum algorithm",
    "swapon: file is not committed",
    "swapon: swapfile has holes",
    "Unable to find swap-space signature",
    "Empty swap-file",
    "Swap area shorter than signature indicates",
    "Adding 252k swap on /scratch/target.  Priority:-2 extents:1 across:252k",
    "EXT4-fs (ubda): Online defrag not supported with data journaling",
    "XFS (ubda): EXPERIMENTAL atomic file range exchange feature in use. Use at your own risk!",
    "random: crng reseeded",
    "",
]


def printed(*lines: str, tainted: int = 0, crash: bool = False) -> Verdict:
    call: calls.Call = calls.Shutdown("default") if crash else calls.Sync()
    return Story(trial(step(1, call), crash=crash)).do(1).finish(console=lines, tainted=tainted).judged()


@pytest.mark.parametrize("line", FAULTS)
def test_a_fault_is_found(line: str) -> None:
    finding = only(printed("something else", line))
    assert (finding.what, finding.subject) == ("console", "kernel log")
    assert finding.observed == console.without_stamp(line)


@pytest.mark.parametrize("line", HARMLESS)
def test_what_kernels_say_every_day_is_let_pass(line: str) -> None:
    assert printed(line).kind == "pass"


def test_every_fault_of_the_list_has_a_line_here() -> None:
    samples = [*FAULTS, "Call Trace:", "XFS (ubda): Log I/O Error (0x2) detected", "Bad rss-counter"]
    for sign in console.FAULTS:
        assert any(sign.pattern.search(line) for line in samples), sign.pattern.pattern
    for sign in console.HARMLESS:
        texts = [*HARMLESS, "Unable to handle swap header version 2"]
        assert any(sign.pattern.search(line) for line in texts), sign.pattern.pattern


@pytest.mark.parametrize(
    "line",
    [
        "XFS (ubda): User initiated shutdown received.",
        "XFS (ubda): Filesystem has been shut down due to log error (0x2).",
        "XFS (ubda): log I/O error -5",
        "Aborting journal on device ubda-8.",
        "Buffer I/O error on device ubda, logical block 100",
        "EXT4-fs (ubda): Delayed block allocation failed for inode 12 with error 5",
    ],
)
def test_a_shutdown_is_followed_by_errors(line: str) -> None:
    assert printed(line, crash=True).kind == "pass"


def test_corruption_and_warnings_are_faults_after_a_shutdown_too() -> None:
    for line in (
        "XFS (ubda): Metadata corruption detected at xfs_bmbt_read_verify",
        "WARNING: CPU: 0 PID: 1 at fs/ext4/inode.c:1",
        "XFS (ubda): Internal error at line 1",
    ):
        assert printed(line, crash=True).kind == "fail"


def test_lines_that_differ_in_numbers_only_are_told_once() -> None:
    lines = [f"[  {n}.000000] Buffer I/O error on dev vda, logical block {n}" for n in range(10, 30)]
    assert len(printed(*lines).findings) == 1


def test_a_trace_of_calls_counts_only_on_its_own() -> None:
    assert only(printed("Call Trace:", " <TASK>")).observed == "Call Trace:"
    assert only(printed("WARNING: CPU: 0 PID: 1 at a.c:1", "Call Trace:")).observed.startswith("WARNING")


def test_the_excerpt_is_around_the_first_fault() -> None:
    lines = tuple(f"line {n}" for n in range(100))
    verdict = printed(*lines[:50], "kernel BUG at a.c:1", *lines[50:])
    assert verdict.console[0] == "line 47"
    assert verdict.console[3] == "kernel BUG at a.c:1"
    assert len(verdict.console) == 54
    assert printed(*lines).console == lines[-console.EXCERPT :]


def test_what_every_trial_leaves_is_kept_only_around_a_fault() -> None:
    everyday = ("EXT4-fs (ubda): mounted filesystem with ordered data mode.", "init (1): drop_caches: 1")
    assert printed(*everyday, "swapon: swapfile has holes").console == ("swapon: swapfile has holes",)
    assert printed(*everyday, "kernel BUG at a.c:1").console == (*everyday, "kernel BUG at a.c:1")


@pytest.mark.parametrize(("bits", "letters"), [(1 << 9, "W"), (1 << 7, "D"), (1 << 5 | 1 << 14, "BL"), (1 << 4, "M")])
def test_taint_that_a_fault_leaves(bits: int, letters: str) -> None:
    verdict = printed(tainted=bits)
    assert verdict.kind == "fail"
    assert [finding.observed[0] for finding in verdict.findings] == list(letters)


@pytest.mark.parametrize("bit", [0, 1, 10, 11, 12, 13, 15, 17, 18])
def test_taint_that_tells_how_a_kernel_was_built(bit: int) -> None:
    assert printed(tainted=1 << bit).kind == "pass"


def test_a_warning_comes_before_the_taint_that_it_leaves() -> None:
    verdict = printed("WARNING: CPU: 0 PID: 1 at a.c:1", tainted=1 << 9)
    assert [what for what, _, _ in found(verdict)] == ["console", "tainted"]


def test_lost_messages_leave_it_open_what_was_said() -> None:
    verdict = printed(console.LOST)
    assert verdict.kind == "vacuous"


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("[   12.345678] hello", "hello"),
        ("[   12.345678][  T41] hello", "hello"),
        ("<4>[    0.000001] hello", "hello"),
        ("hello  ", "hello"),
        ("[drm] hello", "[drm] hello"),
    ],
)
def test_stamps_are_left_out(line: str, text: str) -> None:
    assert console.without_stamp(line) == text
