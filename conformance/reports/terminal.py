"""Shows a run to a person: live on a terminal, in lines elsewhere; and what came of it at the end."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from conformance.reports.events import Judged, RunEvent, Started
from conformance.reports.plain import PlainProgress
from conformance.reports.state import RunState
from conformance.reports.words import counted, short_path

if TYPE_CHECKING:
    from rich.text import Text

    from conformance.reports.live import LiveProgress

PLAIN_WIDTH = 100
"""Columns where there is no terminal to ask."""


class Terminal:
    """One run on standard output.

    `read` gives the events since the last time; `explain` explains a verdict for a width.
    `verbosity` is pytest's: from 1 on each verdict gets a line, below 0 there is no progress."""

    def __init__(
        self,
        expected: Mapping[str, float],
        read: Callable[[], list[RunEvent]],
        explain: Callable[[Judged, int], Text],
        *,
        verbosity: int,
        where: Path,
        live: bool,
    ) -> None:
        self.state = RunState(expected)
        self._read, self._explain = read, explain
        self._verbosity, self._where, self._wants_live = verbosity, where, live
        self._plain = PlainProgress(self.state)
        self._live: LiveProgress | None = None
        self._new: list[Judged] = []
        self._lock = threading.RLock()
        """Held while the state is changed or drawn: the live progress draws from a thread of its own."""

    def begin(self) -> None:
        """Says what is about to run."""
        self._take()
        if self._verbosity >= 0 and self.state.started:
            print(headline(self.state.started), flush=True)
            if self._wants_live:
                from conformance.reports.live import LiveProgress

                self._live = LiveProgress(self.state, self._take, self._lock)
                self._live.start()

    def poll(self) -> None:
        """Shows what happened since the last time."""
        self._take()
        with self._lock:
            new, self._new = self._new, []
        if self._verbosity < 0:
            return
        if self._live is not None:
            for event in new:
                self._live.show(event, all_of_them=self._verbosity > 0)
            return
        for line in self._plain.lines(new, all_of_them=self._verbosity > 0):
            print(line, flush=True)

    def stop(self) -> None:
        """Ends the progress."""
        self.poll()
        if self._live is not None:
            self._live.stop()

    def finish(self) -> None:
        """The failures explained, and the table."""
        from rich.console import Console

        from conformance.reports.summary import print_summary

        self.stop()
        console = Console(file=sys.stdout, highlight=False, soft_wrap=False)
        if not console.is_terminal:
            console = Console(file=sys.stdout, highlight=False, width=PLAIN_WIDTH)
        print_summary(console, self.state, self._explain, short_path(self._where))

    def close(self) -> None:
        """Gives back what it holds."""
        if self._live is not None:
            self._live.close()

    def _take(self) -> None:
        with self._lock:
            self._new += self.state.take(self._read())


def headline(started: Started) -> str:
    """One line that says what runs where."""
    name = started.kernel.rpartition("/")[2]
    profile = "" if started.profile == "stock" else f", profile {started.profile}"
    what = f"{counted(started.trials, 'trial')} of {', '.join(started.targets) or 'nothing'}"
    where = f"Linux {started.release} ({name}, {started.machine}), {counted(started.workers, 'guest')} at a time"
    return f"conformance {started.suite}: {what} on {where}{profile}"
