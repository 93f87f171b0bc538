"""Live progress on a terminal: a line for each worker, a bar, the counts, the time left."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from conformance.reports.events import Judged
from conformance.reports.state import OUTCOMES, RED, Outcome, RunState, WorkerState, first_words, outcome
from conformance.reports.words import PLURALS, STYLES, duration, shortened

_PER_SECOND = 6
_SPARE_LINES = 4
"""Lines of the terminal that workers may not take."""


class LiveProgress:
    """Draws until `stop`; `read` is called before each drawing, and `lock` is held meanwhile."""

    def __init__(self, state: RunState, read: Callable[[], None], lock: threading.RLock) -> None:
        self._state, self._read, self._lock = state, read, lock
        # Pytest captures standard output while a trial runs in this process; a copy of its descriptor it does not.
        self._file = os.fdopen(os.dup(1), "w", encoding="utf-8", errors="replace")
        self.console = Console(file=self._file, highlight=False)
        self._live = Live(
            console=self.console,
            get_renderable=self._draw,
            refresh_per_second=_PER_SECOND,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def start(self) -> None:
        """Begins to draw."""
        self._live.start(refresh=True)

    def show(self, event: Judged, *, all_of_them: bool) -> None:
        """Prints a line above for a red verdict, or for any."""
        kind = outcome(event)
        if all_of_them or kind in RED:
            line = Text.assemble((f"{kind:<8}", STYLES[kind]), event.run)
            if kind != "pass":
                line.append(f"  {first_words(event.verdict)}", "dim")
            line.truncate(self.console.width, overflow="ellipsis")
            self.console.print(line)

    def stop(self) -> None:
        """Removes what is drawn. Harmless when repeated."""
        self._live.stop()

    def close(self) -> None:
        """Stops, and closes the terminal's descriptor."""
        self.stop()
        if not self._file.closed:
            self._file.close()

    def _draw(self) -> RenderableType:
        with self._lock:
            self._read()
            return self._drawn()

    def _drawn(self) -> RenderableType:
        state, now = self._state, time.time()
        rows = [self._worker(name, worker, now) for name, worker in sorted(state.workers.items())]
        room = max(1, self.console.height - _SPARE_LINES)
        if len(rows) > room:
            rows = [*rows[: room - 1], Text(f"… and {len(rows) - room + 1} more", "dim")]
        return Group(*rows, self._bar())

    def _worker(self, name: str, worker: WorkerState, now: float) -> Text:
        took = duration(max(0.0, now - worker.since))
        room = max(20, self.console.width - len(name) - len(took) - 4)
        what = f"{shortened(worker.what or 'waiting', room):<{room}}"
        return Text.assemble((f"{name}  ", "bold"), (what, "" if worker.trial else "dim"), f"  {took}")

    def _bar(self) -> RenderableType:
        state = self._state
        done, left = len(state.judged), state.seconds_left()
        text = Text(f"{done}/{state.total}")
        always: tuple[Outcome, ...] = ("pass", "fail", "known")
        for kind in (*always, *(kind for kind in OUTCOMES if state.counts[kind] and kind not in always)):
            text.append("  ")
            text.append(f"{state.counts[kind]} {PLURALS[kind]}", STYLES[kind] if state.counts[kind] else "dim")
        if left is not None and done < state.total:
            text.append(f"  {duration(left)} left", "dim")
        table = Table.grid(padding=(0, 2), expand=True)
        table.add_column(ratio=1, min_width=8)
        table.add_column(no_wrap=True)
        table.add_row(ProgressBar(total=max(1, state.total), completed=done), text)
        return table
