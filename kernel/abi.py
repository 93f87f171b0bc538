"""Numbers and structures of the calls, for x86-64. Facts, from the kernel's own headers.

A structure is a `struct` format with its fields in order; `x` are padding and reserved bytes.
"""

from __future__ import annotations

import struct

# --- ioctl numbers ------------------------------------------------------------------------
FIFREEZE = 0xC0045877
FITHAW = 0xC0045878
FICLONERANGE = 0x4020940D
FIDEDUPERANGE = 0xC0189436
FS_IOC_FIEMAP = 0xC020660B
FS_IOC_GETFLAGS = 0x80086601
FS_IOC_SETFLAGS = 0x40086602
FS_IOC_SHUTDOWN = 0x8004587D
XFS_IOC_FSBULKSTAT_SINGLE = 0xC0205866
XFS_IOC_PATH_TO_HANDLE = 0xC0385869
XFS_IOC_OPEN_BY_HANDLE = 0xC038586B
XFS_IOC_SWAPEXT = 0xC0C0586D
XFS_IOC_EXCHANGE_RANGE = 0x40285881
XFS_IOC_START_COMMIT = 0x80585882
XFS_IOC_COMMIT_RANGE = 0x40585883
EXT4_IOC_ALLOC_DA_BLKS = 0x0000660C
EXT4_IOC_MOVE_EXT = 0xC028660F
EXT4_IOC_SWAP_BOOT = 0x00006611
F2FS_IOC_MOVE_RANGE = 0xC020F509
BTRFS_IOC_DEFRAG_RANGE = 0x40309410
BTRFS_IOC_SNAP_CREATE = 0x50009401
BTRFS_IOC_BALANCE_V2 = 0xC4009420

# --- structures ---------------------------------------------------------------------------
FIEMAP = struct.Struct("=QQIIII")
"""start, length, flags, mapped_extents (out), extent_count, reserved."""
FIEMAP_EXTENT = struct.Struct("=QQQ16xI12x")
"""logical, physical, length, flags."""
CLONE_RANGE = struct.Struct("=qQQQ")
"""src_fd, src_offset, src_length, dest_offset."""
DEDUPE_RANGE = struct.Struct("=QQHHI" + "qQQiI")
"""src_offset, src_length, dest_count, 2 reserved; dest_fd, dest_offset, bytes_deduped, status, reserved."""
MOVE_EXTENT = struct.Struct("=IIQQQQ")
"""reserved, donor_fd, orig_start, donor_start, len, moved_len (out): in blocks."""
MOVE_RANGE = struct.Struct("=I4xQQQ")
"""dst_fd, pos_in, pos_out, len."""
SWAPEXT = struct.Struct("=qqqqqQ8x")
"""version (0), fdtarget, fdtmp, offset, length, pad; the xfs_bstat of the target follows (136 bytes)."""
BSTAT_SIZE = 136
EXCHANGE_RANGE = struct.Struct("=iIQQQQ")
"""file1_fd, pad, file1_offset, file2_offset, length, flags; COMMIT_RANGE adds 48 bytes of freshness."""
FRESHNESS_SIZE = 48
BULKREQ = struct.Struct("=QiiQQ")
"""lastip, icount, pad, ubuffer, ocount."""
HANDLEREQ = struct.Struct("=I4xQI4xQI4xQQ")
"""fd, path, oflags, ihandle, ihandlen, ohandle, ohandlen."""
HANDLE_SIZE = 24
DEFRAG_RANGE = struct.Struct("=QQQII16x")
"""start, len, flags, extent_thresh, compress_type."""
VOL_ARGS = struct.Struct("=q4088s")
"""fd, name."""
BALANCE_SIZE = 1024
BALANCE_DATA = struct.Struct("=Q")
"""flags at offset 0; 1 is the balance of data, and with no filter all of it."""

# --- flags --------------------------------------------------------------------------------
FIEMAP_FLAGS = {
    0x2: "unknown",
    0x4: "delalloc",
    0x8: "encoded",
    0x200: "inline",
    0x800: "unwritten",
    0x2000: "shared",
}
FIEMAP_LAST = 0x1
EXCHANGE_FLAGS = {"to_eof": 1, "dsync": 2, "dry_run": 4, "file1_written": 8, "unknown": 1 << 62}
FALLOCATE_MODES = {
    "allocate": 0x00,
    "keep_size": 0x01,
    "punch": 0x03,
    "collapse": 0x08,
    "zero": 0x10,
    "zero_keep_size": 0x11,
    "insert": 0x20,
    "unshare": 0x40,
}
INODE_FLAGS = {
    "compress": 0x4,
    "immutable": 0x10,
    "append": 0x20,
    "nodump": 0x40,
    "noatime": 0x80,
    "journal_data": 0x4000,
    "extents": 0x80000,
    "nocow": 0x800000,
}
SHUTDOWN_MODES = {"default": 0, "log_flush": 1, "no_log_flush": 2}
SWAPON_FLAGS = {
    "prefer": 0x8000,
    "discard": 0x10000,
    "discard_once": 0x20000,
    "discard_pages": 0x40000,
    "unknown": 0x80000,
}

# --- fields of the freshness cookies: offset and struct format ------------------------------
BSTAT_FIELDS = {
    "ino": (0, "Q"),
    "size": (32, "q"),
    "mtime": (56, "q"),
    "mtime_nsec": (64, "i"),
    "ctime": (72, "q"),
    "ctime_nsec": (80, "i"),
    "gen": (108, "I"),
}
"""struct xfs_bstat, as FSBULKSTAT_SINGLE fills it and SWAPEXT compares it."""
FRESHNESS_FIELDS = {
    "fsid": (0, "I"),
    "ino": (8, "Q"),
    "mtime": (16, "q"),
    "ctime": (24, "q"),
    "mtime_nsec": (32, "i"),
    "ctime_nsec": (36, "i"),
    "gen": (40, "I"),
    "magic": (44, "I"),
}
"""struct xfs_commit_range_fresh inside file2_freshness: opaque by contract, known to the tests of its checks."""

# --- the swap header, page 0 of a swap area -------------------------------------------------
SWAP_VERSION_AT = 1024
"""version, last_page, nr_badpages: three u32."""
SWAP_MAGIC_END = 4096
