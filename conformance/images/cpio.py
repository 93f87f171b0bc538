"""Writes cpio archives in the "newc" format that Linux unpacks as its initial RAM disk.

Only what an initial RAM disk needs: directories, regular files and symbolic links, all owned
by root, with a fixed time, in the order given, so that the same tree gives the same bytes.
Two such archives one after the other are again a valid initial RAM disk.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_TRAILER = "TRAILER!!!"


@dataclass(frozen=True)
class Entry:
    """One member of an archive."""

    name: str
    """Its path in the guest, without a leading slash."""
    mode: int
    """Type and permission bits, as in `st_mode`."""
    source: Path | bytes
    """The file to copy, or the content itself (for a symbolic link: its target)."""


def write(entries: Iterable[Entry], out: BinaryIO) -> int:
    """Writes the entries and the trailer; returns the number of bytes written, a multiple of 512.

    Raises OSError when a source cannot be read or the output cannot be written, and ValueError
    for an entry that is neither a directory, a regular file nor a symbolic link."""
    written = 0
    for number, entry in enumerate(entries, start=1):
        if stat.S_IFMT(entry.mode) not in (stat.S_IFDIR, stat.S_IFREG, stat.S_IFLNK):
            raise ValueError(f"{entry.name}: mode {entry.mode:o} is no directory, regular file or symbolic link")
        content = entry.source if isinstance(entry.source, bytes) else entry.source.read_bytes()
        written += _member(out, number, entry.name, entry.mode, content)
    written += _member(out, 0, _TRAILER, 0, b"")
    return written + _pad(out, written, 512)


def tree(root: Path, prefix: str = "") -> list[Entry]:
    """All that is below `root`, directories before their contents, sorted by name.

    `prefix` is put before every name ("opt/agent/"). Raises OSError when a directory cannot be read."""
    entries: list[Entry] = []
    for directory, subdirectories, files in os.walk(root):
        subdirectories.sort()
        here = Path(directory)
        for name in sorted([*subdirectories, *files]):
            path = here / name
            mode = path.lstat().st_mode
            source: Path | bytes = path
            if stat.S_ISDIR(mode):
                source = b""
            elif stat.S_ISLNK(mode):
                source = os.fsencode(path.readlink())
            entries.append(Entry(prefix + path.relative_to(root).as_posix(), mode, source))
    return sorted(entries, key=lambda entry: entry.name.split("/"))


def parents(name: str) -> list[Entry]:
    """Entries for the directories that lead to `name`: an archive must make them first."""
    parts = name.split("/")[:-1]
    return [Entry("/".join(parts[: n + 1]), stat.S_IFDIR | 0o755, b"") for n in range(len(parts))]


def _member(out: BinaryIO, inode: int, name: str, mode: int, content: bytes) -> int:
    encoded = os.fsencode(name) + b"\0"
    links = 2 if stat.S_ISDIR(mode) else 1
    fields = (inode, mode, 0, 0, links, 0, len(content), 0, 0, 0, 0, len(encoded), 0)
    header = b"070701" + b"".join(b"%08X" % field for field in fields)
    out.write(header)
    out.write(encoded)
    written = len(header) + len(encoded)
    written += _pad(out, written, 4)
    out.write(content)
    written += len(content)
    return written + _pad(out, written, 4)


def _pad(out: BinaryIO, written: int, to: int) -> int:
    missing = -written % to
    out.write(bytes(missing))
    return missing
