"""The guest of one worker: started early, greeted when the first trial comes, replaced when it is not to be trusted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from conformance.errors import GuestError
from conformance.guest.protocol import Hello
from conformance.machines.protocol import BootImage, Guest, Machine
from conformance.machines.session import Limits, Session
from conformance.model.trace import Broke, Died, Ended, Trace
from conformance.model.trial import Trial

BOOTS = 2
"""How often a guest is started before it is given up."""
BAD_TAINTS = 1 << 4 | 1 << 5 | 1 << 7 | 1 << 9 | 1 << 14
"""Bits of /proc/sys/kernel/tainted after which the kernel's answers mean nothing: machine check, bad page, oops,
warning, soft lockup (Documentation/admin-guide/tainted-kernels.rst). Out-of-tree modules taint too, and are fine."""


class WorkerGuest:
    """At most one guest at a time. Used from one thread."""

    def __init__(
        self,
        machine: Machine,
        image: BootImage,
        pristine: Path,
        limits: Limits,
        tell: Callable[[str], None],
        check: Callable[[Hello], None],
    ) -> None:
        self._machine, self._image, self._pristine, self._limits = machine, image, pristine, limits
        self._tell, self._check = tell, check
        self._started: Guest | None = None
        self._session: Session | None = None

    def start(self) -> None:
        """Starts a guest and does not wait for it; nothing to do when there is one."""
        if self._started is None and self._session is None:
            self._started = self._machine.start(self._image, self._tell)

    def run(self, trial: Trial) -> Trace:
        """The trace of a trial. Raises GuestError when no guest comes up, and what `start` and `Session.run` raise."""
        session = self._ready()
        try:
            trace = session.run(trial)
        except BaseException:
            self.stop()
            raise
        if not trustworthy(trace):
            self.stop()
        return trace

    def stop(self) -> None:
        """Ends the guest, if there is one. What is interrupted in here goes on when it is called again."""
        if self._session is not None:
            self._session.stop()
            self._session = None
        if self._started is not None:
            self._started.stop()
            self._started = None

    def _ready(self) -> Session:
        for attempt in range(1, BOOTS + 1):
            if self._session is not None:
                break
            self.start()
            assert self._started is not None
            self._tell(f"waiting for {self._image.kernel_name} to come up")
            try:
                session = Session.greet(self._started, self._image, self._pristine, self._limits)
                self._started, self._session = None, session
            except GuestError:
                self.stop()
                if attempt == BOOTS:
                    raise
                continue
            try:
                self._check(session.hello)
            except BaseException:
                self.stop()
                raise
        assert self._session is not None
        return self._session


def trustworthy(trace: Trace) -> bool:
    """Whether the guest may run another trial after this one."""
    last = trace.events[-1] if trace.events else None
    return (
        isinstance(last, Ended)
        and not last.tainted & BAD_TAINTS
        and not any(isinstance(event, (Broke, Died)) for event in trace.events)
    )
