"""Progress where there is no terminal: red verdicts as they come, and a line now and then. Nothing is rewritten."""

from __future__ import annotations

import time
from collections.abc import Callable

from conformance.reports.events import Judged
from conformance.reports.state import OUTCOMES, RED, RunState, first_words, outcome
from conformance.reports.words import PLURALS, duration

TENTHS = 10
PAUSE_SECONDS = 1.0
"""At least so long passes between two lines of progress."""
QUIET_SECONDS = 30.0
"""After so long without a line there is one, so that nobody takes the run for dead."""


class PlainProgress:
    """Says what is new, as lines."""

    def __init__(self, state: RunState, clock: Callable[[], float] = time.monotonic) -> None:
        self._state, self._clock = state, clock
        self._tenth = 0
        self._said = clock()

    def lines(self, new: list[Judged], *, all_of_them: bool) -> list[str]:
        """What to print about the verdicts that came since the last time."""
        told: list[str] = []
        for event in new:
            kind = outcome(event)
            if all_of_them or kind in RED:
                why = "" if kind == "pass" else f"  {first_words(event.verdict)}"
                told.append(f"{kind.upper() if kind in RED else kind:<8} {event.run}{why}")
        state, now = self._state, self._clock()
        done, silent = len(state.judged), now - self._said
        tenth = done * TENTHS // state.total if state.total else 0
        due = tenth > self._tenth and (silent > PAUSE_SECONDS or done == state.total)
        if not all_of_them and (due or (new and silent > QUIET_SECONDS)):
            self._tenth = tenth
            told.append(self._progress(done))
        if told:
            self._said = now
        return told

    def _progress(self, done: int) -> str:
        state, left = self._state, self._state.seconds_left()
        counts = ", ".join(f"{state.counts[kind]} {PLURALS[kind]}" for kind in OUTCOMES if state.counts[kind])
        rest = f", {duration(left)} left" if left is not None and done < state.total else ""
        return f"[{done:>{len(str(state.total))}}/{state.total}] {counts}{rest}"
