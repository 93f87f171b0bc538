"""SIGTERM ends a run as Ctrl-C does: guests stopped, directories removed, what was found so far reported."""

from __future__ import annotations

import ctypes
import os
import signal
from types import FrameType

TERMINATED = 128 + signal.SIGTERM
"""Exit status of a run that was ended by SIGTERM, as a shell would say it."""
_PR_SET_PDEATHSIG = 1


class Terminated(KeyboardInterrupt):
    """SIGTERM came. To pytest it is what Ctrl-C is."""


def leave_on_term() -> None:
    """From now on SIGTERM ends the session; a second one ends the process at once."""

    def leave(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        raise Terminated("ended by SIGTERM")

    signal.signal(signal.SIGTERM, leave)


def term_when_parent_dies(parent: int) -> None:
    """Sends this process a SIGTERM when `parent`, the one that started it, is gone: killed for example."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    if os.getppid() != parent:  # it was gone already
        os.kill(os.getpid(), signal.SIGTERM)


def ignore_while_leaving() -> None:
    """Nothing may interrupt the end of a session any more."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
