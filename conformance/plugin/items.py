"""A trial as a test item of pytest: run and judged while it is set up, red or green when it is called.

A fault of the suite therefore is an error of pytest, and a deviation of the kernel a failure.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from conformance.reports.events import Judged
from conformance.runner.plan import Entry

if TYPE_CHECKING:
    from conformance.plugin.worker import WorkerPlugin


class TrialBroken(Exception):
    """The suite itself failed at a trial; its text is for users."""


class TrialFailed(Exception):
    """A trial's verdict makes the run red; its text explains it."""


class TrialItem(pytest.Item):
    """One run of one trial."""

    entry: Entry
    worker: WorkerPlugin
    judged: Judged | None = None

    @classmethod
    def make(cls, session: pytest.Session, entry: Entry, worker: WorkerPlugin) -> TrialItem:
        """The item of an entry; its node id is the entry's."""
        item: TrialItem = cls.from_parent(session, name=entry.id, nodeid=entry.id)
        item.entry, item.worker = entry, worker
        for mark in entry.marks:
            item.add_marker(mark)
        return item

    def setup(self) -> None:
        """Runs the trial on this worker's guest, and has it judged."""
        self.judged = judged = self.worker.run(self.entry)
        filesystem, _, variant = judged.target.partition(":")
        plan = self.worker.plan
        self.user_properties += [
            ("verdict", judged.verdict.kind),
            ("rule", judged.rule),
            ("kernel", plan.hello.release),
            ("fs", filesystem),
            ("variant", variant),
            ("machine", plan.settings.machine),
        ]
        if judged.verdict.kind == "error":
            raise TrialBroken(judged.explanation)

    def runtest(self) -> None:
        """Says what the verdict means for the run."""
        judged = self.judged
        assert judged is not None
        if judged.red:
            raise TrialFailed(judged.explanation)
        if judged.verdict.kind != "pass":
            pytest.xfail(judged.verdict.reason or f"{judged.rule} is a {judged.verdict.level}, and is broken")

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: object = None) -> str:  # noqa: ARG002
        """The explanation, without a traceback: none of the suite's code would tell a user anything."""
        if isinstance(excinfo.value, (TrialBroken, TrialFailed, pytest.xfail.Exception)):
            return str(excinfo.value)
        return str(super().repr_failure(excinfo))

    def reportinfo(self) -> tuple[os.PathLike[str], int | None, str]:
        """The file of the case."""
        return Path(self.entry.case_file), None, self.entry.id
