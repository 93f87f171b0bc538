"""Where a run stands, and how it is shown: live, in lines, and at the end."""

from __future__ import annotations

import io
import itertools
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from rich.text import Text

from conformance.model.verdict import Finding, Kind, Verdict
from conformance.reports import live
from conformance.reports.events import Doing, Finished, Judged, NotRun, Running, Started
from conformance.reports.plain import PlainProgress
from conformance.reports.state import RunState, first_words, outcome
from conformance.reports.summary import print_summary
from conformance.reports.words import duration, short_path, shortened

STARTED = Started(100.0, "0.1.0", "uml-6.1", "6.1.0", "uml", ("ext4:4k",), 4, 2, "stock", (), ())
FINDING = Finding("content", 3, "target", "the old bytes\nand more", "the new bytes", "the case")


def judged(name: str, kind: Kind = "pass", *, red: bool | None = None, seconds: float = 1.0, **more: str) -> Judged:
    findings = (FINDING,) if kind == "fail" else ()
    verdict = Verdict(name, kind, findings, reason=more.get("reason", ""), seconds=seconds)
    is_red = kind not in ("pass", "known") if red is None else red
    target = name.rpartition("@")[2]
    return Judged(
        110.0, "gw0", name, more.get("rule", "MUST-1"), "MUST", "mainline", target, verdict, is_red,
        known=more.get("known", ""),
    )  # fmt: skip


def state(*events: Judged | NotRun | Doing | Running | Finished) -> RunState:
    made = RunState({f"{letter}@ext4:4k": 2.0 for letter in "abcd"})
    made.take([STARTED, *events])
    return made


def test_workers_are_shown_with_what_they_do() -> None:
    made = state(
        Doing(101.0, "gw0", "booting", 1), Doing(101.0, "gw1", "booting", 2), Running(103.0, "gw0", "a@ext4:4k")
    )
    assert {name: worker.what for name, worker in made.workers.items()} == {"gw0": "a@ext4:4k", "gw1": "booting"}
    made.take([judged("a@ext4:4k")])
    assert made.workers["gw0"].what == ""
    made.take([Finished(120.0)])
    assert made.workers == {}


def test_the_time_left_follows_what_was_measured() -> None:
    made = state()
    assert made.seconds_left() is None
    made.take([judged("a@ext4:4k", seconds=4.0)])  # twice as long as expected; three of 2 s are left, on two guests
    assert made.seconds_left() == pytest.approx(6.0)


def test_outcomes_tell_a_broken_should_from_a_failure() -> None:
    assert outcome(judged("a@b:c", "fail")) == "fail"
    assert outcome(judged("a@b:c", "fail", red=False)) == "noted"
    assert outcome(judged("a@b:c", "known")) == "known"


def test_first_words_are_one_line() -> None:
    assert first_words(judged("a@b:c", "fail").verdict) == (
        "step 3: content of target: expected the old bytes, observed the new bytes"
    )
    assert first_words(Verdict("t", "error", reason="Traceback\n  File\nKeyError: 'x'")) == "KeyError: 'x'"
    assert first_words(Verdict("t", "pass")) == ""


@pytest.mark.parametrize(("seconds", "told"), [(0.04, "0.0 s"), (9.94, "9.9 s"), (12.4, "12 s"), (185, "3:05")])
def test_durations(seconds: float, told: str) -> None:
    assert duration(seconds) == told


def test_paths_at_home_are_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert short_path(Path("/home/me/runs/1")) == "~/runs/1"
    assert short_path(Path("/srv/runs/1")) == "/srv/runs/1"


def test_a_long_name_keeps_both_ends() -> None:
    assert shortened("move/cookie/write[bytes=same]@xfs:rmapbt0", 20) == "move/cooki…s:rmapbt0"
    assert shortened("short", 20) == "short"


# --- progress ----------------------------------------------------------------------------------


def test_plain_progress_tells_red_verdicts_and_tenths() -> None:
    made = state()
    clock = itertools.count(0.0, 2.0)
    plain = PlainProgress(made, lambda: next(clock))
    assert plain.lines(made.take([judged("a@ext4:4k")]), all_of_them=False) == ["[1/4] 1 passed, 1.5 s left"]
    lines = plain.lines(made.take([judged("b@ext4:4k", "fail")]), all_of_them=False)
    assert lines == [
        "FAIL     b@ext4:4k  step 3: content of target: expected the old bytes, observed the new bytes",
        "[2/4] 1 passed, 1 failed, 1.0 s left",
    ]
    assert plain.lines([], all_of_them=False) == []


def test_plain_progress_is_not_told_more_often_than_once_a_second_but_at_the_end() -> None:
    made = state()
    plain = PlainProgress(made, lambda: 7.0)
    assert plain.lines(made.take([judged("a@ext4:4k"), judged("b@ext4:4k")]), all_of_them=False) == []
    assert plain.lines(made.take([judged("c@ext4:4k"), judged("d@ext4:4k")]), all_of_them=False) == ["[4/4] 4 passed"]


