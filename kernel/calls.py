"""The vocabulary: every call that a step of a case can make, once, with its fields and what it does.

A call is a frozen dataclass registered under its word (`do = "write"`). Its fields are what
a case may write; their annotations say of what kind they are and what they mean, and the
corpus, the documentation and the kernels all read them from here. To add a call, add a
class here and the function that performs it in `kernel/linux/`.

It is long because it is the one list that everybody looks things up in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, TypeVar

from kernel.units import (
    PAGE,
    WHOLE,
    ActorName,
    Bytes,
    CookieName,
    FdName,
    FileName,
    MapName,
    NewName,
    Span,
)


@dataclass(frozen=True)
class Call:
    """What one step asks of the kernel."""

    do: ClassVar[str] = ""
    """The word for it in a case."""
    observed: ClassVar[bool] = False
    """All files are observed just before and just after it, so that a failed call is seen to change nothing."""
    remaps: ClassVar[bool] = False
    """It can change mappings of existing extents, or makes an area that the kernel writes to by itself:
    the checker runs after a trial that has one."""
    tests_only: ClassVar[bool] = False
    """Only the suite's own tests may use it."""
    actor_may: ClassVar[bool] = True
    """An actor may make it too."""
    main_may: ClassVar[bool] = True
    """The main process may make it."""

    def needs(self) -> tuple[str, ...]:
        """The abilities that a target must offer for this call."""
        return ()


CALLS: dict[str, type[Call]] = {}
"""Every call by its word."""

C = TypeVar("C", bound=type[Call])


def _call(cls: C) -> C:
    if not cls.do or cls.do in CALLS:
        raise ValueError(f"{cls.__name__} needs a word of its own, found {cls.do!r}")
    CALLS[cls.do] = cls
    return cls


OpenFlag = Literal["read", "write", "append", "direct", "sync", "dsync", "truncate", "noatime", "path", "directory"]
NewBytes = Literal["different", "same", "zero"]
ExchangeVia = Literal["swapext", "exchange_range", "commit_range", "move_ext", "move_range", "mov_data"]
InodeFlag = Literal["immutable", "append", "nocow", "compress", "journal_data", "noatime", "nodump", "extents"]

_TARGET, _DONOR = FdName("target"), FdName("donor")
_COOKIE_MADE, _COOKIE = NewName("cookie"), CookieName("cookie")
_START, _EIGHT = Bytes(0), Bytes(8)

# --- descriptors ------------------------------------------------------------------------------


@_call
@dataclass(frozen=True)
class Open(Call):
    """Opens a file once more, under a name of its own. A file's own descriptor is open for read and write."""

    do = "open"
    file: Annotated[FileName, "the file"]
    name: Annotated[NewName, "what later steps call the descriptor"]
    flags: Annotated[tuple[OpenFlag, ...], "how: read, write, append, direct, sync, dsync, truncate, …"] = (
        "read",
        "write",
    )


@_call
@dataclass(frozen=True)
class OpenByHandle(Call):
    """Opens a file by its XFS handle: reads and writes through such a descriptor are invisible to times."""

    do = "open_by_handle"
    file: Annotated[FileName, "the file"]
    name: Annotated[NewName, "what later steps call the descriptor"]
    flags: Annotated[tuple[OpenFlag, ...], "how"] = ("read", "write")

    def needs(self) -> tuple[str, ...]:
        """See `Call.needs`."""
        return ("handle",)


@_call
@dataclass(frozen=True)
class OpenOther(Call):
    """Opens something that is not a file of the trial: the directory, a fifo, a device, or nothing at all (-1)."""

    do = "open_other"
    what: Annotated[Literal["directory", "fifo", "null", "tmpfs_file", "bad"], "what to open; bad is descriptor -1"]
    name: Annotated[NewName, "what later steps call the descriptor"]


@_call
@dataclass(frozen=True)
class Close(Call):
    """Closes a descriptor."""

    do = "close"
    file: Annotated[FdName, "the descriptor"]


# --- data -------------------------------------------------------------------------------------


