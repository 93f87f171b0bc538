"""The interpreter's order of events, against a kernel that only records what is asked of it."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable

import pytest

from conformance.model.trace import Console, Event, Failed, Observed, Owners, Settled, Stepped, Stepping
from conformance.model.trial import Actor, Claim, RuleText, Step, Trial
from conformance.trial import run
from conformance.trial.interpreter import TOLD_FIRST, act
from kernel import calls
from kernel.calls import Call
from kernel.protocol import ActorBody, Counters, Outcome, OwnersFound
from kernel.setup import Checked, FileSpec, FileSystem
from kernel.state import Observation
from kernel.units import ActorName, FdName, Span

SYSTEM = FileSystem("xfs", 4096, (), ())


class Recorder:
    """Answers OK to everything and remembers the order."""

    def __init__(self, answers: dict[str, str] | None = None) -> None:
        self.log: list[str] = []
        self.answers = answers or {}
        self.reports: dict[str, list[str]] = {}

    def open_trial(self, name: str, salt: str, system: FileSystem, sources: tuple[str, ...]) -> None:
        self.log.append("open")

    def make_files(self, files: tuple[FileSpec, ...]) -> None:
        self.log.append("files " + " ".join(file.name for file in files))

    def perform(self, call: Call, source: str, version: int = 0) -> Outcome:
        self.log.append(f"{call.do} by {source}.{version}")
        if self.answers.get(call.do) == "raise":
            raise RuntimeError("broken on purpose")
        return Outcome(self.answers.get(call.do, "OK"))

    def observe(self, *, maps: bool) -> Observation:
        self.log.append("observe" + (" maps" if maps else ""))
        return Observation()

    def counters(self) -> Counters:
        self.log.append("counters")
        return Counters({"transactions": self.log.count("counters")})

    def tick(self) -> None:
        self.log.append("tick")

    def start_actor(self, name: str, body: ActorBody) -> None:
        self.reports[name] = []
        passes = iter([False, False, True])
        body(lambda: next(passes), self.reports[name].append)

    def actor_blocked(self, name: str) -> Outcome:
        return Outcome("OK")

    def stop_actor(self, name: str) -> tuple[str, ...]:
        return tuple(self.reports[name])

    def flush(self) -> None:
        self.log.append("flush")

    def drop_caches(self) -> None:
        self.log.append("drop")

    def settle(self) -> tuple[str, ...]:
        self.log.append("settle")
        return ("swapoff target",)

    def remount_files(self) -> None:
        self.log.append("remount")

    def remove_files(self) -> None:
        self.log.append("remove")

    def unmount(self) -> None:
        self.log.append("unmount")

    def check(self) -> Checked:
        self.log.append("check")
        return Checked("fsck", 0, "")

    def btree_owners(self, file: str) -> OwnersFound:
        self.log.append(f"owners {file}")
        return OwnersFound(131, 2, ())

    def close_trial(self) -> None:
        self.log.append("close")

    def console(self) -> tuple[str, ...]:
        return ("a line",)


def trial(*steps: Step, **more: object) -> Trial:
    rule = RuleText("COOKIE-2", "MUST", "s", "s")
    return Trial("name", "case", "title", rule, "xfs:default", SYSTEM, (), steps, **more)  # type: ignore[arg-type]


def told(subject: Trial, kernel: Recorder | None = None) -> tuple[list[Event], Recorder]:
    kernel = kernel or Recorder()
    events: list[Event] = []
    run(subject, kernel, events.append)
    return events, kernel


def moments(events: list[Event]) -> list[str]:
    return [event.at for event in events if isinstance(event, Observed)]


WRITE = calls.Write(FdName("target"), Span(0, 1))
TRUNCATE: Callable[[], calls.Truncate] = lambda: calls.Truncate(FdName("target"), 0)  # type: ignore[arg-type]  # noqa: E731


def test_every_trial_is_looked_at_from_pristine_to_emptied() -> None:
    events, _ = told(trial(Step(1, WRITE)))
    assert moments(events) == ["pristine", "start", "end", "flushed", "dropped", "remounted", "emptied"]
    assert isinstance(events[-1], Console)
    assert [event.undone for event in events if isinstance(event, Settled)] == [("swapoff target",)]


def test_an_observed_call_is_looked_at_before_and_after_but_not_twice() -> None:
    events, _ = told(trial(Step(1, TRUNCATE()), Step(2, TRUNCATE()), Step(3, WRITE), Step(4, TRUNCATE())))
    assert moments(events)[1:7] == ["start", "after 1", "after 2", "before 4", "after 4", "end"]


def test_a_moment_that_a_claim_refers_to_is_observed() -> None:
    events, _ = told(trial(Step(1, WRITE), Step(2, WRITE), after=(Claim("target", since=2, everything="unchanged"),)))
    assert "before 2" in moments(events)


def test_a_step_is_announced_before_it_is_made() -> None:
    kernel = Recorder({"write": "raise"})
    events: list[Event] = []
    with pytest.raises(RuntimeError):
        run(trial(Step(1, WRITE)), kernel, events.append)
    assert isinstance(events[-1], Stepping)
    assert kernel.log[-1] == "close"


def test_the_clock_moves_before_each_step_unless_it_says_otherwise() -> None:
    _, kernel = told(trial(Step(1, WRITE), Step(2, WRITE, same_tick=True)))
    made = [line for line in kernel.log if line == "tick" or line.startswith("write")]
    assert made == ["tick", "write by step1.0", "write by step2.0"]


def test_transactions_are_counted_only_where_asked_and_closely_around_the_call() -> None:
    events, kernel = told(trial(Step(1, WRITE, transactions="none")))
    at = kernel.log.index("write by step1.0")
    assert kernel.log[at - 1] == kernel.log[at + 1] == "counters"
    (step,) = [event for event in events if isinstance(event, Stepped)]
    assert (step.counters_before, step.counters_after) == ({"transactions": 1}, {"transactions": 2})


def test_after_a_crash_only_the_remounted_state_counts() -> None:
    events, kernel = told(trial(Step(1, calls.Shutdown("default")), Step(2, TRUNCATE()), crash=True))
    assert moments(events) == ["pristine", "start", "remounted", "emptied"]
    assert "flush" not in kernel.log


def test_the_checker_and_the_owners_see_the_files_before_they_are_removed() -> None:
    _, kernel = told(trial(Step(1, calls.Exchange("swapext")), owners=("target",)))
    order = [kernel.log.index(word) for word in ("remount", "unmount", "owners target", "check", "remove")]
    assert order == sorted(order)


def test_no_checker_where_nothing_was_remapped() -> None:
    events, kernel = told(trial(Step(1, WRITE)))
    assert "check" not in kernel.log
    assert not [event for event in events if isinstance(event, Owners)]


def test_a_looping_actor_reports_each_pass_with_its_version() -> None:
    actor = Actor("writer", (Step(1, WRITE),), loop=True)
    start, stop = calls.Start(ActorName("writer")), calls.Stop(ActorName("writer"))
    events, kernel = told(trial(Step(1, start), Step(2, stop), actors=(actor,)))
    reported = [event for event in events if isinstance(event, Stepped) and event.actor == "writer"]
    assert [event.turn for event in reported] == [0, 1, 2]
    assert "write by writer.2" in kernel.log


class Refusing(Recorder):
    """A kernel that can no longer write out or mount."""

    def flush(self) -> None:
        raise OSError(errno.EIO, "on purpose")

    def remount_files(self) -> None:
        raise OSError(errno.EUCLEAN, "on purpose")


def test_what_the_kernel_fails_at_is_told_and_the_checker_still_runs() -> None:
    events, kernel = told(trial(Step(1, calls.Exchange("swapext"))), Refusing())
    failed = [(event.doing, event.result) for event in events if isinstance(event, Failed)]
    assert failed == [("writing everything out", "EIO"), ("unmounting and mounting again", "EUCLEAN")]
    assert moments(events) == ["pristine", "start", "after 1", "end"]
    assert "check" in kernel.log
    assert "remove" not in kernel.log


def test_steps_go_on_where_the_files_cannot_be_looked_at_any_more() -> None:
    class Shut(Recorder):
        """Shuts its file system down at the first truncation."""

        def observe(self, *, maps: bool) -> Observation:
            if any(entry.startswith("truncate") for entry in self.log) and "remount" not in self.log:
                raise OSError(errno.EIO, "the file system is shut down")
            return super().observe(maps=maps)

    events, _ = told(trial(Step(1, TRUNCATE()), Step(2, TRUNCATE()), Step(3, WRITE)), Shut())
    assert [event.step for event in events if isinstance(event, Stepped)] == [1, 2, 3]
    assert moments(events) == ["pristine", "start", "remounted", "emptied"]
    failed = [event.doing for event in events if isinstance(event, Failed)]
    assert failed[0] == "looking at the files after step 1"
    assert not any("step 2" in doing for doing in failed)


def test_a_long_loop_tells_what_is_new_and_its_last_pass() -> None:
    class Surprising(Recorder):
        """Answers something else in one pass that comes late, and is over in no time."""

        def perform(self, call: Call, source: str, version: int = 0) -> Outcome:
            return Outcome("EBUSY" if version == TOLD_FIRST + 50 else "OK")

    actor = Actor("writer", (Step(1, WRITE),), loop=True)
    passes = iter([False] * (TOLD_FIRST + 300) + [True])
    lines: list[str] = []
    act(Surprising(), actor, lambda: next(passes), lines.append)
    turns = [json.loads(line).get("turn", 0) for line in lines]
    assert turns[:TOLD_FIRST] == list(range(TOLD_FIRST))
    assert TOLD_FIRST + 50 in turns
    assert turns[-1] == TOLD_FIRST + 300
