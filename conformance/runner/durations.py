"""How long each trial took before, kept in the user's cache, so that the longest start first."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from conformance.cachedir import cache_dir

_NEW = 0.3
"""How much the newest measurement counts."""
UNKNOWN = 0.2
"""Seconds that a trial is taken to need before it was ever measured."""
UNKNOWN_SLOW = 10.0
"""The same for one that is tagged slow."""
_KEPT = 50_000


class Durations:
    """Seconds by the name of a trial, for one machine."""

    def __init__(self, machine: str, path: Path | None = None) -> None:
        self.path = path or cache_dir() / "durations" / f"{machine}.json"
        self._seconds = _read(self.path)

    def expected(self, trial: str, *, slow: bool) -> float:
        """Seconds that the trial is expected to take."""
        return self._seconds.get(trial, UNKNOWN_SLOW if slow else UNKNOWN)

    def record(self, measured: Mapping[str, float]) -> None:
        """Adds what was measured now. Losing it does no harm, so an error of the file system is not reported."""
        seconds = _read(self.path)
        for trial, value in measured.items():
            before = seconds.pop(trial, value)
            seconds[trial] = round(before + _NEW * (value - before), 4)
        newest = dict(list(seconds.items())[-_KEPT:])
        with contextlib.suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            temporary = self.path.with_name(f"{self.path.name}.{os.getpid()}")
            temporary.write_text(json.dumps(newest))
            temporary.rename(self.path)


def _read(path: Path) -> dict[str, float]:
    """What is recorded; nothing when there is no such file or it is damaged."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {name: float(value) for name, value in found.items() if isinstance(value, (int, float)) and value >= 0}