@_call
@dataclass(frozen=True)
class Write(Call):
    """Writes with pwrite(2). New bytes name their step, so that they are found wherever they go."""

    do = "write"
    file: Annotated[FdName, "the descriptor"]
    range: Annotated[Span, "where"] = WHOLE
    bytes: Annotated[NewBytes, "different: this step's own pattern; same: what is there already; zero"] = "different"
    direct: Annotated[bool, "with O_DIRECT, past the page cache"] = False


@_call
@dataclass(frozen=True)
class Read(Call):
    """Reads with pread(2)."""

    do = "read"
    file: Annotated[FdName, "the descriptor"]
    range: Annotated[Span, "what"] = WHOLE
    direct: Annotated[bool, "with O_DIRECT, past the page cache"] = False


@_call
@dataclass(frozen=True)
class Submit(Call):
    """Begins a direct write with io_submit(2) and does not wait for it. A process has one such write at a time."""

    do = "submit"
    file: Annotated[FdName, "the descriptor"]
    range: Annotated[Span, "where"] = WHOLE


@_call
@dataclass(frozen=True)
class Collect(Call):
    """Takes the result of the write that `submit` began. Answers `under_way` (1 while it is not done)."""

    do = "collect"
    wait: Annotated[bool, "false: only looks whether it is done"] = True


@_call
@dataclass(frozen=True)
class Truncate(Call):
    """Sets the size with ftruncate(2)."""

    do = "truncate"
    observed = True
    file: Annotated[FdName, "the descriptor"]
    size: Annotated[Bytes, "the new size"]


FallocateMode = Literal["allocate", "keep_size", "punch", "zero", "zero_keep_size", "collapse", "insert", "unshare"]


@_call
@dataclass(frozen=True)
class Fallocate(Call):
    """Preallocates, punches, zeroes, collapses, inserts or unshares with fallocate(2)."""

    do = "fallocate"
    observed = True
    file: Annotated[FdName, "the descriptor"]
    mode: Annotated[FallocateMode, "what to do with the range"]
    range: Annotated[Span, "where"]

    def needs(self) -> tuple[str, ...]:
        """See `Call.needs`."""
        return () if self.mode in ("allocate", "keep_size", "punch") else (f"fallocate_{self.mode}",)


@_call
@dataclass(frozen=True)
class Fsync(Call):
    """Writes a file's data and metadata to the device with fsync(2)."""

    do = "fsync"
    file: Annotated[FdName, "the descriptor"]


@_call
@dataclass(frozen=True)
class Sync(Call):
    """Writes the whole file system out with syncfs(2)."""

    do = "sync"


@_call
@dataclass(frozen=True)
class DropCaches(Call):
    """Drops all clean pages, so that what is read next comes from the device."""

    do = "drop_caches"


@_call
@dataclass(frozen=True)
class Clone(Call):
    """Makes two files share extents: FICLONERANGE."""

    do = "clone"
    observed = True
    remaps = True
    source: Annotated[FdName, "the file to share"]
    target: Annotated[FdName, "the file that gets the extents"]
    range: Annotated[Span, "which range of the source"] = WHOLE
    at: Annotated[Bytes, "where in the target"] = _START

    def needs(self) -> tuple[str, ...]:
        """See `Call.needs`."""
        return ("clone",)


@_call
@dataclass(frozen=True)
class Dedupe(Call):
    """Makes two files share what is the same in both: FIDEDUPERANGE. A differing range answers DIFFERS.

    Answers `moved` (bytes that are shared now).
    """

    do = "dedupe"
    observed = True
    remaps = True
    source: Annotated[FdName, "the file to share"]
    target: Annotated[FdName, "the file that gets the extents"]
    range: Annotated[Span, "which range of the source"] = WHOLE
    at: Annotated[Bytes, "where in the target"] = _START

    def needs(self) -> tuple[str, ...]:
        """See `Call.needs`."""
        return ("clone",)


@_call
@dataclass(frozen=True)
class CopyRange(Call):
    """Copies inside the kernel with copy_file_range(2). Answers `moved` (bytes)."""

    do = "copy_range"
    observed = True
    remaps = True
    source: Annotated[FdName, "the file to copy from"]
    target: Annotated[FdName, "the file to copy to"]
    range: Annotated[Span, "which range of the source"] = WHOLE
    at: Annotated[Bytes, "where in the target"] = _START


