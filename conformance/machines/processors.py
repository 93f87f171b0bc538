"""Gives each guest with one processor a processor of the host to itself, while there are enough.

User-mode Linux is several host processes that take turns with every system call. On one
processor a turn costs about 8 microseconds, across two about 70 (measured on two cores), so
a guest is kept on one; and two guests on the same one would halve each other's speed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO


@dataclass(frozen=True)
class Processor:
    """A processor that no other guest of this user has, until `release`; or none, where all are taken."""

    number: int | None
    _lock: IO[bytes] | None

    def release(self) -> None:
        """Gives it back. Harmless when repeated."""
        if self._lock:
            self._lock.close()

    @contextlib.contextmanager
    def inherited(self) -> Iterator[None]:
        """What is started inside runs on this processor only."""
        if self.number is None:
            yield
            return
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {self.number})
        try:
            yield
        finally:
            os.sched_setaffinity(0, before)


def reserve(directory: Path) -> Processor:
    """Takes the last processor that is free, by a lock on a file in `directory` that all guests of a user share."""
    for number in sorted(os.sched_getaffinity(0), reverse=True):
        lock = (directory / f"processor-{number}").open("wb")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            continue
        return Processor(number, lock)
    return Processor(None, None)
