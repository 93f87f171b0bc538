"""The cache of images and snapshots: directories under content keys, made once, checked at every use.

An entry is the directory `KIND-KEY` with a `record.json` that holds the digest of each of its
files. It is made beside its place and renamed into it, under a lock, so that parallel workers
make it once and nobody sees half of one. A file whose size or time differs from the record is
read again; when its digest differs too, or it is gone, the entry is made anew.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from conformance.cachedir import cache_error, remove_tree, require_directory
from conformance.errors import ImageError

Progress = Callable[[str], None]
"""Is told in a few words what is being done."""
Provenance = tuple[tuple[str, str, str], ...]
"""(Debian package, version, sha256 of the .deb in hex) of what went into an entry."""

_RECORD = "record.json"
_TOUCH_SECONDS = 3600


@dataclass(frozen=True)
class Contents:
    """What a maker leaves in the directory of a new entry."""

    files: tuple[str, ...]
    """The files that are recorded and checked, relative to the entry."""
    provenance: Provenance


@dataclass(frozen=True)
class Entry:
    """One entry of the cache."""

    path: Path
    provenance: Provenance

    @property
    def name(self) -> str:
        """The kind and the key."""
        return self.path.name


@dataclass(frozen=True)
class Usage:
    """One line of the cache's listing."""

    path: Path
    size: int
    """Bytes on disk, all files together."""
    used: float
    """When it was last used, in seconds since the epoch, to the hour."""


def require_space(path: Path, needed: int, what: str) -> None:
    """Raises ImageError when fewer than `needed` bytes are free where `path` is."""
    free = shutil.disk_usage(path).free
    if free < needed:
        raise ImageError(
            f"{path}: {what} needs {needed >> 20} MiB of disk space, found {free >> 20} MiB free. Free some, "
            "or set XDG_CACHE_HOME to a directory with more."
        )


def digest(parts: Mapping[str, bytes | str]) -> str:
    """A key of 24 hex digits for named contents."""
    state = hashlib.sha256()
    for name in sorted(parts):
        part = parts[name]
        data = part.encode() if isinstance(part, str) else part
        state.update(b"%d %d " % (len(name.encode()), len(data)) + name.encode() + data)
    return state.hexdigest()[:24]


class Cache:
    """The entries below one directory."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def find(self, kind: str, key: str) -> Entry | None:
        """The entry if it is there and whole."""
        path = self.root / f"{kind}-{key}"
        try:
            record = json.loads((path / _RECORD).read_bytes())
            files: dict[str, list[int | str]] = record["files"]
            provenance = tuple((str(p), str(v), str(s)) for p, v, s in record["provenance"])
            if not all(_is_whole(path / name, fields) for name, fields in files.items()):
                return None
            _touch(path)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        return Entry(path, provenance)

    def get(self, kind: str, key: str, make: Callable[[Path], Contents], progress: Progress) -> Entry:
        """The entry, made by `make` (which fills the directory it is given) if it is not there or damaged.

        Raises what `make` raises, ImageError when the disk is full, SetupError when the cache cannot be written."""
        return self.find(kind, key) or self._get_locked(kind, key, make, progress)

    def _get_locked(self, kind: str, key: str, make: Callable[[Path], Contents], progress: Progress) -> Entry:
        require_directory(self.root)
        try:
            with self._lock(kind, key, progress):
                if entry := self.find(kind, key):
                    return entry
                return self._make(kind, key, make, progress)
        except OSError as error:
            raise cache_error(self.root, error) from error

    def _make(self, kind: str, key: str, make: Callable[[Path], Contents], progress: Progress) -> Entry:
        path = self.root / f"{kind}-{key}"
        for left in self.root.glob(f".{path.name}.*"):
            remove_tree(left)
        new = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=self.root))
        try:
            contents = make(new)
            files = {name: _fields(new / name) for name in contents.files}
            record = {"files": files, "provenance": [list(source) for source in contents.provenance]}
            (new / _RECORD).write_text(json.dumps(record))
            new.chmod(0o755)
            if path.exists():
                progress(f"replacing {path.name}, which is damaged")
                path.rename(self.root / f".{path.name}.old")
            new.rename(path)
        finally:
            for left in self.root.glob(f".{path.name}.*"):
                remove_tree(left)
        return Entry(path, contents.provenance)

    @contextlib.contextmanager
    def _lock(self, kind: str, key: str, progress: Progress) -> Iterator[None]:
        locks = self.root / "locks"
        locks.mkdir(exist_ok=True)
        with (locks / f"{kind}-{key}").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                progress(f"waiting for another process that makes {kind}-{key}")
                fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def usage(self) -> list[Usage]:
        """All entries, the one used last first."""
        found = []
        for record in self.root.glob(f"*/{_RECORD}"):
            path = record.parent
            if path.name.startswith("."):
                continue
            size = sum(f.lstat().st_blocks * 512 for f in path.rglob("*"))
            found.append(Usage(path, size, path.stat().st_mtime))
        return sorted(found, key=lambda usage: -usage.used)

    def remove(self, kind: str, *, keep: int = 0, unused_seconds: float = 0) -> list[Path]:
        """Removes the entries of a kind ("" for all) but the `keep` used last and those used since `unused_seconds`.

        Returns what was removed. A guest that has booted does not need its entry any more."""
        now = time.time()
        mine = [usage for usage in self.usage() if usage.path.name.startswith(f"{kind}-" if kind else "")]
        gone = [usage.path for usage in mine[keep:] if now - usage.used >= unused_seconds]
        for path in gone:
            remove_tree(path)
        return gone


def sha256_of(path: Path) -> str:
    """The file's sha256 in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fields(path: Path) -> list[int | str]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, sha256_of(path)]


def _is_whole(path: Path, fields: list[int | str]) -> bool:
    size, mtime, sha256 = fields
    status = path.stat()
    return status.st_size == size and (status.st_mtime_ns == mtime or sha256_of(path) == sha256)


def _touch(path: Path) -> None:
    if time.time() - path.stat().st_mtime > _TOUCH_SECONDS:
        with contextlib.suppress(OSError):
            os.utime(path)