# --- mappings ---------------------------------------------------------------------------------


@_call
@dataclass(frozen=True)
class Map(Call):
    """Maps a file with mmap(2), and leaves its pages untouched."""

    do = "map"
    file: Annotated[FdName, "the descriptor"]
    name: Annotated[NewName, "what later steps call the mapping"]
    range: Annotated[Span, "which part of the file; begins on a page"] = WHOLE
    kind: Annotated[Literal["shared", "private"], "MAP_SHARED or MAP_PRIVATE"] = "shared"
    access: Annotated[Literal["read", "write"], "PROT_READ, or PROT_READ and PROT_WRITE"] = "write"
    locked: Annotated[bool, "with mlock(2)"] = False


@_call
@dataclass(frozen=True)
class Store(Call):
    """Stores through a mapping, one memory copy. A refused store answers SIGBUS or SIGSEGV."""

    do = "store"
    map: Annotated[MapName, "the mapping"]
    range: Annotated[Span, "where, counted from the start of the file"] = WHOLE
    bytes: Annotated[NewBytes, "different: this step's own pattern; same: what is there already; zero"] = "different"


@_call
@dataclass(frozen=True)
class Load(Call):
    """Loads through a mapping, so that its pages are present; what is seen is part of the trace."""

    do = "load"
    map: Annotated[MapName, "the mapping"]
    range: Annotated[Span, "where, counted from the start of the file"] = WHOLE


@_call
@dataclass(frozen=True)
class Protect(Call):
    """Changes what a mapping allows with mprotect(2)."""

    do = "protect"
    map: Annotated[MapName, "the mapping"]
    access: Annotated[Literal["read", "write", "none"], "PROT_READ, PROT_READ and PROT_WRITE, or PROT_NONE"]


@_call
@dataclass(frozen=True)
class Unmap(Call):
    """Removes a mapping."""

    do = "unmap"
    map: Annotated[MapName, "the mapping"]


# --- attributes and names ---------------------------------------------------------------------


@_call
@dataclass(frozen=True)
class Chmod(Call):
    """Sets the mode with fchmod(2)."""

    do = "chmod"
    file: Annotated[FdName, "the descriptor"]
    mode: Annotated[Literal["same", "0600", "0640", "0644", "0666", "0777", "4755", "6777"], "the new mode, octal"]


@_call
@dataclass(frozen=True)
class SetXattr(Call):
    """Sets an extended attribute with fsetxattr(2)."""

    do = "setxattr"
    file: Annotated[FdName, "the descriptor"]
    name: Annotated[str, "its name, with namespace"] = "user.conformance"
    size: Annotated[Bytes, "how long its value is"] = _EIGHT


@_call
@dataclass(frozen=True)
class Utimes(Call):
    """Sets atime and mtime with futimens(2)."""

    do = "utimes"
    file: Annotated[FdName, "the descriptor"]
    to: Annotated[Literal["now", "past", "mtime"], "now; past: 2001-09-09; mtime: what mtime is already"]


@_call
@dataclass(frozen=True)
class Rename(Call):
    """Gives a file a new name with rename(2); the case goes on calling it by its old one."""

    do = "rename"
    observed = True
    file: Annotated[FileName, "the file"]
    over: Annotated[FileName | None, "the file that it replaces; without it a name that nothing has"] = None


@_call
@dataclass(frozen=True)
class Link(Call):
    """Makes a second name for a file with link(2)."""

    do = "link"
    file: Annotated[FileName, "the file"]


@_call
@dataclass(frozen=True)
class Unlink(Call):
    """Removes a name with unlink(2)."""

    do = "unlink"
    observed = True
    file: Annotated[FileName, "the file"]
    name: Annotated[Literal["own", "link"], "its own name, or the one that `link` made"] = "own"


@_call
@dataclass(frozen=True)
class SetFlags(Call):
    """Sets and clears inode flags: FS_IOC_SETFLAGS, as chattr does."""

    do = "setflags"
    file: Annotated[FdName, "the descriptor"]
    set: Annotated[tuple[InodeFlag, ...], "flags to set"] = ()
    clear: Annotated[tuple[InodeFlag, ...], "flags to clear"] = ()


