"""The decision how a run is done: planned in the process that the user started, joined by the workers of xdist."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from conformance.corpus.words import TAGS
from conformance.errors import ConformanceError
from conformance.plugin.controller import RUN_KEY, ControllerPlugin
from conformance.plugin.keywords import keep_of
from conformance.plugin.worker import WorkerPlugin
from conformance.runner.plan import Plan, PlannedRun
from conformance.runner.planning import corpus_roots, make_plan
from conformance.runner.rundir import RunDirectory, new_run
from conformance.runner.settings import Selection, Settings, make_settings

FEW_SECONDS = 4.0
"""Trials that take no longer together are run without xdist: a second guest would not be up before they are done."""
FEW_TRIALS = 2
_UNWANTED = ("hypothesispytest",)
"""Plugins that have nothing to do with trials and cost a second: this one imports all of hypothesis at the end."""


def join_run(config: pytest.Config) -> None:
    """Registers the plugin of a worker, in a process that xdist started."""
    _prepare(config)
    workerinput: dict[str, str] = config.workerinput  # type: ignore[attr-defined]  # xdist adds it
    planned = PlannedRun(RunDirectory(Path(workerinput[RUN_KEY])))
    worker = WorkerPlugin(planned.plan, planned, workerinput["workerid"], alone=False)
    config.pluginmanager.register(worker, "conformance-worker")


def plan_run(config: pytest.Config) -> None:
    """Plans the run and registers the plugins for it.

    Raises pytest.UsageError with a text for users when something is wrong."""
    _prepare(config)
    try:
        _plan_run(config)
    except ConformanceError as error:
        raise pytest.UsageError(str(error)) from None


def _plan_run(config: pytest.Config) -> None:
    settings = settings_of(config)
    roots = corpus_roots(config.option.cases)
    plan, trials = make_plan(settings, roots, selection_of(config), keep_of(config), _progress)
    if config.option.collectonly:
        config.pluginmanager.register(WorkerPlugin(plan, None, "", alone=True), "conformance-worker")
        return
    directory, lock = new_run(config.option.run_dir, settings.fs)
    plan.write(directory, trials)
    planned = PlannedRun(directory)
    workers = _workers(config, plan)
    verbosity: int = getattr(config.option, "verbose", 0)  # not there with -p no:terminal
    _quiet(config, settings)
    live = sys.stdout.isatty() and os.environ.get("TERM") != "dumb" and not config.option.usepdb
    config.pluginmanager.register(
        ControllerPlugin(planned, lock, workers, verbosity=verbosity, live=live), "conformance-controller"
    )
    if workers == 0:
        config.pluginmanager.register(WorkerPlugin(plan, planned, "guest", alone=True), "conformance-worker")


def settings_of(config: pytest.Config) -> Settings:
    """What the options say. Raises UsageError."""
    option = config.option
    return make_settings(
        fs=option.fs,
        kernel=option.kernel,
        machine=option.machine,
        profile=option.profile,
        time_scale=option.time_scale,
        repeat=option.repeat,
        until_fail=option.until_fail,
        cases=option.cases,
        tests_only=option.allow_test_calls,
    )


def selection_of(config: pytest.Config) -> Selection:
    """Which trials the options and arguments choose."""
    given = config.args if config.args_source is pytest.Config.ArgsSource.ARGS else []
    return Selection(_words(config.option.rule), _words(config.option.tag), tuple(given))


def _words(options: list[str]) -> tuple[str, ...]:
    return tuple(word.strip() for option in options for word in option.split(",") if word.strip())


def _workers(config: pytest.Config, plan: Plan) -> int:
    """How many workers of xdist, 0 for none; chosen here where the user does not say."""
    option = config.option
    if not config.pluginmanager.has_plugin("xdist"):
        return 0
    if option.maxschedchunk is None:
        option.maxschedchunk = 1  # so that the longest are not dealt out in one go
    if option.numprocesses is None and not option.tx and option.dist == "no":
        seconds = sum(entry.seconds for entry in plan.entries)
        few = len(plan.entries) <= FEW_TRIALS or seconds < FEW_SECONDS
        cores = len(os.sched_getaffinity(0))
        option.numprocesses = 0 if few or option.usepdb or cores == 1 else min(cores, len(plan.entries))
    if option.numprocesses in ("auto", "logical"):
        return 0 if option.usepdb else int(config.hook.pytest_xdist_auto_num_workers(config=config))
    if option.numprocesses:
        return int(option.numprocesses)
    return len(option.tx or ()) if option.dist != "no" else 0


def _quiet(config: pytest.Config, settings: Settings) -> None:
    """Lets pytest say what it says only once, with its last line."""
    option = config.option
    option.verbose = -1
    option.tbstyle = "no"
    if "-r" not in "".join(word[:2] for word in config.invocation_params.args):
        option.reportchars = ""
    if settings.until_fail and not option.maxfail:
        option.maxfail = 1


def _prepare(config: pytest.Config) -> None:
    """What every process of a run does: makes the tags known to -m, and leaves out plugins that only cost time."""
    for name in _UNWANTED:
        if config.pluginmanager.has_plugin(name):
            config.pluginmanager.unregister(name=name)
    for tag, meaning in TAGS.items():
        config.addinivalue_line("markers", f"{tag}: {meaning}")


def _progress(what: str) -> None:
    print(f"conformance: {what}", file=sys.stderr, flush=True)
