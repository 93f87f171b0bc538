"""What each file system offers, how it keeps its metadata, and which errno it uses for which condition: data only.

A call names the conditions under which it refuses, in its order; the personality says with which
errno. "OK" means that this file system does not refuse there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from kernel.setup import FileSystem

Refusals = Mapping[str, str]
"""Errno by condition."""

_FILES: Refusals = {
    "bad_fd": "EBADF",
    "not_readable": "EBADF",
    "not_writable": "EBADF",
    "is_directory": "EISDIR",
    "not_regular": "EINVAL",
    "swapfile": "ETXTBSY",
    "immutable": "EPERM",
    "append_only": "EPERM",
    "read_only": "EROFS",
    "shut_down": "EIO",
    "other_fs": "EXDEV",
    "misaligned": "EINVAL",
    "overflow": "EINVAL",
    "beyond_eof": "EINVAL",
    "overlap": "EINVAL",
    "same_inode": "EINVAL",
    "append_fd": "EBADF",
    "unsupported": "EOPNOTSUPP",
    "absent": "ENOTTY",
    "reserved": "EINVAL",
}
"""What most calls answer."""

_MOVE_EXT: Refusals = {
    **_FILES,
    "is_directory": "EINVAL",
    "other_fs": "EINVAL",
    "start_beyond_eof": "EINVAL",
    "too_large": "EINVAL",
    "setuid_donor": "EINVAL",
    "dirty": "EBUSY",
    "delayed": "ENODATA",
    "journal_data": "EOPNOTSUPP",
    "not_extents": "EOPNOTSUPP",
}
_SWAPEXT: Refusals = {
    **_FILES,
    "bad_fd": "EINVAL",
    "target_bad_fd": "EINVAL",
    "is_directory": "EINVAL",
    "swapfile": "EINVAL",
    "other_fs": "EINVAL",
    "not_whole": "EFAULT",
    "more_extents": "EINVAL",
    "does_not_fit": "EINVAL",
    "local": "EINVAL",
    "stale": "EBUSY",
    "mapped": "EBUSY",
}
_EXCHANGE: Refusals = {
    **_FILES,
    "stale": "EBUSY",
    "partial_block": "EINVAL",
    "no_feature": "EOPNOTSUPP",
}
_MOVE_RANGE: Refusals = {**_FILES, "is_directory": "EINVAL", "swapfile": "EOPNOTSUPP", "swapfile_target": "ETXTBSY"}
_MOV_DATA: Refusals = {**_FILES, "not_a_hole": "EEXIST", "flags": "EINVAL"}
_CLONE: Refusals = {**_FILES, "partial_block": "EINVAL"}

REFUSALS: Mapping[str, Refusals] = {
    "move_ext": _MOVE_EXT,
    "swapext": _SWAPEXT,
    "exchange_range": _EXCHANGE,
    "commit_range": _EXCHANGE,
    "move_range": _MOVE_RANGE,
    "mov_data": _MOV_DATA,
    "clone": _CLONE,
    "dedupe": {**_CLONE, "append_only": "EPERM"},
    "copy_range": _FILES,
    "fallocate": {**_FILES, "is_directory": "EISDIR", "not_regular": "ENODEV"},
    "swap_boot": {**_FILES, "swapfile": "EINVAL", "links": "EINVAL", "journal_data": "EINVAL"},
    "defragment": _FILES,
    "allocate_delayed": _FILES,
    "swapon_other": {
        "directory": "EISDIR",
        "fifo": "EINVAL",
        "null": "EINVAL",
        "nothing": "ENOENT",
        "tmpfs_file": "EINVAL",
        "device": "EBUSY",
    },
}
"""The errno of each condition, by call."""

_COMMON = frozenset({"freeze", "xattrs", "transactions", "shutdown", "delalloc", "unwritten", "swapfile"})
_ZEROING = frozenset({"fallocate_zero", "fallocate_zero_keep_size"})
_SHIFTING = frozenset({"fallocate_collapse", "fallocate_insert"})


@dataclass(frozen=True)
class Personality:
    """One kind of file system."""

    name: str
    title: str
    offers: frozenset[str]
    """Abilities, as targets name them."""
    kind: str = ""
    """The kind of file system whose ways it has, where that is not its name."""
    refusals: Mapping[str, Refusals] = field(default_factory=lambda: REFUSALS, repr=False)
    flags: frozenset[str] = frozenset({"immutable", "append", "noatime", "nodump"})
    """Inode flags that can be set."""

    # --- how metadata is kept
    literal: int = 336
    """Bytes of an inode that its forks share."""
    data_slots: int | None = None
    """Extents that fit into the inode; None: as many as the attribute fork leaves room for."""
    record: int = 16
    """Bytes of an extent in the inode or a leaf."""
    header: int = 72
    """Bytes of a tree block before its records; what is left holds them."""
    tree: bool = True
    """Extents that do not fit into the inode go to a tree of their own."""
    reserved_blocks: int = 4096
    """What mkfs takes from the device."""

    # --- how data is written
    copy_on_write: bool = False
    """Data is never overwritten in place, unless the file is marked nocow and the extent not shared."""
    journal: bool = True
    journal_data: bool = False
    """Mounted so that data goes through the journal."""

    # --- how the calls differ
    swaps_forks: bool = True
    """SWAPEXT swaps whole forks, trees included; else mapping by mapping."""
    refuses_mapped: frozenset[str] = frozenset()
    """Calls that refuse files that are mapped."""
    swap_io: str = "bio"
    """How pages reach a swapfile: "bio", past the file system, or "direct", through it without a transaction."""
    swap_needs_nocow: bool = False
    swap_by_space: bool = False
    """Activation compares st_blocks with the size instead of walking extents."""
    immutable_is_written: bool = True
    """A descriptor opened before its file became immutable can still write."""
    cookie_counts: bool = True
    """Cookies have the change counter beside the times."""

    def refusal(self, call: str, condition: str) -> str:
        """The errno with which a call refuses under a condition, or "OK"."""
        return self.refusals[call].get(condition, "EINVAL")

    def slots(self, attribute_bytes: int) -> int:
        """How many extents fit into an inode whose attribute fork takes so much of it."""
        if self.data_slots is not None:
            return self.data_slots
        return (self.literal - (attribute_bytes + 7) // 8 * 8) // self.record

    def per_block(self, block: int) -> int:
        """How many records a tree block of so many bytes holds."""
        return (block - self.header) // self.record


EXT4 = Personality(
    "ext4",
    "ext4: MOVE_EXT, no shared extents",
    _COMMON
    | _ZEROING
    | _SHIFTING
    | {"move_ext", "swap_boot", "allocate_delayed", "journal_data", "swapfile_unwritten"},
    flags=frozenset({"immutable", "append", "noatime", "nodump", "journal_data", "extents"}),
    literal=160,
    data_slots=4,
    record=12,
    header=16,
    immutable_is_written=False,
)
XFS = Personality(
    "xfs",
    "XFS without reverse mapping: SWAPEXT swaps whole forks",
    _COMMON
    | _ZEROING
    | _SHIFTING
    | {"swapext", "clone", "handle", "owners", "swapfile_unwritten", "fallocate_unshare"},
)
XFS_RMAP = replace(
    XFS, name="xfs_rmap", kind="xfs", title="XFS with reverse mapping: SWAPEXT moves mappings", swaps_forks=False
)
XFS_EXCHANGE = replace(
    XFS_RMAP,
    name="xfs_exchange",
    kind="xfs",
    title="XFS with the exchange feature",
    offers=XFS.offers | {"exchange_range", "commit_range"},
)
XFS_REFUSING = replace(
    XFS,
    name="xfs_refusing",
    kind="xfs",
    title="XFS as it once was: SWAPEXT refuses files that are mapped",
    refuses_mapped=frozenset({"swapext"}),
)
BTRFS = Personality(
    "btrfs",
    "btrfs: copy on write unless a file is marked otherwise",
    (_COMMON - {"shutdown"}) | _ZEROING | {"clone", "defragment", "nocow", "compression", "swapfile_unwritten"},
    flags=frozenset({"immutable", "append", "noatime", "nodump", "nocow", "compress"}),
    tree=False,
    copy_on_write=True,
    swap_needs_nocow=True,
)
F2FS = Personality(
    "f2fs",
    "f2fs: MOVE_RANGE",
    _COMMON | _ZEROING | _SHIFTING | {"move_range", "swapfile_unwritten"},
    tree=False,
)
NFS = Personality(
    "nfs",
    "a network file system: swap goes through it",
    frozenset({"swapfile", "xattrs"}),
    tree=False,
    journal=False,
    swap_io="direct",
    swap_by_space=True,
)
FULL = Personality(
    "full",
    "everything that any of them offers, proposed calls included; swap through direct I/O",
    EXT4.offers | XFS_EXCHANGE.offers | BTRFS.offers | F2FS.offers | {"mov_data"},
    flags=EXT4.flags | BTRFS.flags,
    swap_io="direct",
    swap_needs_nocow=True,
)

PERSONALITIES: Mapping[str, Personality] = {
    each.name: each for each in (EXT4, XFS, XFS_RMAP, XFS_EXCHANGE, XFS_REFUSING, BTRFS, F2FS, NFS, FULL)
}


def personality_of(system: FileSystem) -> Personality:
    """The personality for a file system as a target describes it: the one that mkfs names ("reference NAME"), else by
    its kind and the options of mkfs and mount."""
    words = " ".join(system.mkfs)
    found = PERSONALITIES.get(system.kind, FULL)
    if system.mkfs[:1] == ("reference",):
        return PERSONALITIES[system.mkfs[1]]
    if found is XFS and "rmapbt=1" in words:
        found = XFS_EXCHANGE if "exchange=1" in words else XFS_RMAP
    if "^has_journal" in words:
        found = replace(found, journal=False, offers=found.offers - {"transactions", "journal_data"})
    if "data=journal" in system.mount_options:
        found = replace(found, journal_data=True, offers=found.offers - {"delalloc"})
    return found