# --- moving and swapping extents --------------------------------------------------------------


@_call
@dataclass(frozen=True)
class Snapshot(Call):
    """Takes a freshness cookie of a file: its bulkstat record for SWAPEXT, START_COMMIT for COMMIT_RANGE."""

    do = "snapshot"
    file: Annotated[FdName, "the file"]
    via: Annotated[Literal["swapext", "commit_range"], "for which call"]
    cookie: Annotated[NewName, "what later steps call it"] = _COOKIE_MADE

    def needs(self) -> tuple[str, ...]:
        """See `Call.needs`."""
        return (self.via,)


CookieField = Literal["all", "ino", "gen", "fsid", "magic", "mtime", "mtime_nsec", "ctime", "ctime_nsec", "size"]


@_call
@dataclass(frozen=True)
class Tamper(Call):
    """Changes a freshness cookie in the caller's memory. A field that this cookie lacks answers NOFIELD."""

    do = "tamper"
    field: Annotated[CookieField, "which field; all: the whole cookie"]
    to: Annotated[Literal["zero", "plus_one"], "its new value"] = "zero"
    cookie: Annotated[CookieName, "the cookie"] = _COOKIE


@_call
@dataclass(frozen=True)
class Exchange(Call):
    """Moves or swaps extents between two files.

    swapext: XFS_IOC_SWAPEXT, whole files. exchange_range and commit_range: XFS, ranges; the
    latter with a cookie. move_ext: EXT4_IOC_MOVE_EXT. move_range: F2FS_IOC_MOVE_RANGE (donor
    is the source). mov_data: the call proposed in 2014. Answers `moved` (bytes) where the call tells.
    """

    do = "exchange"
    observed = True
    remaps = True
    via: Annotated[ExchangeVia, "which call"]
    target: Annotated[FdName, "the file being defragmented"] = _TARGET
    donor: Annotated[FdName, "the file that supplies blocks"] = _DONOR
    cookie: Annotated[CookieName | None, "the cookie to present; without it swapext takes one of now"] = None
    range: Annotated[Span, "which range of the target"] = WHOLE
    donor_at: Annotated[Bytes | None, "where in the donor; without it the same place"] = None
    flags: Annotated[
        tuple[Literal["to_eof", "dsync", "dry_run", "file1_written", "unknown"], ...],
        "exchange_range's flags; unknown: one that has no meaning yet",
    ] = ()
    spoil: Annotated[
        Literal["nothing", "version", "pad"],
        "what of the call's structure is not as it must be: swapext's version; pad: bytes that are reserved",
    ] = "nothing"

    def needs(self) -> tuple[str, ...]:
        """See `Call.needs`."""
        return (self.via,)


@_call
@dataclass(frozen=True)
class SwapBoot(Call):
    """Swaps a file with the boot loader inode: EXT4_IOC_SWAP_BOOT."""

    do = "swap_boot"
    observed = True
    remaps = True
    file: Annotated[FdName, "the file"]

    def needs(self) -> tuple[str, ...]:
        """See `Call.needs`."""
        return ("swap_boot",)


@_call
@dataclass(frozen=True)
class AllocateDelayed(Call):
    """Allocates what is only reserved so far: EXT4_IOC_ALLOC_DA_BLKS."""

    do = "allocate_delayed"
    file: Annotated[FdName, "the file"]

    def needs(self) -> tuple[str, ...]:
        """See `Call.needs`."""
        return ("allocate_delayed",)


@_call
@dataclass(frozen=True)
class Defragment(Call):
    """Defragments a file with the file system's own call: BTRFS_IOC_DEFRAG_RANGE."""

    do = "defragment"
    observed = True
    file: Annotated[FdName, "the file"]

    def needs(self) -> tuple[str, ...]:
        """See `Call.needs`."""
        return ("defragment",)


