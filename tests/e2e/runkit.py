"""Runs `pytest --fs=...` in a process of its own, with real guests and the small corpus beside this file."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
SECONDS = 240.0
"""How long anything here may take before the test gives up: much longer than it ever should."""


@dataclass(frozen=True)
class Run:
    """A finished run."""

    status: int
    output: str
    directory: Path

    @property
    def events(self) -> list[dict[str, object]]:
        """What its journal has."""
        return [json.loads(line) for line in (self.directory / "events.jsonl").read_text().splitlines()]

    @property
    def verdicts(self) -> dict[str, dict[str, object]]:
        """The judged events by the names of trials."""
        return {str(event["run"]): event for event in self.events if event["event"] == "judged"}

    def kinds(self) -> dict[str, str]:
        """The kind of each verdict."""
        return {name: str(event["verdict"]["kind"]) for name, event in self.verdicts.items()}  # type: ignore[index]  # JSON


def command(directory: Path, *arguments: str) -> list[str]:
    """The command line; calls that break a kernel are allowed."""
    pytest = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--run-dir={directory}"]
    return [*pytest, f"--cases={CORPUS}", "--allow-test-calls", *arguments]


def run(tmp_path: Path, *arguments: str) -> Run:
    """Runs to the end."""
    directory = tmp_path / "run"
    done = subprocess.run(
        command(directory, *arguments), cwd=tmp_path, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    return Run(done.returncode, done.stdout + done.stderr, directory)


class Started:
    """A run under way, in a process group of its own."""

    def __init__(self, tmp_path: Path, *arguments: str) -> None:
        self.directory = tmp_path / "run"
        self.log = tmp_path / "log"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                command(self.directory, *arguments), cwd=tmp_path, stdout=log, stderr=log, start_new_session=True
            )
        self.pid = self._process.pid
        self._handle = os.pidfd_open(self.pid)

    def wait_until(self, reached: Callable[[str], bool]) -> None:
        """Waits until the journal is as wanted; fails when the run ends before."""
        for _ in range(int(SECONDS / 0.05)):
            journal = self.directory / "events.jsonl"
            if journal.exists() and reached(journal.read_text()):
                return
            if select.select([self._handle], [], [], 0.05)[0]:
                break
        raise AssertionError(f"the run did not get so far:\n{self.log.read_text()}")

    def send(self, number: signal.Signals) -> None:
        """Sends a signal to the process that was started, and to no other."""
        os.kill(self.pid, number)

    def wait(self) -> int:
        """Its exit status."""
        return self._process.wait(SECONDS)

    def end(self) -> None:
        """Ends what is left of it."""
        if self._process.poll() is None:
            os.killpg(self.pid, signal.SIGKILL)
            self._process.wait()
        os.close(self._handle)


@dataclass(frozen=True)
class Process:
    """A process, told from another one of the same number by when it began."""

    pid: int
    began: str
    command: str

    def alive(self) -> bool:
        """Whether it is still there, and no zombie."""
        found = _stat(self.pid)
        return found is not None and found[1] == self.began and found[2] != "Z"


def descendants(pid: int) -> list[Process]:
    """All processes that came from this one and are there now."""
    parents = {int(entry.name): _stat(int(entry.name)) for entry in Path("/proc").iterdir() if entry.name.isdigit()}
    found: list[Process] = []
    waiting = [pid]
    while waiting:
        parent = waiting.pop()
        for child, stat in parents.items():
            if stat is not None and stat[0] == parent:
                found.append(Process(child, stat[1], _command(child)))
                waiting.append(child)
    return found


def _stat(pid: int) -> tuple[int, str, str] | None:
    """Parent, time of start and state."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return int(fields[1]), fields[19], fields[0]


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""
