"""What the kernel printed: a closed list of what tells of a fault, and the taint that a fault leaves.

A line that matches no entry is let pass: kernels print much that is harmless. A line that matches
`HARMLESS` is let pass even where it matches a fault. Lines come without level and time stamp where
they were read from /dev/kmsg, and with both where they are a console's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

EXCERPT = 60
"""Lines of console that a verdict keeps around a fault."""
LOST = "(kernel messages were lost here)"
"""What the kernel log's reader says when records were overwritten before it came to them."""


@dataclass(frozen=True)
class Sign:
    """A kind of line, and why it matters."""

    pattern: re.Pattern[str]
    reason: str
    after_shutdown: bool = True
    """It is a fault also in a trial that shuts the file system down."""


def _sign(pattern: str, reason: str, *, after_shutdown: bool = True) -> Sign:
    return Sign(re.compile(pattern), reason, after_shutdown)


FAULTS: tuple[Sign, ...] = (
    _sign(r"Kernel panic - not syncing", "the kernel gave up"),
    _sign(r"\bkernel BUG at\b|\bBUG: ", "an assertion of the kernel failed, or a checker inside it found a fault"),
    _sign(r"\bOops\b|Unable to handle kernel|general protection fault|double fault", "the kernel used a bad address"),
    _sign(r"\bWARNING: ", "the kernel met a situation that its authors hold impossible, or lockdep saw a deadlock"),
    _sign(
        r"\bUBSAN: |\bKASAN: |\bKCSAN: |\bKFENCE: |\bKMSAN: ", "a sanitizer found undefined behaviour or a bad access"
    ),
    _sign(r"\bINFO: task .* blocked for more than", "a task hangs"),
    _sign(
        r"\bINFO: (possible|inconsistent|trying to register|suspicious)|suspicious RCU usage", "lockdep found a fault"
    ),
    _sign(
        r"possible (circular|recursive|irq) lock|inconsistent lock state|held lock freed", "lockdep found a deadlock"
    ),
    _sign(
        r"rcu.*(detected stalls|self-detected stall)|soft lockup|hard LOCKUP|workqueue lockup",
        "a processor does not get on",
    ),
    _sign(r"Assertion failed", "an assertion of the file system failed"),
    _sign(r"\bBad page (state|map|cache)|page dumped because|Bad rss-counter", "the books of memory are wrong"),
    _sign(
        r"list_(add|del) corruption|refcount_t: |Object already free|Redzone|Poison overwritten", "memory is corrupted"
    ),
    _sign(
        r"Bad swap (file|offset) entry|_swap_info_get: |swap_(free|dup|info_get): (Bad|Unused)",
        "the books of swap are wrong",
    ),
    _sign(r"(Read|Write)-error on swap-device", "swap I/O failed, and pages are lost"),
    _sign(r"Out of memory|oom-kill:|oom_reaper|Killed process \d+", "memory ran out although swap was there"),
    _sign(
        r"[Cc]orruption (of in-memory data|detected|warning)|Metadata (corruption|CRC error)",
        "the file system found corruption",
    ),
    _sign(r"Unmount and run xfs_repair|run e2fsck|First corrupted metadata buffer", "the file system found corruption"),
    _sign(r"XFS .*[Ii]nternal error|XFS: Internal error", "xfs met a state that it holds impossible"),
    _sign(
        r"EXT4-fs error|EXT4-fs \(.*\): (error|failed)|EXT4-fs warning .*(checksum|corrupt|bad )",
        "ext4 found an error",
        after_shutdown=False,
    ),
    _sign(
        r"This should not happen!!|Delayed block allocation failed",
        "ext4 loses data that was written",
        after_shutdown=False,
    ),
    _sign(
        r"JBD2: .*([Ee]rror|[Ii]nvalid|corrupt)|Aborting journal|Detected aborted journal",
        "the journal failed",
        after_shutdown=False,
    ),
    _sign(r"Remounting filesystem read-only", "the file system gave up writing", after_shutdown=False),
    _sign(
        r"BTRFS (error|critical|emergency|alert)|BTRFS: (error|Transaction aborted)|corrupt (leaf|node)",
        "btrfs found an error",
        after_shutdown=False,
    ),
    _sign(r"csum failed|checksum (verify failed|error)|bad tree block", "a checksum does not agree"),
    _sign(r"F2FS-fs .*([Ii]nconsisten|[Cc]orrupt|[Ee]rror|wrong)", "f2fs found an error", after_shutdown=False),
    _sign(r"I/O error|critical (medium|target) error|lost (a?sync )?page write", "I/O failed", after_shutdown=False),
    _sign(
        r"has been shut down|[Ss]hutting down filesystem|Log I/O Error",
        "the file system shut itself down",
        after_shutdown=False,
    ),
    _sign(r"^\W*(\[[^]]*\]\s*)?Call Trace:", "the kernel printed where it was, as it does with a fault"),
)
"""Lines that are a finding. The list is closed: what is not on it is let pass."""