@_call
@dataclass(frozen=True)
class SubvolumeSnapshot(Call):
    """Makes a snapshot of the subvolume that is the root of the file system: BTRFS_IOC_SNAP_CREATE."""

    do = "subvolume_snapshot"
    observed = True
    remaps = True

    def needs(self) -> tuple[str, ...]:
        """See `Call.needs`."""
        return ("subvolumes",)


@_call
@dataclass(frozen=True)
class Balance(Call):
    """Moves the data of every block group to another one: BTRFS_IOC_BALANCE_V2 for data."""

    do = "balance"
    observed = True
    remaps = True
    actor_may = False

    def needs(self) -> tuple[str, ...]:
        """See `Call.needs`."""
        return ("subvolumes",)


# --- the file system as a whole ---------------------------------------------------------------


@_call
@dataclass(frozen=True)
class Freeze(Call):
    """Freezes the file system: FIFREEZE."""

    do = "freeze"


@_call
@dataclass(frozen=True)
class Thaw(Call):
    """Thaws the file system: FITHAW."""

    do = "thaw"


@_call
@dataclass(frozen=True)
class Shutdown(Call):
    """Shuts the file system down as a crash would: XFS_IOC_GOINGDOWN, EXT4_IOC_SHUTDOWN."""

    do = "shutdown"
    remaps = True
    mode: Annotated[Literal["default", "log_flush", "no_log_flush"], "what still reaches the device"]
    actor_may = False

    def needs(self) -> tuple[str, ...]:
        """See `Call.needs`."""
        return ("shutdown",)


@_call
@dataclass(frozen=True)
class Remount(Call):
    """Remounts the file system read-only or writable, with every descriptor and mapping closed before.

    The files are opened anew after it: for reading alone where nothing else is possible.
    """

    do = "remount"
    access: Annotated[Literal["read", "write"], "ro or rw"]
    actor_may = False


@_call
@dataclass(frozen=True)
class Cycle(Call):
    """Closes every descriptor and mapping, unmounts, mounts again, and opens the files anew."""

    do = "cycle"
    actor_may = False


@_call
@dataclass(frozen=True)
class Unmount(Call):
    """Tries to unmount the file system, with all descriptors closed; when it succeeds, mounts it again."""

    do = "unmount"
    actor_may = False


# --- swap -------------------------------------------------------------------------------------


@_call
@dataclass(frozen=True)
class Mkswap(Call):
    """Writes a swap header (page 0) into a file, as mkswap does, and syncs it. Nothing else is written.

    Through a mapping it also gets to where a page reaches behind the end of a file.
    """

    do = "mkswap"
    file: Annotated[FdName, "the descriptor"]
    pages: Annotated[int | None, "pages that the header promises; without it those of the file"] = None
    magic: Annotated[str, "the last bytes of the header"] = "SWAPSPACE2"
    version: Annotated[int, "the header's version"] = 1
    bad_pages: Annotated[int, "nr_badpages"] = 0
    byte_swapped: Annotated[bool, "written in the other byte order"] = False
    mapped: Annotated[bool, "stored through a mapping of page 0, which is left in place, and not synced"] = False


SwapPath = Literal["name", "link", "symlink", "descriptor"]
"""What leads to a file: its own name; the one that `link` made; a symbolic link made for the call; /proc/self/fd/N,
which leads to a file without a name too."""


@_call
@dataclass(frozen=True)
class Swapon(Call):
    """Activates a file as a swap area with swapon(2). Answers `pages` and `priority`, what /proc/swaps shows."""

    do = "swapon"
    observed = True
    remaps = True
    file: Annotated[FileName, "the file"]
    priority: Annotated[int | None, "SWAP_FLAG_PREFER with this priority"] = None
    flags: Annotated[tuple[Literal["discard", "discard_once", "discard_pages", "unknown"], ...], "further flags"] = ()
    by: Annotated[SwapPath, "what leads to the file"] = "name"
    unprivileged: Annotated[bool, "as a user without CAP_SYS_ADMIN"] = False
    actor_may = False

    def needs(self) -> tuple[str, ...]:
        """See `Call.needs`."""
        return ("swapfile",)


