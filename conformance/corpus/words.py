"""The closed vocabularies of the corpus, each word with what it means.

The loader checks against these tables, `cases/README.md` is generated from them, and
`conformance explain` quotes them. The vocabulary of calls is `kernel.calls.CALLS`.
"""

from __future__ import annotations

import errno
import re

CONTRACT = 1
"""The version of the contract in `cases/README.md`: one more whenever a case that was right is read differently."""

CASE_WORDS: dict[str, str] = {
    "format": "the version of this contract that the case was written for; 1 when it is not said",
    "rule": "the id of the rule that the case tests, from `rules/`",
    "title": "one sentence that says what must happen; no two cases have the same",
    "why": "what is not obvious: why it is done in this way, what a reader should know",
    "tags": "words from the list of tags",
    "targets": 'only these file systems: names (`"xfs"`) or variants (`"xfs:rmapbt0"`). '
    "Without it all that offer the calls",
    "needs": "abilities that the target must offer beside those that follow from calls, files and words",
    "lacks": "abilities that the target must not offer: the case is about how it refuses, and its calls are made "
    "all the same",
    "matrix": "axes: for each combination of their values there is one trial",
    "exclude": "conditions on axes; combinations for which one holds are not trials",
    "not_applicable": 'a table of condition = "reason": trials for which one holds are not applicable, for that reason',
    "files": "the files that exist when the first step is made",
    "steps": "what is done, in order",
    "actors": "processes of their own, started by `start`",
    "after": "claims about files when all steps are made; they must hold again after the cache is dropped "
    "and after a remount",
    "witness": "the proof that the trial met its situation",
    "owners": "files whose bmap btree blocks must all name them as owner, looked at once unmounted",
    "seconds": "time limit on a guest of speed 1 (30 when it is not said, 600 at most)",
}
"""Keys of a case."""

FILE_WORDS: dict[str, str] = {
    "layout": 'what it consists of from its start on, such as `"data:8b hole:4b unwritten:4b"`, or `"empty"`',
    "fragments": "its data is made of at least so many extents that do not touch on the device; "
    "declare the witness `fragments`",
    "beyond_eof": "a quantity preallocated behind its end",
    "xattr": "the length of an extended attribute that it has from the start",
    "mode": 'its permissions as octal text, such as `"0640"`; `"0600"` when it is not said',
    "flags": 'inode flags that are set while it is empty, such as `["nocow"]`',
    "tail": "a quantity of data written behind the last segment: less than a block",
}
"""Keys of a file, when it is more than a layout."""

SEGMENT_WORDS: dict[str, str] = {
    "data": "written, and allocated on the device",
    "hole": "nothing is there",
    "unwritten": "preallocated, never written",
    "delalloc": "written into the page cache only, last of all, so that nothing is allocated yet; "
    "declare the witness `delalloc`",
    "shared": "data whose extents a hidden file shares",
    "comb": "one block of data, one block of hole, and so on: an extent for every two blocks",
}
"""Kinds of segments in the layout of a file."""

STEP_WORDS: dict[str, str] = {
    "do": "the call, from the list of calls",
    "when": "a condition: the step is part of those trials only for which it holds. It keeps its number",
    "expect": 'the result that conforms, or a list of such: `"OK"` (when it is not said), an errno, a word '
    'that the call documents, or `"any"`',
    "returns": "a table of numbers that the call must answer, by the names that it documents",
    "at_least": "a table of numbers that must be reached, or the trial is vacuous: it did not meet its situation",
    "sees": "what a read or a load must find: pieces, or a list of alternatives",
    "transactions": '`"none"`: no transaction of the file system starts during the step; `"some"`: one does; `"any"`',
    "then": "claims that must hold just after the step, compared with just before it",
    "same_tick": "true: made without letting the clock that stamps files move on",
}
"""Keys of a step beside those of its call."""

ACTOR_STEP_WORDS = frozenset({"do", "when", "expect", "returns", "at_least", "sees"})
"""Those that a step of an actor may have: nobody looks at the files around it."""

ACTOR_WORDS: dict[str, str] = {
    "name": "what `start`, `stop`, `blocked` and pieces call it",
    "loop": "true: its steps are repeated until it is told to stop; declare the witness `overlap`",
    "steps": "what it does. A looping actor ends each pass with the descriptors and mappings that it began with",
}
"""Keys of an actor."""

CLAIM_WORDS: dict[str, str] = {
    "content": '`"unchanged"`; the name of a file, whose content at that moment it holds now; pieces; or a list of '
    "alternatives, of which one must hold",
    "size": '`"unchanged"`, `"changed"`, or a quantity',
    "atime": '`"unchanged"` or `"changed"`',
    "mtime": '`"unchanged"` or `"changed"`',
    "ctime": '`"unchanged"` or `"changed"`',
    "btime": '`"unchanged"` or `"changed"`',
    "extents": '`"unchanged"` or `"changed"`: the extent map with kinds, flags and places on the device; '
    '`"of FILE"`: the map, places included, that FILE had at that moment; or a layout such as '
    '`"data:4b hole:4b unwritten:8b"`',
    "space": '`"unchanged"` or `"changed"`: st_blocks',
    "links": "the number of its names",
    "mode": "its permissions as octal text",
    "since": "the number of a step: the comparison is with the moment just after that step. Without it, "
    "in `after`, with the start. Not in `then`",
}
"""Keys of a claim, when it is more than `"unchanged"`."""

WITNESS_WORDS: dict[str, str] = {
    "extents": "file = number: it has at least so many extents at the start",
    "fragments": "file = number: it has at least so many extents that do not touch on the device, at the start",
    "delalloc": "files that have delayed allocations at the start",
    "shared": "files that have shared extents at the start",
    "overlap": "actor = number: it finished at least so many passes while a step of the main process was under way",
}
"""Keys of a witness."""

