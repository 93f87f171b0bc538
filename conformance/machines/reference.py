"""The reference kernel in this process: no guest, no privilege, any operating system with Python.

It is no `Machine`, because nothing boots. What it offers is what the runner needs of a guest: the variants of
the file system `reference`, one for each personality, and `run`, which makes a trace of a trial.
"""

from __future__ import annotations

import time
import traceback

from conformance.corpus.kernels import parse_range
from conformance.corpus.targets import Variant
from conformance.model.trace import Broke, Ended, Event, Trace
from conformance.model.trial import Trial
from conformance.trial import run
from kernel.reference import PERSONALITIES, Personality, ReferenceKernel
from kernel.reference.swap import FileSystem
from kernel.setup import FileSystem as Setup

NAME = "reference"
BLOCK = 4096


def variants() -> tuple[Variant, ...]:
    """What `--fs=reference` means: every personality, `full` first."""
    ordered = sorted(PERSONALITIES.values(), key=lambda each: each.name != "full")
    return tuple(_variant(each, first=not index) for index, each in enumerate(ordered))


def _variant(personality: Personality, *, first: bool) -> Variant:
    system = Setup(personality.kind or personality.name, BLOCK, (NAME, personality.name), (NAME, "check"))
    offers = dict.fromkeys(sorted(personality.offers), parse_range(""))
    return Variant(NAME, personality.name, personality.title, system, offers, first=first)


class Reference:
    """Runs trials on the reference, or on one made of a file system that breaks a promise."""

    def __init__(self, made_of: type[FileSystem] = FileSystem) -> None:
        self._made_of = made_of

    def run(self, trial: Trial) -> Trace:
        """The trace of a trial. A fault of the reference itself is the harness's, told with its place."""
        events: list[Event] = []
        began = time.monotonic()
        try:
            run(trial, ReferenceKernel(made_of=self._made_of), events.append)
            events.append(Ended())
        except Exception as error:  # whatever it is, it is told in the trace
            place = traceback.extract_tb(error.__traceback__)[-1]
            events.append(Broke(f"{type(error).__name__}: {error} ({place.name}, line {place.lineno})"))
        return Trace(trial.name, tuple(events), NAME, NAME, time.monotonic() - began)
