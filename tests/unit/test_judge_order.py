"""In which order findings are told, and which are told once; the judge beside the real interpreter."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tracekit import (
    EPOCH,
    FREE,
    SECOND,
    B,
    Claim,
    Story,
    exchange,
    fields,
    found,
    moved,
    spec,
    state,
    step,
    trial,
    write,
    wrote,
)

import conformance.judge
from conformance.judge import judge
from conformance.judge.decide import ordered
from conformance.model.codec import decode, encode
from conformance.model.trace import Ended, Event, Trace
from conformance.model.verdict import Finding, Verdict
from conformance.trial import run
from kernel import calls
from kernel.calls import Call
from kernel.protocol import ActorBody, Counters, Outcome, OwnersFound
from kernel.setup import Checked, FileSpec, FileSystem
from kernel.state import FileState, Observation

FOUND = Finding("content", 2, "target", "0: target", "0: donor", "because")


def test_the_earliest_comes_first() -> None:
    checker = replace(FOUND, what="checker", step=0)
    end = replace(FOUND, step=0, at="end", subject="a")
    remounted = replace(FOUND, step=0, at="remounted", subject="b")
    console = replace(FOUND, what="console", step=0)
    second = replace(FOUND, step=2)
    outcome = replace(FOUND, what="outcome", step=1)
    start = replace(FOUND, step=0, at="start", subject="c")
    wanted = (start, outcome, second, console, end, remounted, checker)
    assert ordered(list(reversed(wanted))) == wanted


def test_a_result_comes_before_what_it_did() -> None:
    extents, outcome = replace(FOUND, what="extents"), replace(FOUND, what="outcome")
    assert ordered([extents, FOUND, outcome]) == (outcome, FOUND, extents)


def test_what_repeats_an_earlier_finding_is_left_out() -> None:
    later = replace(FOUND, step=0, at="end", because="another check", level="SHOULD")
    assert ordered([later, FOUND]) == (FOUND,)
    other = replace(later, observed="0: step1")
    assert ordered([other, FOUND]) == (FOUND, other)


def test_of_two_levels_the_stronger_is_kept() -> None:
    weaker = replace(FOUND, level="MAY")
    assert ordered([weaker, FOUND]) == (FOUND,)


findings = st.builds(
    Finding,
    what=st.sampled_from(["outcome", "content", "console", "checker", "mtime", "crash"]),
    step=st.integers(0, 3),
    subject=st.sampled_from(["a", "b"]),
    expected=st.just("x"),
    observed=st.sampled_from(["y", "z"]),
    because=st.just("c"),
    level=st.sampled_from(["MUST", "SHOULD", "MAY"]),
    at=st.sampled_from(["", "start", "end", "remounted"]),
)


@given(st.lists(findings))
def test_order_does_not_depend_on_the_order_of_checks(made: list[Finding]) -> None:
    told = ordered(made)
    keys = {(item.what, item.subject, item.expected, item.observed) for item in made}
    assert {(item.what, item.subject, item.expected, item.observed) for item in told} == keys
    assert len(told) == len(keys)
    assert ordered(told) == told
    backwards = {(item.what, item.subject, item.expected, item.observed) for item in ordered(made[::-1])}
    assert backwards == keys


def test_a_lost_store_is_told_once_with_its_step() -> None:
    of = trial(
        step(1, write()),
        step(2, exchange(), "EBUSY"),
        files=(spec("target"), spec("donor")),
        after=(Claim("target", 2, everything="unchanged"),),
    )
    story = Story(of).do(1, target=wrote(1, 0, 1))
    lost = fields(content=(story.files["donor"].content[0],))
    verdict = story.do(2, target=lost).finish().judged()
    assert found(verdict) == [("outcome", 2, "exchange"), ("content", 0, "target")]
    refused = Story(of).do(1, target=wrote(1, 0, 1)).do(2, "EBUSY", target=lost).finish().judged()
    assert found(refused) == [("content", 2, "target")]


def test_a_verdict_goes_through_json() -> None:
    of = trial(step(1, exchange(), "EBUSY"), files=(spec("target"), spec("donor")))
    verdict = Story(of).do(1, target=moved()).finish(console=("kernel BUG at a.c:1",), tainted=512).judged()
    assert decode(Verdict, encode(verdict)) == verdict
    trace = Story(of).do(1, target=moved()).finish().trace()
    again = replace(trace, events=tuple(decode(Event, encode(event)) for event in trace.events))
    assert judge(of, again) == judge(of, trace)


def test_the_judge_reads_no_file_and_no_clock() -> None:
    folder = Path(conformance.judge.__file__).parent
    for path in folder.glob("*.py"):
        text = path.read_text()
        for word in ("import os", "import time", "import subprocess", "open(", "pathlib"):
            assert word not in text, f"{path.name} has {word!r}"


# --- beside the interpreter -------------------------------------------------------------------


class Still:
    """A kernel in which nothing ever changes but what `breaks` says."""

    def __init__(self, breaks: dict[str, dict[str, object]] | None = None) -> None:
        self.files: dict[str, FileState] = {}
        self.breaks = breaks or {}
        self.removed = False

    def open_trial(self, name: str, salt: str, system: FileSystem, sources: tuple[str, ...]) -> None:
        self.files = {}

    def make_files(self, files: tuple[FileSpec, ...]) -> None:
        self.files = {file.name: state(file, 1000 * number) for number, file in enumerate(files, 1)}

    def perform(self, call: Call, source: str, version: int = 0) -> Outcome:
        self.broken(call.do)
        return Outcome("EBUSY" if isinstance(call, calls.Exchange) else "OK")

    def broken(self, at: str) -> None:
        if at in self.breaks:
            self.files["target"] = replace(self.files["target"], **self.breaks[at])  # type: ignore[arg-type]  # by name

    def observe(self, *, maps: bool) -> Observation:
        return Observation({} if self.removed else dict(self.files), {}, FREE)

    def counters(self) -> Counters:
        return Counters({"transactions": 1})

    def tick(self) -> None:
        pass

    def start_actor(self, name: str, body: ActorBody) -> None:
        raise NotImplementedError

    def actor_blocked(self, name: str) -> Outcome:
        raise NotImplementedError

    def stop_actor(self, name: str) -> tuple[str, ...]:
        raise NotImplementedError

    def flush(self) -> None:
        self.broken("flush")

    def drop_caches(self) -> None:
        self.broken("drop_caches")

    def settle(self) -> tuple[str, ...]:
        return ()

    def remount_files(self) -> None:
        self.broken("remount")

    def remove_files(self) -> None:
        self.removed = True

    def unmount(self) -> None:
        if "unmount" in self.breaks:
            raise OSError(16, "busy")

    def check(self) -> Checked:
        return Checked("fsck disk", 0, "clean")

    def btree_owners(self, file: str) -> OwnersFound:
        return OwnersFound(131, 3)

    def close_trial(self) -> None:
        pass

    def console(self) -> tuple[str, ...]:
        return ()


INTERPRETED = trial(
    step(1, calls.Snapshot(calls.FdName("target"), "swapext")),
    step(2, write(bytes="same"), transactions="none"),
    step(3, calls.Sync(), then=(Claim("target", 3, everything="unchanged"),)),
    step(4, exchange(), "EBUSY"),
    step(5, exchange(), "EBUSY"),
    step(6, calls.Fsync(calls.FdName("target"))),
    files=(spec("target"), spec("donor")),
    after=(Claim("target", 3, everything="unchanged"), Claim("donor", everything="unchanged")),
    owners=("target",),
)


def interpreted(kernel: Still) -> Verdict:
    events: list[Event] = []
    run(INTERPRETED, kernel, events.append)
    return judge(INTERPRETED, Trace(INTERPRETED.name, (*events, Ended())))


def test_what_the_interpreter_tells_of_a_good_kernel_passes() -> None:
    assert interpreted(Still()) == Verdict(INTERPRETED.name, "pass")


@pytest.mark.parametrize(
    ("at", "changed", "expected"),
    [
        ("sync", {"mtime": EPOCH + SECOND}, ("mtime", 3, "target")),
        ("exchange", {"mode": 0o100777}, ("mode", 4, "target")),
        ("fsync", {"size": B, "content": (state(spec("x", "data:1")).content)}, ("content", 0, "target")),
        ("flush", {"links": 2}, ("links", 0, "target")),
        ("drop_caches", {"mode": 0o100777}, ("mode", 0, "target")),
        ("remount", {"ctime": 0}, ("ctime", 0, "target")),
        ("unmount", {}, ("failed", 0, "unmounting")),
    ],
)
def test_what_the_interpreter_tells_of_a_bad_kernel_fails(
    at: str, changed: dict[str, object], expected: tuple[str, int, str]
) -> None:
    verdict = interpreted(Still({at: changed}))
    assert verdict.kind == "fail"
    assert expected in found(verdict)
