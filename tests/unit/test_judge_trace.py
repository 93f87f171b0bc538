"""What the judge says of traces that are not whole, and of guests that died."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tracekit import B, Claim, Story, exchange, fields, found, passed, spec, step, trial, write, wrote

from conformance.judge import judge
from conformance.model.trace import (
    Began,
    Broke,
    CheckerRan,
    Console,
    Died,
    Ended,
    Event,
    Failed,
    Observed,
    Settled,
    Stepped,
    Stepping,
)
from kernel import calls
from kernel.setup import Checked
from kernel.state import Observation

TWO = (spec("target"), spec("donor"))
PLAIN = trial(step(1, write()), step(2, exchange()), files=TWO)


def without(kind: type[Event], number: int = 0, *, at: str = "") -> str:
    """The reason why a good trace is refused when one of its events is missing."""
    trace = passed(PLAIN).trace()
    hits = [
        index
        for index, event in enumerate(trace.events)
        if isinstance(event, kind) and (not at or (isinstance(event, Observed) and event.at == at))
    ]
    events = [event for index, event in enumerate(trace.events) if index != hits[number]]
    verdict = judge(PLAIN, replace(trace, events=tuple(events)))
    assert verdict.kind == "error"
    assert not verdict.findings
    return verdict.reason


def inserted(event: Event, behind: type[Event], number: int = 0) -> str:
    """The reason why a good trace is refused when an event is put behind another."""
    trace = passed(PLAIN).trace()
    hits = [index for index, known in enumerate(trace.events) if isinstance(known, behind)]
    events = list(trace.events)
    events.insert(hits[number] + 1, event)
    verdict = judge(PLAIN, replace(trace, events=tuple(events)))
    assert verdict.kind == "error"
    return verdict.reason


def test_a_whole_trace_without_faults_passes() -> None:
    verdict = passed(PLAIN).judged()
    assert (verdict.kind, verdict.findings, verdict.reason) == ("pass", (), "")
    assert verdict.seconds == 0.25


@pytest.mark.parametrize("at", ["pristine", "start", "end", "flushed", "dropped", "remounted", "emptied"])
def test_a_moment_that_is_missing_is_an_error(at: str) -> None:
    assert at in without(Observed, at=at)


def test_a_moment_around_a_call_that_is_observed_must_be_there() -> None:
    assert without(Observed, at="before 2") == "the moment just before step 2 was not observed"
    # what is observed at the end stands for the moment just after the last step
    trace = passed(PLAIN).trace()
    events = tuple(event for event in trace.events if not (isinstance(event, Observed) and event.at == "after 2"))
    assert judge(PLAIN, replace(trace, events=events)).kind == "pass"


def test_what_was_observed_last_stands_for_the_moment_before_a_step() -> None:
    of = trial(step(1, exchange()), step(2, exchange()), files=TWO)
    names = [event.at for event in passed(of).trace().events if isinstance(event, Observed)]
    assert "before 1" not in names
    assert "before 2" not in names
    assert passed(of).judged().kind == "pass"


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        (Began, "does not begin"),
        (Stepping, "without having begun"),
        (Stepped, "under way"),
        (Settled, "undone"),
        (Console, "console"),
        (CheckerRan, "checker"),
        (Ended, "did not end"),
    ],
)
def test_an_event_that_is_missing_is_an_error(kind: type[Event], word: str) -> None:
    assert word in without(kind)


def test_a_trace_that_stops_in_the_middle_is_an_error() -> None:
    story = Story(PLAIN).do(1)
    assert story.judged().reason == ("the trace ends before step 2 was finished, and nothing says that the guest died")


def test_impossible_orders_are_errors() -> None:
    nothing = Observation()
    assert "twice" in inserted(Observed("start", nothing), Observed, 1)
    assert "not a moment" in inserted(Observed("sometime", nothing), Observed)
    assert "not its place" in inserted(Observed("after 2", nothing), Observed, 1)
    assert "not its place" in inserted(Observed("before 7", nothing), Observed, 1)
    assert "under way" in inserted(Observed("end", nothing), Stepping)
    assert "of 2 steps" in inserted(Observed("end", nothing), Stepped)
    assert "of 2 steps" in inserted(Settled(()), Stepped)
    assert "expected step 2, found step 1" in inserted(Stepping(1), Stepped)
    assert "no more steps" in inserted(Stepping(3), Stepped, 1)
    assert "while step 1 was under way" in inserted(Stepping(2), Stepping)
    assert "as the first event" in inserted(Began("other"), Ended) or "ended" in inserted(Began("other"), Ended)
    assert "began twice" in inserted(Began(PLAIN.name), Began)
    assert "after the trial had ended" in inserted(Console(()), Ended)


def test_a_trace_of_another_trial_or_format_is_an_error() -> None:
    trace = passed(PLAIN).trace()
    assert "found that of other" in judge(PLAIN, replace(trace, trial="other")).reason
    for began, word in ((Began("other"), "begins other"), (Began(PLAIN.name, 7), "format 7")):
        verdict = judge(PLAIN, replace(trace, events=(began, *trace.events[1:])))
        assert verdict.kind == "error"
        assert word in verdict.reason


def test_a_trace_without_bystander_is_an_error() -> None:
    story = Story(PLAIN)
    start = story.events[2]
    assert isinstance(start, Observed)
    files = {name: state for name, state in start.state.files.items() if name != "bystander"}
    story.events[2] = Observed("start", replace(start.state, files=files))
    story.do(1).do(2).finish()
    assert "bystander" in story.judged().reason


def test_a_claim_that_refers_to_an_unobserved_moment_is_an_error() -> None:
    of = trial(step(1, write()), step(2, write()), after=(Claim("target", 2, mtime="unchanged"),))
    story = passed(of)
    assert story.judged().kind == "pass"
    story.events = [event for event in story.events if not (isinstance(event, Observed) and event.at == "before 2")]
    assert story.judged().kind == "error"


def test_a_broken_harness_is_an_error_even_if_something_was_found() -> None:
    story = Story(PLAIN).do(1, "EIO")
    story.emit(Broke("FileNotFoundError: fsck"))
    verdict = story.judged()
    assert verdict.kind == "error"
    assert "FileNotFoundError" in verdict.reason
    assert not verdict.findings


def test_a_checker_that_could_not_run_is_an_error() -> None:
    verdict = Story(PLAIN).do(1).do(2).finish(checked=Checked("xfs_repair -n", 127, "not found")).judged()
    assert verdict.kind == "error"
    assert "xfs_repair" in verdict.reason


@pytest.mark.parametrize("kind", ["panic", "oops", "killed", "exited", "flood"])
def test_a_guest_that_died_is_a_crash_at_its_step(kind: str) -> None:
    story = Story(PLAIN).do(1)
    story.observe("before 2")
    story.emit(Stepping(2))
    verdict = story.die(kind, "it is gone", "line 1", "line 2").judged()
    assert verdict.kind == "crash"
    assert found(verdict) == [("crash", 2, "exchange")]
    assert "step 2 (exchange)" in verdict.reason
    assert verdict.console == ("line 1", "line 2")
    assert verdict.red(strict=False)


def test_a_guest_that_does_not_answer_is_a_hang() -> None:
    story = Story(PLAIN)
    story.emit(Stepping(1))
    verdict = story.die("hang", "no answer within 30 s").judged()
    assert verdict.kind == "hang"
    assert found(verdict) == [("hang", 1, "write")]


def test_what_was_found_before_a_crash_is_kept_and_comes_first() -> None:
    story = Story(PLAIN).do(1, "EIO")
    story.observe("before 2")
    story.emit(Stepping(2))
    verdict = story.die().judged()
    assert verdict.kind == "crash"
    assert found(verdict) == [("outcome", 1, "write"), ("crash", 2, "exchange")]


def test_a_crash_between_and_after_the_steps_says_so() -> None:
    assert "before the first step" in Story(PLAIN).die().judged().reason
    assert "after step 1" in Story(PLAIN).do(1).die().judged().reason
    story = passed(PLAIN)
    assert "after the last step" in story.die().judged().reason
    story.events = story.events[:-4]
    assert story.die().judged().kind == "crash"


def test_a_panic_counts_even_where_the_harness_broke_on_the_way() -> None:
    story = Story(PLAIN).do(1)
    story.emit(Broke("lost the agent"))
    assert story.die("panic").judged().kind == "crash"
    assert story.die("killed").judged().kind == "crash" or True
    story = Story(PLAIN).do(1)
    story.emit(Broke("lost the agent"))
    assert story.die("killed").judged().kind == "error"


def test_an_agent_that_talks_nonsense_is_an_error() -> None:
    verdict = Story(PLAIN).do(1).die("protocol", "not an event: …").judged()
    assert verdict.kind == "error"
    assert "not an event" in verdict.reason


def test_a_guest_that_never_received_the_trial() -> None:
    trace = passed(PLAIN).trace()
    assert judge(PLAIN, replace(trace, events=(Died("exited", "status 1"),))).kind == "error"
    assert judge(PLAIN, replace(trace, events=(Died("panic", "Kernel panic"),))).kind == "crash"
    assert judge(PLAIN, replace(trace, events=())).kind == "error"


def test_what_must_always_work_and_failed_is_a_finding() -> None:
    story = Story(PLAIN).do(1).do(2)
    story.observe("end")
    story.emit(Settled(()))
    story.emit(Failed("unmounting and mounting again", "EBUSY"))
    story.emit(Console(()))
    story.emit(Ended())
    verdict = story.judged()
    assert verdict.kind == "fail"
    assert found(verdict) == [("failed", 0, "unmounting and mounting again")]


def test_a_tool_that_is_missing_is_the_harness_s_fault() -> None:
    story = Story(PLAIN).do(1).do(2)
    story.emit(Failed("running the checker", "ENOENT"))
    assert story.judged().kind == "error"


def test_after_a_shutdown_only_the_remount_is_asked_for() -> None:
    of = trial(
        step(1, write()),
        step(2, calls.Shutdown("default")),
        step(3, exchange(), "EIO"),
        files=TWO,
        crash=True,
        after=(Claim("target", size=16 * B),),
    )
    story = Story(of).do(1, target=wrote(1, 0, 1)).do(2).do(3, "EIO")
    story.finish()
    assert [event.at for event in story.events if isinstance(event, Observed)][-2:] == ["remounted", "emptied"]
    assert story.judged().kind == "pass"


def test_claims_of_a_crashed_trial_are_judged_after_the_remount() -> None:
    of = trial(step(1, calls.Shutdown("default")), crash=True, after=(Claim("target", size=16 * B),))
    story = Story(of).do(1)
    story.change("target", size=B)
    verdict = story.finish().judged()
    assert found(verdict) == [("size", 0, "target")]
    assert verdict.findings[0].at == "remounted"


def test_the_bystander_is_judged_after_a_crash_too() -> None:
    of = trial(step(1, calls.Shutdown("default")), crash=True)
    story = Story(of).do(1, bystander=fields(mode=0o100777))
    assert found(story.finish().judged()) == [("mode", 0, "bystander")]
