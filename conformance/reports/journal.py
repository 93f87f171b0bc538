"""Files of JSON lines to which several processes append, and which may be read while they grow.

A line is written whole, under a lock. A writer that was killed may leave a part of a line at the
end: readers do not look at it, and the next writer removes it.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path

from conformance.errors import TraceError
from conformance.model.codec import decode, encode
from conformance.reports.events import RunEvent

MAX_LINE = 64 << 20
"""Bytes in one line; longer ones are refused."""
_CHUNK = 4096


class Journal:
    """Appends values to a file of JSON lines."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)

    def add(self, value: object) -> None:
        """Appends a dataclass as one line."""
        self.add_line(json.dumps(encode(value), separators=(",", ":")))

    def add_line(self, line: str) -> None:
        """Appends a line of JSON as it is."""
        data = memoryview(line.encode() + b"\n")
        fcntl.flock(self._fd, fcntl.LOCK_EX)
        try:
            self._remove_part()
            while data:
                data = data[os.write(self._fd, data) :]
        finally:
            fcntl.flock(self._fd, fcntl.LOCK_UN)

    def close(self) -> None:
        """Closes the file."""
        os.close(self._fd)

    def _remove_part(self) -> None:
        """Removes what stands behind the last newline: nobody is writing it, because we hold the lock."""
        end = kept = os.lseek(self._fd, 0, os.SEEK_END)
        while kept:
            start = max(0, kept - _CHUNK)
            found = os.pread(self._fd, kept - start, start).rfind(b"\n")
            kept = start if found < 0 else start + found + 1
            if found >= 0:
                break
        if kept < end:
            os.ftruncate(self._fd, kept)


class Tail:
    """Reads the lines of a growing file, each once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._at = 0

    def lines(self) -> list[bytes]:
        """The whole lines that were added since the last time. A file that is not there yet has none."""
        try:
            with self.path.open("rb") as file:
                file.seek(self._at)
                data = file.read()
        except FileNotFoundError:
            return []
        end = data.rfind(b"\n") + 1
        self._at += end
        return data[:end].splitlines()

    def events(self) -> list[RunEvent]:
        """The events that were added since the last time."""
        return [decode(RunEvent, json.loads(line)) for line in self.lines()]


def read_lines(path: Path) -> Iterator[tuple[int, object]]:
    """The values of a finished file of JSON lines, each with its line number; raises TraceError.

    A last line without its end is what a killed writer left, and is left out."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise TraceError(f"{path}: cannot be read: {error.strerror}") from None
    with file:
        number = 0
        while line := file.readline(MAX_LINE + 1):
            number += 1
            if len(line) > MAX_LINE:
                raise TraceError(f"{path}, line {number}: expected at most {MAX_LINE >> 20} MiB, found more")
            if not line.endswith(b"\n"):
                return
            try:
                yield number, json.loads(line)
            except ValueError as error:
                raise TraceError(f"{path}, line {number}: expected JSON, found {line[:60]!r}: {error}") from None