@_call
@dataclass(frozen=True)
class SwaponOther(Call):
    """Calls swapon(2) on something that is not a file of the trial, and swapoff(2) should that succeed.

    directory: the root of the file system. fifo. null: /dev/null. nothing: a name that nothing has.
    tmpfs_file: a file with a good header on a file system that has no blocks. device: the scratch
    disk itself, which is mounted.
    """

    do = "swapon_other"
    what: Annotated[Literal["directory", "fifo", "null", "nothing", "tmpfs_file", "device"], "what to activate"]
    actor_may = False


@_call
@dataclass(frozen=True)
class Swapoff(Call):
    """Deactivates a swap area with swapoff(2)."""

    do = "swapoff"
    observed = True
    file: Annotated[FileName, "the file"]
    by: Annotated[SwapPath, "what leads to the file"] = "name"
    unprivileged: Annotated[bool, "as a user without CAP_SYS_ADMIN"] = False
    actor_may = False

    def needs(self) -> tuple[str, ...]:
        """See `Call.needs`."""
        return ("swapfile",)


@_call
@dataclass(frozen=True)
class SwapLoad(Call):
    """A process under a memory limit fills memory with incompressible pages and reads all of it back.

    Answers `pages_out` and `pages_in` (pswpout, pswpin) and `bad_pages`, those that came back
    changed, which must be 0.
    """

    do = "swap_load"
    remaps = True
    memory: Annotated[Bytes, "how much memory the process fills"]
    limit: Annotated[Bytes, "memory.max of its cgroup; memory.high is three quarters of it"]
    passes: Annotated[int, "how often it reads all of it back"] = 1
    swapoff: Annotated[
        FileName | None, "this area is deactivated, the limit lifted, when memory is filled and nothing read back"
    ] = None
    actor_may = False


# --- actors -----------------------------------------------------------------------------------


@_call
@dataclass(frozen=True)
class Start(Call):
    """Starts an actor: a process that inherits all descriptors, mappings and cookies, and makes its own steps."""

    do = "start"
    actor: Annotated[ActorName, "which one"]
    actor_may = False


@_call
@dataclass(frozen=True)
class Blocked(Call):
    """Sees that an actor sleeps inside a call of its own: OK if it does, else what it did instead."""

    do = "blocked"
    actor: Annotated[ActorName, "which one"]
    actor_may = False


@_call
@dataclass(frozen=True)
class Stop(Call):
    """Tells a looping actor to end after its present pass (one that does not loop ends by itself), and waits."""

    do = "stop"
    actor: Annotated[ActorName, "which one"]
    actor_may = False


@_call
@dataclass(frozen=True)
class Become(Call):
    """The actor goes on as an ordinary user (65534) without any privilege. What it has open stays open."""

    do = "become"
    main_may = False
    user: Annotated[Literal["nobody"], "which one"] = "nobody"


# --- for the suite's own tests ----------------------------------------------------------------


@_call
@dataclass(frozen=True)
class Provoke(Call):
    """Makes the kernel or the agent fail on purpose.

    panic: a crash by sysrq. warning: a line in the kernel log as WARN_ON prints it. hang: never
    answers. exit: the agent ends. garbage, endless_line: the agent says what is not the protocol.
    """

    do = "provoke"
    tests_only = True
    what: Annotated[Literal["panic", "warning", "hang", "exit", "garbage", "endless_line"], "what fails"]


@_call
@dataclass(frozen=True)
class Sabotage(Call):
    """Breaks a promise behind the kernel's back, so that an observer can be seen to see it.

    owner: xfs_db writes another owner into a block of the file's bmap btree. links: xfs_db or
    debugfs writes a wrong link count into its inode. overwrite: its first block is overwritten
    through the block device. bystander: the file that no case names is written to. leak: a file
    that nobody removes takes space.
    """

    do = "sabotage"
    tests_only = True
    remaps = True
    actor_may = False
    what: Annotated[Literal["owner", "links", "overwrite", "bystander", "leak"], "which promise"]
    file: Annotated[FileName, "the file it concerns"]


MAX_SWAP_PAGES = (1 << 30) // PAGE
"""The largest swap area that a case may describe, in pages: a limit against mistakes, not of the kernel."""