HARMLESS: tuple[Sign, ...] = (
    _sign(r"swapfile must (not|be) |cannot activate swapfile|swapon: swapfile ", "how a kernel refuses a swapfile"),
    _sign(r"Unable to find swap-space signature|Empty swap-file|Swap area shorter than", "a refused swap header"),
    _sign(r"Unable to handle swap header version|Cannot find a single usable page", "a refused swap header"),
    _sign(r"Online defrag not supported", "how ext4 says why it refuses to move extents"),
    _sign(r"format is incompatible for exchanging", "how xfs says why it refuses to swap forks"),
    _sign(r"EXPERIMENTAL .* feature|Use at your own risk", "said at a mount, about a feature"),
)
"""Lines that are said of a refusal or a mount, and tell of no fault."""

EVERYDAY: tuple[Sign, ...] = (
    _sign(r"mounted filesystem|unmounting filesystem|Mounting V\d Filesystem|Unmounting Filesystem", "a mount"),
    _sign(r"Ending clean mount|disk space caching|using free space tree|checksum algorithm|first mount of", "a mount"),
    _sign(r"BTRFS: device fsid|enabling (ssd|auto)|using crc32c|has skinny extents|checking UUID tree", "a mount"),
    _sign(r"drop_caches: \d", "the suite drops the page cache"),
    _sign(r"Adding \d+k swap on", "a swapon that succeeded"),
)
"""Lines that every trial leaves: a verdict keeps them only around a fault."""

TAINTS: dict[int, str] = {
    4: "M: a processor reported a hardware error",
    5: "B: bad page",
    7: "D: the kernel died (oops or BUG)",
    9: "W: the kernel warned",
    14: "L: soft lockup",
}
"""Bits of /proc/sys/kernel/tainted that a fault leaves. The others tell how the kernel was built and which modules
it has (proprietary, forced, out of tree, unsigned, staging, live patched, test, firmware, user request)."""


def faults(lines: Iterable[str], *, shut_down: bool) -> Iterator[tuple[int, str, Sign]]:
    """The lines that tell of a fault: index, text without time stamp, sign. Each text once.

    A trace of calls counts only where nothing says what it is about."""
    seen: set[str] = set()
    traces: list[tuple[int, str, Sign]] = []
    found = False
    for index, line in enumerate(lines):
        sign = sign_of(line, shut_down=shut_down)
        if sign is None:
            continue
        text = without_stamp(line)
        key = re.sub(r"\d+", "N", text)
        if key in seen:
            continue
        seen.add(key)
        if sign is FAULTS[-1]:
            traces.append((index, text, sign))
            continue
        found = True
        yield index, text, sign
    if not found:
        yield from traces


def sign_of(line: str, *, shut_down: bool) -> Sign | None:
    """The fault that a line tells of."""
    if any(sign.pattern.search(line) for sign in HARMLESS):
        return None
    for sign in FAULTS:
        if (sign.after_shutdown or not shut_down) and sign.pattern.search(line):
            return sign
    return None


def without_stamp(line: str) -> str:
    """A line without level and time stamp."""
    return re.sub(r"^(<\d+>)?\s*(\[\s*\d+\.\d+\](\[[^]]*\])?\s*)?", "", line).rstrip()


def excerpt(lines: tuple[str, ...], first: int) -> tuple[str, ...]:
    """The lines around the first fault: three before it, and what follows."""
    start = max(0, first - 3)
    return lines[start : start + EXCERPT]


def without_everyday(lines: tuple[str, ...]) -> tuple[str, ...]:
    """The last lines that are not what every trial leaves."""
    kept = [line for line in lines if not any(sign.pattern.search(line) for sign in EVERYDAY)]
    return tuple(kept[-EXCERPT:])


def taints(bits: int) -> tuple[str, ...]:
    """What the taint of a kernel says of faults."""
    return tuple(text for bit, text in TAINTS.items() if bits >> bit & 1)