def test_verbose_progress_tells_every_verdict() -> None:
    made = state()
    plain = PlainProgress(made)
    new = made.take([judged("a@ext4:4k"), judged("b@ext4:4k", "known", reason="known deviation x: y")])
    assert plain.lines(new, all_of_them=True) == ["pass     a@ext4:4k", "known    b@ext4:4k  known deviation x: y"]


def shown(made: RunState, monkeypatch: pytest.MonkeyPatch, *, width: int = 90, height: int = 20) -> str:
    """One drawing of the live progress."""
    progress = live.LiveProgress(made, lambda: None, threading.RLock())
    monkeypatch.setattr("conformance.reports.live.time.time", lambda: 105.0)
    progress.console = Console(file=io.StringIO(), width=width, height=height, force_terminal=True, color_system=None)
    with progress.console.capture() as capture:
        progress.console.print(progress._draw())
    progress.close()
    return capture.get()


def test_live_progress_has_a_line_for_each_worker_and_the_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    made = state(
        Doing(101.0, "gw1", "booting uml-6.1", 2), Running(103.0, "gw0", "d@ext4:4k"), judged("a@ext4:4k"),
        judged("b@ext4:4k", "crash"),
    )  # fmt: skip
    lines = [line.split() for line in shown(made, monkeypatch).splitlines()]
    assert lines[0] == ["gw0", "d@ext4:4k", "2.0", "s"]
    assert lines[1] == ["gw1", "booting", "uml-6.1", "4.0", "s"]
    assert " ".join(lines[2][1:]) == "2/4 1 passed 0 failed 0 known 1 crashed 1.0 s left"


def test_live_progress_fits_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    doing = [Doing(101.0, f"gw{number}", "x" * 300, number) for number in range(50)]
    text = shown(state(*doing), monkeypatch, width=60, height=12)
    assert len(text.splitlines()) < 12
    assert "more" in text
    assert max(map(len, text.splitlines())) <= 60


# --- the summary -------------------------------------------------------------------------------


def summary(made: RunState) -> str:
    out = io.StringIO()
    console = Console(file=out, width=100, highlight=False)
    print_summary(console, made, lambda event, _width: Text(f"<{event.run} explained>"), "/results")
    return out.getvalue()


def test_failures_of_a_case_that_look_the_same_are_explained_once() -> None:
    names = ("a[x=1]@ext4:4k", "a[x=1]@ext4:1k", "a[x=2]@ext4:1k", "b@ext4:4k")
    told = summary(state(*(judged(name, "fail") for name in names), judged("a[x=3]@ext4:1k", "hang")))
    assert told.count("explained>") == 3
    assert "1 of 3" in told
    assert "<a[x=1]@ext4:1k explained>\n\nthe same in:\n  a[x=1]@ext4:4k\n  a[x=2]@ext4:1k\n" in told


def test_known_deviations_are_counted_by_id_and_declined_proposals_by_rule() -> None:
    told = summary(
        state(
            judged("a@ext4:4k", "known", reason="known deviation x-1: not compared", known="x-1"),
            judged("a@ext4:1k", "known", reason="known deviation x-1: not compared", known="x-1"),
            judged("b@ext4:4k", "known", reason="this kernel declines P-1", rule="P-1"),
        )
    )
    assert "x-1  2 trials of ext4 (1k, 4k): not compared" in told
    assert "P-1  1 trial of ext4:4k: this kernel declines P-1" in told


def test_reasons_are_grouped_and_counted() -> None:
    reasons = [
        NotRun(f"c@ext4:{variant}", f"ext4:{variant} does not offer swapext", "R-1", f"ext4:{variant}")
        for variant in "12"
    ]
    told = summary(state(*reasons, NotRun("d@ext4:1", "ext4:1 does not offer clone", "R-2", "ext4:1")))
    assert "  2  ext4 (1, 2): does not offer swapext" in told
    assert "  1  ext4:1: does not offer clone" in told


def test_the_table_marks_red_counts_without_colour() -> None:
    told = summary(state(judged("a@ext4:4k"), judged("b@ext4:4k", "hang"), judged("c@xfs:1k", "fail", red=False)))
    rows = [line.split() for line in told.splitlines()]
    assert ["file", "system", "passed", "noted", "failed", "hung"] in rows
    assert ["ext4:4k", "1", "·", "·", "!1"] in rows
    assert ["xfs:1k", "·", "1", "·", "·"] in rows
    assert ["all", "1", "1", "·", "!1"] in rows


def test_a_run_that_ended_early_says_so() -> None:
    told = summary(state(judged("a@ext4:4k"), Finished(112.0, "interrupted")))
    assert "1 of 4 trials in 12 s on Linux 6.1.0 (uml-6.1, uml)." in told
    assert "The run ended early: interrupted." in told


def test_many_failures_are_listed_after_the_first_twenty() -> None:
    told = summary(state(*(judged(f"case{number:02}@ext4:4k", "fail") for number in range(25))))
    assert told.count("explained>") == 20
    assert "5 more" in told
    assert "case24@ext4:4k: step 3: content of target" in told


def test_the_kernel_is_named_by_the_last_part_of_its_path() -> None:
    made = RunState({})
    made.take([replace(STARTED, kernel="/home/me/linux"), Finished(101.0)])
    assert "Linux 6.1.0 (linux, uml)" in summary(made)
