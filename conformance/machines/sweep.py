"""Run directories: where a guest keeps its files on the host, and how what a killed runner left is removed.

Each guest has one directory. Its owner, the process that runs the guest, holds a lock on the file
`owner` in it for as long as it lives; the kernel drops the lock when the owner ends, however it
ends. A directory whose lock is free is therefore left over: whoever starts a guest next ends the
processes that belong to it and removes it. A process belongs to it only when its command line
names the directory.

In the usual case there is nothing to sweep: a guardian, a process beside the guest, waits for the
end of its owner and then does the same.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import stat
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from conformance.cachedir import cache_dir, remove_tree, require_directory
from conformance.errors import SetupError

SHARED_MEMORY = Path("/dev/shm")
_PREFIX = "run-"
_PATIENCE_SECONDS = 5.0


@dataclass(frozen=True)
class RunDirectory:
    """The directory of one guest, owned by this process until `remove`."""

    path: Path
    _owner: IO[bytes]

    def remove(self) -> None:
        """Removes the directory and gives up the lock. Harmless when repeated."""
        remove_tree(self.path)
        self._owner.close()


def new_run_directory(needed: int) -> RunDirectory:
    """A fresh directory for a guest that may write `needed` bytes into it; sweeps what is left over first.

    It is in shared memory, which is fastest, when that has room for twice as much and may hold
    executable mappings, else in the user's cache. Raises SetupError when neither can be written,
    or when the disk has less than `needed` bytes."""
    sweep()
    parent = _shared_memory(needed) or _in_cache(needed)
    with _locked(parent):
        path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        owner = (path / "owner").open("wb")
        fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return RunDirectory(path, owner)


def sweep() -> list[Path]:
    """Ends the processes and removes the directories of guests whose owner is gone. Returns the directories."""
    swept = []
    for parent in _parents():
        if not _is_ours(parent):
            continue
        with _locked(parent):
            for path in sorted(parent.glob(f"{_PREFIX}*")):
                if _is_abandoned(path):
                    end_processes(path)
                    remove_tree(path)
                    swept.append(path)
    return swept


def processes_of(path: Path) -> list[int]:
    """The processes of this user that name the run directory on their command line."""
    needle = os.fsencode(path) + b"/"
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                line = (entry / "cmdline").read_bytes()
                if needle in line and entry.stat().st_uid == os.getuid() and int(entry.name) != os.getpid():
                    found.append(int(entry.name))
    return found


def end_processes(path: Path) -> None:
    """Ends the processes that belong to the run directory; looks again, because a guest may have been forking."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while (found := processes_of(path)) and time.monotonic() < deadline:
        for process in found:
            with contextlib.suppress(ProcessLookupError):
                handle = os.pidfd_open(process)
                try:
                    # Looked at again through a handle: the number cannot have passed to another process now.
                    if process in processes_of(path):
                        signal.pidfd_send_signal(handle, signal.SIGKILL)
                finally:
                    os.close(handle)


def _parents() -> tuple[Path, Path]:
    return SHARED_MEMORY / f"conformance-{os.getuid()}", cache_dir() / "runs"


def _shared_memory(needed: int) -> Path | None:
    parent = _parents()[0]
    try:
        if os.statvfs(SHARED_MEMORY).f_flag & os.ST_NOEXEC or shutil.disk_usage(SHARED_MEMORY).free < 2 * needed:
            return None
        parent.mkdir(mode=0o700, exist_ok=True)
    except OSError:
        return None
    return parent if _is_ours(parent) else None


def _in_cache(needed: int) -> Path:
    parent = require_directory(_parents()[1])
    free = shutil.disk_usage(parent).free
    if free < needed:
        raise SetupError(
            f"{parent}: a guest needs {needed >> 20} MiB for its memory and its scratch disk, found {free >> 20} MiB "
            "free. Free some, or set XDG_CACHE_HOME to a directory with more."
        )
    return parent


def _is_ours(parent: Path) -> bool:
    """Anybody may make a directory in shared memory: one that another user made, or a link, is not used."""
    try:
        status = parent.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and os.access(parent, os.W_OK)


@contextlib.contextmanager
def _locked(parent: Path) -> Iterator[None]:
    """Held while a directory is made and while abandoned ones are looked for, so that a new one is not swept."""
    with (parent / "lock").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _is_abandoned(path: Path) -> bool:
    try:
        with (path / "owner").open("rb+") as owner:
            fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
