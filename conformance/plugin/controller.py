"""The part of the plugin in the process that the user started: the run's beginning and end, and what is shown."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Generator
from typing import IO

import pytest

from conformance import __version__
from conformance.model.verdict import Verdict
from conformance.plugin.signals import TERMINATED, Signals, Terminated
from conformance.reports.events import Doing, Finished, Judged, NotRun, RunEvent, Started
from conformance.reports.journal import Journal, Tail
from conformance.reports.terminal import Terminal
from conformance.runner.durations import Durations
from conformance.runner.explaining import Explainer
from conformance.runner.plan import PlannedRun

RUN_KEY = "conformance_run"
"""What a worker is told in `workerinput`: the run's directory."""


class ControllerPlugin:
    """Begins and ends the run, and shows it."""

    def __init__(self, planned: PlannedRun, lock: IO[bytes], workers: int, *, verbosity: int, live: bool) -> None:
        self._planned, self._lock, self._workers = planned, lock, workers
        plan = planned.plan
        self._journal = Journal(planned.directory.events)
        self._tail = Tail(planned.directory.events)
        self._processes: set[int] = set()
        self._measured: dict[str, float] = {}
        self._judged: set[str] = set()
        self._signals = Signals()
        self._interrupted = ""
        self._terminated = False
        self._over = False
        started = Started(
            time.time(),
            __version__,
            plan.settings.kernel,
            plan.hello.release,
            plan.settings.machine,
            tuple(sorted({entry.name.rpartition("@")[2] for entry in plan.entries})),
            len(plan.entries),
            max(1, workers),
            plan.settings.profile,
            plan.image.provenance,
            tuple(sys.argv),
        )
        for event in (started, *plan.not_run):
            self._journal.add(event)
        self._terminal = Terminal(
            {entry.id: entry.seconds for entry in plan.entries},
            self._read,
            Explainer(planned).styled,
            verbosity=verbosity,
            where=planned.directory.path,
            live=live,
        )

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        """Silences what xdist prints about its workers: the progress shows them."""
        distributed = config.pluginmanager.get_plugin("dsession")
        if distributed is not None:
            distributed.terminal = None
            config.pluginmanager.unregister(name="terminaldistreporter")

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: object) -> None:
        """Tells a worker of xdist where the plan is."""
        node.workerinput[RUN_KEY] = str(self._planned.directory.path)  # type: ignore[attr-defined]  # xdist has no types for it

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """The run begins."""
        self._signals.leave_on_term()
        self._terminal.begin()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """Reports what is not applicable before the trials that run, without sending it through a worker."""
        for item in self._planned.plan.not_run:
            _report_not_run(session.config, item)
        return (yield)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Shows progress; a trial that failed without a verdict is a fault of the suite."""
        self._terminal.poll()
        has_verdict = any(name == "verdict" for name, _value in report.user_properties)
        if report.failed and not has_verdict and report.nodeid not in self._judged:
            self._journal.add(self._broken(report))

    def pytest_runtest_logfinish(self) -> None:
        """Shows progress."""
        self._terminal.poll()

    def pytest_report_teststatus(self, report: pytest.CollectReport | pytest.TestReport) -> tuple[str, str, str] | None:
        """Counts as pytest does. Prints nothing until the end, where -r wants words: the progress does that."""
        if hasattr(report, "wasxfail"):
            category, word = ("xfailed", "XFAIL") if report.skipped else ("passed", "PASSED")
        elif report.failed:
            category, word = ("failed", "FAILED") if report.when == "call" else ("error", "ERROR")
        elif report.skipped:
            category, word = "skipped", "SKIPPED"
        else:
            category, word = ("passed", "PASSED") if report.when == "call" else ("", "")
        return category, "", word if self._over else ""

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Remembers why the run ends early."""
        self._interrupted = str(excinfo.value) or "interrupted"
        self._terminated = isinstance(excinfo.value, Terminated)

    @pytest.hookimpl(wrapper=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> Generator[None, None, None]:
        """Ends workers at once where the run was interrupted: they would finish what they do otherwise."""
        self._terminal.poll()
        if exitstatus == pytest.ExitCode.INTERRUPTED:
            self._signals.ignore_while_leaving()
            for process in self._processes - {os.getpid()}:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGTERM)
        stopped = session.shouldstop or session.shouldfail
        yield
        self._journal.add(Finished(time.time(), self._interrupted or (str(stopped) if stopped else "")))
        self._terminal.stop()
        self._over = True
        Durations(self._planned.plan.settings.machine).record(self._measured)
        if self._terminated:
            session.exitstatus = TERMINATED

    def pytest_terminal_summary(self) -> None:
        """The failures explained, and the table."""
        self._terminal.finish()

    def pytest_unconfigure(self) -> None:
        """Closes what is open."""
        self._terminal.close()
        self._journal.close()
        self._lock.close()
        self._signals.restore()

    def _read(self) -> list[RunEvent]:
        """What happened since the last time."""
        events = self._tail.events()
        for event in events:
            if isinstance(event, Doing):
                self._processes.add(event.process)
            elif isinstance(event, Judged):
                self._judged.add(event.run)
                if event.verdict.kind != "error":
                    self._measured[event.verdict.trial] = event.verdict.seconds
        return events

    def _broken(self, report: pytest.TestReport) -> Judged:
        """The verdict of a trial whose worker could not tell one."""
        self._judged.add(report.nodeid)
        name = report.nodeid.partition("#")[0]
        verdict = Verdict(name, "error", reason=report.longreprtext)
        target = name.rpartition("@")[2]
        told = report.longreprtext
        return Judged(time.time(), "", report.nodeid, "", "MUST", "mainline", target, verdict, True, told)


def _report_not_run(config: pytest.Config, item: NotRun) -> None:
    """Tells pytest of a trial that is not applicable, so that its reports list it with the reason."""
    for when, outcome, text in (
        ("setup", "skipped", (item.name, None, f"Skipped: {item.reason}")),
        ("teardown", "passed", None),
    ):
        filesystem, _, variant = item.target.partition(":")
        report = pytest.TestReport(
            nodeid=item.name,
            location=("", None, item.name),
            keywords={},
            outcome=outcome,  # type: ignore[arg-type]  # two literals in a tuple are taken for str
            longrepr=text,  # type: ignore[arg-type]  # without a line number pytest prints none
            when=when,  # type: ignore[arg-type]
            user_properties=[
                ("verdict", "not applicable"), ("rule", item.rule), ("fs", filesystem), ("variant", variant),
            ],
        )  # fmt: skip
        config.hook.pytest_runtest_logreport(report=report)
