"""Run directories: where a run keeps its plan, its events and its traces. The last few are kept.

plan.json       what the run is: settings, image, kernel; the trials in order
trials.jsonl    the trials, complete, one a line
events.jsonl    what happened, verdicts included (`reports/events.py`)
traces.jsonl    what the kernels answered, one trace a line, so that the run can be judged again
"""

from __future__ import annotations

import fcntl
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from conformance.cachedir import remove_tree
from conformance.errors import SetupError, UsageError

KEPT = 10
"""Runs that are kept when another begins."""
_MADE_BY_US = "plan.json"
_LOCK = "lock"


@dataclass(frozen=True)
class RunDirectory:
    """The files of one run."""

    path: Path

    @property
    def plan(self) -> Path:
        """What is to run."""
        return self.path / _MADE_BY_US

    @property
    def trials(self) -> Path:
        """The trials, complete."""
        return self.path / "trials.jsonl"

    @property
    def events(self) -> Path:
        """The journal."""
        return self.path / "events.jsonl"

    @property
    def traces(self) -> Path:
        """What the kernels answered."""
        return self.path / "traces.jsonl"


def state_dir() -> Path:
    """`$XDG_STATE_HOME/conformance`, or `~/.local/state/conformance`. As XDG asks, a relative path is ignored.

    Raises SetupError when there is no home directory either."""
    base = os.environ.get("XDG_STATE_HOME", "")
    try:
        return (Path(base) if os.path.isabs(base) else Path.home() / ".local" / "state") / "conformance"
    except RuntimeError as error:
        raise SetupError(f"expected a home directory for results, found none: {error} Give --run-dir DIR.") from error


def new_run(wanted: str | None, targets: str) -> tuple[RunDirectory, IO[bytes]]:
    """An empty run directory: the one that the user wants, or a new one beside the last few.

    The second value holds a lock on it: while it is open, other runs leave the directory alone. Raises UsageError
    when the wanted one is not empty, and SetupError when none can be made."""
    if wanted is not None:
        path = Path(wanted).expanduser().resolve()
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise UsageError(f"--run-dir {wanted}: expected a new or an empty directory, found another.")
    else:
        runs = state_dir() / "runs"
        _make(runs)
        _remove_old(runs)
        stamp = time.strftime("%Y%m%d-%H%M%S")
        word = "".join(letter if letter.isalnum() else "-" for letter in targets)[:40].strip("-")
        path = runs / f"{stamp}-{word}-{os.getpid()}"
    _make(path)
    lock = (path / _LOCK).open("wb")
    fcntl.flock(lock, fcntl.LOCK_EX)
    return RunDirectory(path), lock


def find_run(given: str | None) -> RunDirectory:
    """The directory of a finished run: the one given (itself or a file in it), or the last one. Raises UsageError."""
    if given is not None:
        path = Path(given).expanduser()
        path = path if path.is_dir() else path.parent
        if not (path / _MADE_BY_US).is_file():
            raise UsageError(f"{given}: expected the directory of a run or a file in it, found no {_MADE_BY_US}.")
        return RunDirectory(path)
    runs = _runs(state_dir() / "runs")
    if not runs:
        raise UsageError(f"expected a run in {state_dir() / 'runs'}, found none. Name the directory of one.")
    return RunDirectory(runs[-1])


def _runs(parent: Path) -> list[Path]:
    """Those that begun, the oldest first: their names begin with the time."""
    return sorted(path.parent for path in parent.glob(f"*/{_MADE_BY_US}"))


def _remove_old(parent: Path) -> None:
    for path in _runs(parent)[: 1 - KEPT]:
        try:
            with (path / _LOCK).open("rb+") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            pass
        except OSError:  # it is still running
            continue
        remove_tree(path)


def _make(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SetupError(
            f"{path}: cannot make the directory for results: {error.strerror or error}. Give --run-dir DIR."
        ) from error