CONDITION_SUBJECTS: dict[str, str] = {
    "fs": "the file system: the name of its target file, or the kind that it mounts as",
    "target": "the variant, as in `target=ext4:1k`",
    "kernel": "the release, as in `kernel>=6.12`",
    "block": "the size of a block, as in `block<4k`",
    "offers": "an ability, as in `offers=swapfile_unwritten`",
}
"""What a condition can speak of beside the axes of the matrix."""

TAGS: dict[str, str] = {
    "quick": "part of the quick set: a short trial that stands for its area",
    "slow": "takes more than five seconds on a guest of speed 1",
    "race": "has an actor that runs freely beside the call",
    "crash": "shuts the file system down",
    "mmap": "has a mapped file",
    "direct": "uses direct I/O",
    "deep": "has files of hundreds of extents",
    "frozen": "freezes the file system",
    "swap_io": "makes pages go out to a swapfile and come back",
}
"""Tags of cases."""

ABILITIES: dict[str, str] = {
    "move_ext": "EXT4_IOC_MOVE_EXT moves a range of a file onto a donor's blocks",
    "swapext": "XFS_IOC_SWAPEXT swaps all extents of two files, with a bulkstat record as freshness cookie",
    "exchange_range": "XFS_IOC_EXCHANGE_RANGE exchanges ranges (the file system has the feature bit)",
    "commit_range": "XFS_IOC_START_COMMIT and XFS_IOC_COMMIT_RANGE exchange ranges when a cookie is still fresh",
    "move_range": "F2FS_IOC_MOVE_RANGE moves a range from one file to another",
    "mov_data": "the call proposed in 2014 that moves a range into a hole of another file; no kernel has it",
    "clone": "FICLONERANGE and FIDEDUPERANGE make files share extents",
    "swap_boot": "EXT4_IOC_SWAP_BOOT swaps a file with the boot loader inode",
    "allocate_delayed": "EXT4_IOC_ALLOC_DA_BLKS allocates what is only reserved",
    "defragment": "BTRFS_IOC_DEFRAG_RANGE defragments a file",
    "subvolumes": "BTRFS_IOC_SNAP_CREATE makes snapshots, and BTRFS_IOC_BALANCE_V2 moves block groups",
    "handle": "files can be opened by XFS handle, for I/O that is invisible to times",
    "shutdown": "the file system can be shut down as a crash would",
    "swapfile": "a suitable file can be activated as a swap area",
    "swapfile_unwritten": "a swapfile may have unwritten extents",
    "fallocate_zero": "fallocate can zero a range",
    "fallocate_zero_keep_size": "fallocate can zero a range and keep the size",
    "fallocate_collapse": "fallocate can collapse a range",
    "fallocate_insert": "fallocate can insert a range",
    "fallocate_unshare": "fallocate can unshare a range",
    "freeze": "the file system can be frozen",
    "xattrs": "files have extended attributes",
    "unwritten": "fallocate makes unwritten extents",
    "delalloc": "data in the page cache has no blocks until it is written back",
    "nocow": "a file can be excluded from copy-on-write",
    "compression": "a file can be compressed",
    "journal_data": "a file's data can be journalled by an inode flag",
    "owners": "bmap btree blocks name the inode that owns them, and the suite can read that",
    "transactions": "the suite can count the file system's transactions",
}
"""What a target can offer."""

IMPLIED_BY_CALL: dict[str, str] = {"freeze": "freeze", "thaw": "freeze", "setxattr": "xattrs"}
"""Abilities that follow from a call, beside those that the call itself names."""
IMPLIED_BY_SEGMENT: dict[str, str] = {"unwritten": "unwritten", "delalloc": "delalloc", "shared": "clone"}
"""Abilities that follow from a kind of segment in `[files]`."""
IMPLIED_BY_FLAG: dict[str, str] = {"nocow": "nocow", "compress": "compression", "journal_data": "journal_data"}
"""Abilities that follow from an inode flag in `[files]`."""

ERRNOS: frozenset[str] = frozenset(errno.errorcode.values()) - {"ENOTSUP", "EWOULDBLOCK", "EDEADLOCK"} | {
    "EOPNOTSUPP",
    "EAGAIN",
    "EDEADLK",
}
"""Names of errno values, one for each number."""
ERRNO_ALIASES: dict[str, str] = {"ENOTSUP": "EOPNOTSUPP", "EWOULDBLOCK": "EAGAIN", "EDEADLOCK": "EDEADLK"}
"""Other names of the same numbers, and the one to write."""

NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
"""Names of files, actors, descriptors, mappings, cookies and axes. No path can be written with it."""
RESERVED = frozenset(
    {"zero", "any", "unknown", "all", "rest", "otherwise", "empty", "unchanged", "changed", "bystander", "swap_header"}
)
"""Names that mean something else, or that the suite uses itself."""
RULE_ID = re.compile(r"[A-Z][A-Z0-9]*(-[A-Z0-9]+)+")
"""Ids of rules."""

MIB = 1 << 20
MAX_FILES = 256 * MIB
"""Bytes of all files of a trial together, and where the last byte that a call touches may be."""
MAX_MEMORY = 256 * MIB
"""Bytes of memory that a step may fill."""
MAX_STEPS = 500
"""Steps of a case, actors included."""
MAX_TRIALS = 2000
"""Combinations of one matrix."""
MAX_SECONDS = 600
"""The longest time limit that a case may ask for."""
MAX_TOML = MIB
"""Bytes of one file of the corpus."""
