"""The part of the plugin that runs trials: in every worker, or in the one process when there are none."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator

import pytest

from conformance.plugin.items import TrialItem
from conformance.plugin.signals import Signals, term_when_parent_dies
from conformance.reports.events import Judged
from conformance.runner.plan import Entry, Plan, PlannedRun
from conformance.runner.run import Worker


class WorkerPlugin:
    """Collects the trials of a plan and runs those that pytest asks for."""

    def __init__(self, plan: Plan, planned: PlannedRun | None, name: str, *, alone: bool) -> None:
        """Without `planned` the trials are only collected. `alone`: there are no other workers, and no controller."""
        self.plan, self._planned, self._name, self._alone = plan, planned, name, alone
        self._parent = os.getppid()
        self._signals = Signals()
        self._worker: Worker | None = None
        self._more = False

    def run(self, entry: Entry) -> Judged:
        """Runs one trial."""
        assert self._worker is not None
        return self._worker.run(entry, more=self._more)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Starts the guest before anything is collected, so that it boots meanwhile."""
        if self._planned is not None and self.plan.entries:
            if not self._alone:
                self._signals.leave_on_term(second=signal.SIG_IGN)
                term_when_parent_dies(self._parent)
            self._worker = Worker(self._planned, self._name)
            self._worker.start()

    def pytest_collection(self, session: pytest.Session) -> bool:
        """The plan's trials instead of whatever tests lie around."""
        config = session.config
        session.items = [TrialItem.make(session, entry, self) for entry in self.plan.entries]
        config.hook.pytest_collectreport(report=pytest.CollectReport("", "passed", None, list(session.items)))
        config.hook.pytest_collection_modifyitems(session=session, config=config, items=session.items)
        config.hook.pytest_collection_finish(session=session)
        session.testscollected = len(session.items)
        return True

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> Generator[None, object, object]:
        """Keeps in mind whether another trial follows, and gives up when no guest comes up any more."""
        self._more = nextitem is not None
        result = yield
        if self._worker is not None and self._worker.hopeless:
            item.session.shouldstop = "guests do not come up any more"
        return result

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Ends the guest."""
        if not self._alone:
            self._signals.ignore_while_leaving()
        if self._worker is not None:
            self._worker.stop()
            self._worker = None
        if not self._alone and os.getppid() != self._parent:
            os._exit(pytest.ExitCode.INTERRUPTED)  # nobody is left to talk to, and trying to would print errors
