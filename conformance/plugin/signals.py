"""SIGTERM ends a run as Ctrl-C does: guests stopped, directories removed, what was found so far reported."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable
from types import FrameType

TERMINATED = 128 + signal.SIGTERM
"""Exit status of a run that was ended by SIGTERM, as a shell would say it."""
_PR_SET_PDEATHSIG = 1

Handler = Callable[[int, FrameType | None], object] | int | None


class Terminated(KeyboardInterrupt):
    """SIGTERM came. To pytest it is what Ctrl-C is."""


class Signals:
    """What this process does on SIGTERM and SIGINT while a run lasts."""

    def __init__(self) -> None:
        self._before: dict[signal.Signals, Handler] = {}

    def leave_on_term(self, *, second: signal.Handlers = signal.SIG_DFL) -> None:
        """From now on SIGTERM ends the session. A `second` one ends the process at once, if it is not to be ignored."""

        def leave(number: int, _frame: FrameType | None) -> None:
            signal.signal(number, second)
            raise Terminated("ended by SIGTERM")

        self._set(signal.SIGTERM, leave)

    def ignore_while_leaving(self) -> None:
        """Nothing may interrupt the end of a session any more."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self._set(number, signal.SIG_IGN)

    def restore(self) -> None:
        """As it was before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    def _set(self, number: signal.Signals, handler: Handler) -> None:
        before = signal.signal(number, handler)
        self._before.setdefault(number, before)


def term_when_parent_dies(parent: int) -> None:
    """Sends this process a SIGTERM when `parent`, the one that started it, is gone: killed for example.

    It may come several times, once for each thread that the parent had.
    """
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    if os.getppid() != parent:  # it was gone already
        os.kill(os.getpid(), signal.SIGTERM)
