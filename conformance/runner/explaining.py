"""The explanation of a verdict with the command that repeats just its trial."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from rich.text import Text

from conformance.model.codec import decode
from conformance.model.trace import Trace
from conformance.model.trial import Trial
from conformance.model.verdict import Verdict
from conformance.reports.events import Judged
from conformance.reports.explain import explain, explain_styled
from conformance.runner.plan import PlannedRun
from conformance.runner.settings import Settings, default_kernel

WIDTH = 100
"""Columns of an explanation that is kept."""


def repeat_command(settings: Settings, trial: Trial) -> str:
    """The command line that runs just this trial again."""
    words = ["pytest", f"--fs={_target_word(settings.fs, trial.target)}"]
    if settings.kernel != default_kernel(None):
        words.append(f"--kernel={settings.kernel}")
    words += [f"--cases={folder}" for folder in settings.cases]
    if settings.profile != "stock":
        words.append(f"--profile={settings.profile}")
    if settings.tests_only:
        words.append("--allow-test-calls")
    return shlex.join([*words, trial.name])


def _target_word(fs: str, target: str) -> str:
    """The word for `--fs` that means just this variant: its name, or the path of its file."""
    name, _, variant = target.partition(":")
    for word in fs.split(","):
        file = word.strip().partition(":")[0]
        if file.endswith(".toml") and Path(file).stem == name:
            return f"{file}:{variant}"
    return target


class Explainer:
    """Explains the verdicts of a run from what it left on disk."""

    def __init__(self, planned: PlannedRun) -> None:
        self._planned = planned
        self._lines = {entry.name: entry for entry in planned.plan.entries}

    def plain(self, trial: Trial, verdict: Verdict, trace: Trace | None) -> str:
        """As it is kept."""
        command = repeat_command(self._planned.plan.settings, trial)
        return explain(trial, verdict, trace=trace, repeat=command, width=WIDTH)

    def styled(self, event: Judged, width: int) -> Text:
        """For a terminal."""
        entry = self._lines.get(event.verdict.trial)
        if entry is None:
            return Text(event.explanation)
        trial = self._planned.trial(entry)
        command = repeat_command(self._planned.plan.settings, trial)
        return explain_styled(trial, event.verdict, trace=self._trace(event), repeat=command, width=width)

    def _trace(self, event: Judged) -> Trace | None:
        """The trace that the verdict is about: of repetitions, the one that took as long."""
        begin = ('{"trial":' + json.dumps(event.verdict.trial)).encode()
        if not self._planned.directory.traces.exists():
            return None
        with self._planned.directory.traces.open("rb") as file:
            for line in file:
                if line.startswith(begin) and line.endswith(b"\n"):
                    trace = decode(Trace, json.loads(line))
                    if trace.seconds == event.verdict.seconds:
                        return trace
        return None
