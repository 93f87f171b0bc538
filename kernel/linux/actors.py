"""Actors: child processes that make calls of their own beside the main one."""

from __future__ import annotations

import mmap
import os
import signal
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

from kernel.linux.memory import catch_faults
from kernel.protocol import OK, ActorBody, Outcome

_SAMPLES = 20
_BETWEEN = 0.002


@dataclass
class Actor:
    """A child process, and the two channels to it."""

    pid: int
    reports: int
    """A file in memory to which it adds lines. Not a pipe: it would wait when that is full, and stop racing."""
    stop: mmap.mmap
    """One shared byte: not 0 tells it to stop."""

    @classmethod
    def start(cls, body: ActorBody) -> Actor:
        """Forks. The child inherits every descriptor and mapping."""
        stop = mmap.mmap(-1, mmap.PAGESIZE)
        reports = os.memfd_create("reports")
        pid = os.fork()
        if pid == 0:
            try:
                catch_faults()
                body(lambda: stop[0] != 0, lambda line: _report(reports, line))
            except BaseException:
                _report(reports, "the actor itself failed: " + traceback.format_exc().replace("\n", " | "))
            finally:
                os._exit(0)
        return cls(pid, reports, stop)

    def blocked(self) -> Outcome:
        """OK when it sleeps without waking up through all samples; RUNNING when not; ENDED.

        That something does not happen cannot be waited for as an event: so it is looked at
        twenty times, two milliseconds apart, after a grace period to get there.
        """
        still, last = 0, ""
        process = Path("/proc") / str(self.pid)
        for _ in range(50 * _SAMPLES):
            try:
                state = (process / "stat").read_text().rsplit(")", 1)[1].split()[0]
                switches = (process / "status").read_text().rsplit("voluntary_ctxt_switches", 2)[1]
            except FileNotFoundError:
                return Outcome("ENDED")
            if state == "Z":
                return Outcome("ENDED")
            still = still + 1 if state in "DS" and switches == last else 0
            last = switches
            if still >= _SAMPLES:
                return Outcome(OK)
            time.sleep(_BETWEEN)
        return Outcome("RUNNING")

    def finish(self) -> tuple[str, ...]:
        """Tells it to stop, waits for its end, and returns the lines it reported."""
        self.stop[0] = 1
        os.waitpid(self.pid, 0)
        with os.fdopen(self.reports, "rb") as lines:
            lines.seek(0)
            text = lines.read().decode()
        self.stop.close()
        return tuple(text.splitlines())

    def kill(self) -> None:
        """Ends it, wherever it is."""
        os.kill(self.pid, signal.SIGKILL)
        self.finish()


def _report(writer: int, line: str) -> None:
    data = line.encode() + b"\n"
    while data:
        data = data[os.write(writer, data) :]
