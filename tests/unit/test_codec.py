"""Values survive the way to JSON and back; what is not of its type is refused with its place."""

from __future__ import annotations

import json

import pytest

from conformance.model.codec import DecodeError, decode, encode
from conformance.model.trace import Event, Observed, Stepped
from conformance.model.trial import Claim, Piece, RuleText, Step, Trial, Witness
from kernel import calls
from kernel.pattern import Run
from kernel.protocol import Outcome
from kernel.setup import FileSpec, FileSystem, Segment
from kernel.state import Extent, FileState, MapState, Observation, SystemState
from kernel.units import Bytes, CookieName, FdName, FileName, NewName, Span

SYSTEM = FileSystem("xfs", 4096, ("mkfs.xfs", "{device}"), ("xfs_repair", "-n", "{device}"))
TRIAL = Trial(
    name="move/cookie/write[via=swapext]@xfs:default",
    case="move/cookie/write",
    title="A title",
    rule=RuleText("COOKIE-2", "MUST", "A sentence.", "a source"),
    target="xfs:default",
    system=SYSTEM,
    files=(FileSpec("target", (Segment("data", 65536),)),),
    steps=(
        Step(1, calls.Snapshot(FdName("target"), "swapext")),
        Step(2, calls.Write(FdName("target"), Span(0, 4096)), then=(Claim("target", mtime="changed"),)),
        Step(3, calls.Exchange("swapext", cookie=CookieName("cookie")), expect=("EBUSY", "EIO")),
        Step(4, calls.Truncate(FdName("target"), Bytes(9)), returns={"moved": 3}),
        Step(5, calls.Open(FileName("target"), NewName("second"), ("read",)), same_tick=True),
    ),
    after=(Claim("target", content=((Piece("target", 0, 4096),),), size=3),),
    witness=Witness(extents={"target": 3}),
)
STATE = FileState(
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0, (("user.a", "b"),), (Extent(0, 1, 2, ("shared",)),), (Run("a", 0, 0, 9),)
)


def test_a_trial_survives() -> None:
    assert decode(Trial, json.loads(json.dumps(encode(TRIAL)))) == TRIAL


@pytest.mark.parametrize(
    "event",
    [
        Observed(
            "start", Observation({"f": STATE}, {"m": MapState("f", 0, True, (), False)}, SystemState(1, 2, ("s",)))
        ),
        Stepped(3, Outcome("EBUSY", {"moved": 7}, (Run("a", 0, 0, 1),)), 1, 2, "writer", 4, {"t": 1}, {"t": 2}),
    ],
)
def test_events_survive(event: Event) -> None:
    assert decode(Event, json.loads(json.dumps(encode(event)))) == event


def changed(**changes: object) -> dict[str, object]:
    plain = encode(TRIAL)
    assert isinstance(plain, dict)
    return {**plain, **changes}


@pytest.mark.parametrize(
    ("plain", "where", "said"),
    [
        (changed(colour="red"), "colour", "unknown key"),
        (changed(titel="x"), "titel", "did you mean title?"),
        (changed(title=3), "title", "expected text, found 3"),
        (changed(slow="yes"), "slow", "expected true or false"),
        (changed(files={}), "files", "expected a list"),
        (changed(steps=[{"number": 1, "call": {"do": "wirte"}}]), "steps[0].call.do", "did you mean write?"),
        (changed(steps=[{"number": True, "call": {"do": "sync"}}]), "steps[0].number", "expected a whole number"),
        (changed(steps=[{"number": 1, "call": {"do": "write"}}]), "steps[0].call", "'file' is missing"),
        (changed(after=[{"file": "f", "mtime": "later"}]), "after[0].mtime", "expected one of changed, unchanged"),
        ([], "value", "expected a table"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(plain: object, where: str, said: str) -> None:
    with pytest.raises(DecodeError) as caught:
        decode(Trial, plain)
    assert caught.value.path in (where, "")
    assert where in str(caught.value)
    assert said in str(caught.value)


def test_an_event_of_no_known_kind_is_refused() -> None:
    with pytest.raises(DecodeError, match="unknown event"):
        decode(Event, {"event": "exploded"})


def test_a_parser_makes_values_of_text() -> None:
    def double(text: object) -> object:
        if text == "two":
            return Bytes(2)
        raise ValueError("expected two")

    plain = {"number": 1, "call": {"do": "truncate", "file": "f", "size": "two"}}
    assert decode(Step, plain, parse={Bytes: double}).call == calls.Truncate(FdName("f"), Bytes(2))
    with pytest.raises(DecodeError, match=r"call\.size: expected two"):
        decode(Step, {"number": 1, "call": {"do": "truncate", "file": "f", "size": "3"}}, parse={Bytes: double})
