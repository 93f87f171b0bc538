"""Runs trials on one worker's guest, one after the other: trial, trace, verdict, and a line in the journal for each."""

from __future__ import annotations

import contextlib
import os
import time
import traceback

from conformance.errors import ConformanceError, GuestError
from conformance.judge import judge
from conformance.machines.registry import machine_named
from conformance.machines.session import Limits
from conformance.model.trace import Trace
from conformance.model.trial import Trial
from conformance.model.verdict import Verdict
from conformance.reports.events import Doing, Judged, Running
from conformance.reports.journal import Journal
from conformance.runner.explaining import Explainer
from conformance.runner.facts import check_facts, pristine_dir
from conformance.runner.guest import WorkerGuest
from conformance.runner.plan import Entry, PlannedRun
from conformance.runner.weigh import Weighed, weigh

HOPELESS = 2
"""After so many trials in a row for which no guest came up, the worker gives up."""
_FAULTS = frozenset({"console", "tainted"})
"""Findings after which the kernel's later answers mean nothing."""


class Worker:
    """One worker: its guest, and where it writes."""

    def __init__(self, run: PlannedRun, name: str) -> None:
        self.run_on, self.name = run, name
        self.settings = run.plan.settings
        self._events = Journal(run.directory.events)
        self._traces = Journal(run.directory.traces)
        self._explainer = Explainer(run)
        self._without_guest = 0
        machine, image = machine_named(self.settings.machine), run.plan.image.boot_image()
        self._guest = WorkerGuest(
            machine,
            image,
            pristine_dir(),
            Limits(self.settings.time_scale),
            self._tell,
            lambda hello: check_facts(run.plan.hello, hello, machine, image),
        )

    @property
    def hopeless(self) -> bool:
        """Whether guests do not come up any more."""
        return self._without_guest >= HOPELESS

    def start(self) -> None:
        """Starts the guest and does not wait for it. What goes wrong shows again, and is told, with the first trial."""
        with contextlib.suppress(ConformanceError):
            self._guest.start()

    def run(self, entry: Entry, *, more: bool) -> Judged:
        """Runs one trial. `more`: another one will follow, for which a guest is kept ready.

        Whatever goes wrong in here is a verdict "error", and the next trial gets a fresh guest."""
        self._events.add(Running(time.time(), self.name, entry.id))
        trial = self.run_on.trial(entry)
        trace: Trace | None = None
        try:
            trace = self._guest.run(trial)
            self._without_guest = 0
            self._traces.add(trace)
            weighed = self._weigh(trial, judge(trial, trace))
        except GuestError as error:
            self._without_guest += 1
            weighed = _broken(trial, str(error))
        except ConformanceError as error:
            weighed = _broken(trial, str(error))
        except Exception:  # a fault of the suite must not look like one of the kernel, nor end the run
            weighed = _broken(trial, traceback.format_exc())
        verdict = weighed.verdict
        if verdict.kind in ("error", "crash", "hang") or any(finding.what in _FAULTS for finding in verdict.findings):
            self._guest.stop()
        if more and not self.hopeless:
            self.start()
        judged = Judged(
            time.time(),
            self.name,
            entry.id,
            trial.rule.id,
            trial.rule.level,
            trial.rule.promise,
            trial.target,
            weighed.verdict,
            weighed.red,
            explanation=self._explainer.plain(trial, weighed.verdict, trace) if weighed.verdict.kind != "pass" else "",
            known=weighed.known,
        )
        self._events.add(judged)
        return judged

    def stop(self) -> None:
        """Ends the guest and closes the files."""
        self._guest.stop()
        self._events.close()
        self._traces.close()

    def _weigh(self, trial: Trial, verdict: Verdict) -> Weighed:
        plan, settings = self.run_on.plan, self.settings
        return weigh(trial, verdict, plan.known_list, plan.hello.release, settings.machine, settings.profile)

    def _tell(self, what: str) -> None:
        self._events.add(Doing(time.time(), self.name, what, os.getpid()))


def _broken(trial: Trial, reason: str) -> Weighed:
    return Weighed(Verdict(trial.name, "error", reason=reason), True)
