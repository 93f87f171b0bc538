"""The pytest plugin: with `--fs=...` a run collects the trials of the corpus and nothing else.

Without --fs it does nothing.

Here are its options, and the decision which parts of it take part: `controller` in the process that
the user started, `worker` wherever trials run. Nothing else of the suite is imported without --fs.
"""

from __future__ import annotations

import argparse
from collections.abc import Generator

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of the suite."""
    group = parser.getgroup("conformance", "extent move and swap conformance (active with --fs)")
    add = group.addoption
    add("--fs", metavar="NAME[:VARIANT],…", help="file systems to test, as in ext4,xfs:rmapbt0,./ours.toml")
    add("--kernel", metavar="NAME", help="kernel to boot: a name that the suite knows, or the path of a kernel file")
    add("--machine", metavar="NAME", help="machine to boot it on; by default the one that the kernel needs")
    add("--cases", metavar="DIR", action="append", default=[], help="a folder with more cases, rules, targets")
    add("--rule", metavar="ID,…", action="append", default=[], help="only trials of these rules, as in COOKIE-2,MAP-*")
    add(
        "--tag",
        metavar="TAG,…",
        action="append",
        default=[],
        help="only trials with one of these tags, as in race,mmap",
    )
    add("--repeat", metavar="N", type=int, help="run every trial N times")
    add("--until-fail", action="store_true", help="repeat the trials until one fails, at most --repeat times (1000)")
    add(
        "--profile", metavar="NAME", default="stock",
        help="stock (default): a new deviation fails the run; strict: a broken SHOULD and a declined proposal too",
    )  # fmt: skip
    add("--time-scale", metavar="FACTOR", type=float, default=1.0, help="multiply every time limit of trials")
    add("--run-dir", metavar="DIR", help="where results go; by default a new directory in the user's state directory")
    # For the suite's own tests: allows the calls that break a kernel on purpose.
    add("--allow-test-calls", action="store_true", help=argparse.SUPPRESS)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> Generator[None, object, object]:
    """With --fs the run is planned before anything else happens."""
    if config.option.fs is not None and not (config.option.help or config.option.version):
        from conformance.plugin.setup import join_run, plan_run

        if hasattr(config, "workerinput"):
            join_run(config)
        else:
            plan_run(config)
    return (yield)
