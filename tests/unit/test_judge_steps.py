"""Results, numbers, what was seen, transactions, refused calls, actors, witnesses, levels."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tracekit import (
    EPOCH,
    RULE,
    SECOND,
    Actor,
    B,
    Claim,
    Extent,
    Piece,
    Story,
    Witness,
    exchange,
    fields,
    found,
    moved,
    only,
    passed,
    report,
    spec,
    step,
    trial,
    write,
)

from conformance.model.trace import Owners
from conformance.model.trial import Step
from conformance.model.verdict import Finding, Verdict
from kernel import calls
from kernel.calls import Call
from kernel.pattern import UNKNOWN, ZERO, Run
from kernel.setup import Checked
from kernel.state import SystemState
from kernel.units import ActorName, Bytes, FdName, FileName, MapName, NewName, Span

TWO = (spec("target"), spec("donor"))
READ = calls.Read(FdName("target"))


def one(of: Step, *, rule: str = "MUST", **outcome: object) -> Verdict:
    """The verdict on a trial of one step with this outcome."""
    made = trial(of, files=TWO, rule=replace(RULE, level=rule))  # type: ignore[arg-type]  # literal
    return Story(made).do(1, **outcome).finish().judged()  # type: ignore[arg-type]  # keywords of `do`


# --- results ----------------------------------------------------------------------------------


def test_another_result_than_the_expected_ones_is_found() -> None:
    finding = only(one(step(1, exchange(), "EBUSY", "EAGAIN"), result="OK"))
    assert (finding.what, finding.step, finding.subject) == ("outcome", 1, "exchange")
    assert (finding.expected, finding.observed) == ("EBUSY or EAGAIN", "OK")


@pytest.mark.parametrize("result", ["EBUSY", "EAGAIN"])
def test_each_expected_result_conforms(result: str) -> None:
    assert one(step(1, exchange(), "EBUSY", "EAGAIN"), result=result).kind == "pass"


def test_any_result_conforms_where_the_case_says_so() -> None:
    assert one(step(1, exchange(), "any"), result="ENOTTY").kind == "pass"


def test_numbers_must_be_answered_exactly() -> None:
    of = step(1, exchange(), returns={"moved": 2 * B})
    assert one(of, values={"moved": 2 * B}).kind == "pass"
    finding = only(one(of, values={"moved": B}))
    assert (finding.what, finding.expected, finding.observed) == ("returns", "moved = 8192", "moved = 4096")
    assert only(one(of)).observed == "moved = nothing"


def test_numbers_of_a_refusal_count_only_where_a_refusal_was_expected() -> None:
    refused = step(1, exchange(), "EBUSY", returns={"moved": 0})
    assert only(one(refused, result="EBUSY", values={"moved": B})).what == "returns"
    either = step(1, exchange(), "OK", "EBUSY", returns={"moved": B})
    assert one(either, result="EBUSY", values={"moved": 0}).kind == "pass"


def test_a_number_that_is_not_reached_makes_the_trial_vacuous() -> None:
    of = step(1, calls.SwapLoad(Bytes(1 << 20), Bytes(1 << 19)), at_least={"pages_out": 100})
    assert one(of, values={"pages_out": 100}).kind == "pass"
    verdict = one(of, values={"pages_out": 99})
    assert verdict.kind == "vacuous"
    assert "pages_out = 99, it takes 100" in verdict.reason
    assert one(of).kind == "vacuous"
    assert verdict.red(strict=False)


def test_a_page_that_came_back_changed_is_found_without_being_asked_for() -> None:
    of = step(1, calls.SwapLoad(Bytes(1 << 20), Bytes(1 << 19)))
    assert one(of, values={"bad_pages": 0}).kind == "pass"
    assert only(one(of, values={"bad_pages": 3})).what == "swapped pages"


def test_what_a_read_sees_is_one_of_the_alternatives() -> None:
    old, new = (Piece("target", 0, 2 * B),), (Piece("donor", 4 * B, B), Piece("any", 0, B))
    of = step(1, READ, sees=(old, new))
    assert one(of, seen=(Run("target", 0, 0, 2 * B),)).kind == "pass"
    assert one(of, seen=(Run("donor", 0, 4 * B, B), Run(ZERO, 0, 0, B))).kind == "pass"
    mixed = only(one(of, seen=(Run("target", 0, 0, B), Run("donor", 0, 5 * B, B))))
    assert (mixed.what, mixed.observed) == ("sees", "1: donor 5")
    assert mixed.expected == "1: target (or one of 1 alternatives that are farther off)"
    assert only(one(of, seen=(Run("target", 0, 0, B),))).observed == "1: nothing"


def test_a_pass_of_an_actor_is_any_pass() -> None:
    of = step(1, READ, sees=((Piece("writer", 0, B),),))
    assert one(of, seen=(Run("writer", 17, 0, B),)).kind == "pass"
    assert only(one(of, seen=(Run("writer", 17, B, B),))).what == "sees"


# --- transactions -----------------------------------------------------------------------------


def test_no_transaction_may_start() -> None:
    of = step(1, READ, transactions="none")
    assert one(of, counters=({"async": 3}, {"async": 3})).kind == "pass"
    finding = only(one(of, counters=({"async": 3, "sync": 1}, {"async": 5, "sync": 1})))
    assert (finding.what, finding.observed) == ("transactions", "2 async (3 before, 5 after)")


def test_the_control_must_move_the_counters() -> None:
    of = step(1, write(), transactions="some")
    assert one(of, counters=({"async": 3}, {"async": 5})).kind == "pass"
    assert "stayed at 3" in only(one(of, counters=({"async": 3}, {"async": 3}))).observed


@pytest.mark.parametrize("wanted", ["none", "some"])
def test_without_counters_nothing_is_known(wanted: str) -> None:
    assert one(step(1, READ, transactions=wanted)).kind == "vacuous"


# --- a refused call changes nothing -----------------------------------------------------------

EBUSY = step(1, exchange(), "EBUSY")
CHANGES: dict[str, tuple[str, dict[str, object]]] = {
    "content": ("content", {"content": (Run("donor", 0, 0, 16 * B),)}),
    "size": ("size", {"size": 17 * B, "content": (Run("target", 0, 0, 16 * B), Run(ZERO, 0, 0, B))}),
    "mode": ("mode", {"mode": 0o100777}),
    "links": ("links", {"links": 2}),
    "uid": ("uid", {"uid": 7}),
    "gid": ("gid", {"gid": 7}),
    "mtime": ("mtime", {"mtime": EPOCH + SECOND}),
    "ctime": ("ctime", {"ctime": EPOCH + 4_000_000}),
    "btime": ("btime", {"btime": EPOCH + 1}),
    "flags": ("flags", {"flags": 0x10}),
    "xattrs": ("xattrs", {"xattrs": (("user.a", "0badcafe"),)}),
    "extents": ("extents", {"extents": (Extent(0, 9 * B, 16 * B),)}),
    "space": ("space", {"sectors": 0}),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_refused_call_that_changed_something_is_found(name: str) -> None:
    what, changed = CHANGES[name]
    verdict = one(EBUSY, result="EBUSY", target=fields(**changed))
    assert verdict.kind == "fail"
    assert (what, 1, "target") in found(verdict)
    assert all(finding.step == 1 for finding in verdict.findings)
    assert all("EBUSY changes nothing" in finding.because for finding in verdict.findings)
    assert (verdict.findings[0].since, verdict.findings[0].at) == ("start", "after 1")


def test_a_refused_call_may_be_followed_by_another_atime() -> None:
    assert one(EBUSY, result="EBUSY", target=fields(atime=EPOCH + SECOND)).kind == "pass"


def test_a_call_that_succeeds_may_change_things() -> None:
    assert one(step(1, exchange()), target=moved()).kind == "pass"


def test_a_refused_call_whose_result_was_wrong_too_tells_both() -> None:
    verdict = one(step(1, exchange()), result="ENODATA", target=moved())
    assert found(verdict) == [("outcome", 1, "exchange"), ("extents", 1, "target")]


def test_a_refused_call_may_write_out_what_was_delayed() -> None:
    of = trial(EBUSY, files=(spec("target", "delalloc:4"), spec("donor")))
    allocated = fields(extents=(Extent(0, 77 * B, 4 * B),), sectors=40)
    assert Story(of).do(1, "EBUSY", target=allocated).finish().judged().kind == "pass"
    lost = fields(extents=())
    assert found(Story(of).do(1, "EBUSY", target=lost).finish().judged())[0] == ("extents", 1, "target")


def test_a_refused_call_may_write_out_dirty_pages_but_no_more() -> None:
    of = trial(step(1, write()), step(2, exchange(), "EBUSY"), files=(spec("target", "unwritten:4"), spec("donor")))
    converted = fields(extents=(Extent(0, 1000 * B, 4 * B),))
    clean = trial(step(1, READ), step(2, exchange(), "EBUSY"), files=of.files)
    assert Story(of).do(1).do(2, "EBUSY", target=converted).finish().judged().kind == "pass"
    verdict = Story(clean).do(1).do(2, "EBUSY", target=converted).finish().judged()
    assert found(verdict)[0] == ("extents", 2, "target")
    synced = trial(step(1, write()), step(2, calls.Sync()), step(3, exchange(), "EBUSY"), files=of.files)
    verdict = Story(synced).do(1).do(2).do(3, "EBUSY", target=converted).finish().judged()
    assert found(verdict)[0] == ("extents", 3, "target")


def test_a_full_file_system_may_stop_an_allocation_halfway() -> None:
    allocate = calls.Fallocate(FdName("target"), "allocate", Span(0, 32 * B))
    longer = fields(extents=(Extent(0, 1000 * B, 16 * B), Extent(16 * B, 2000 * B, B, ("unwritten",))))
    assert one(step(1, allocate, "ENOSPC"), result="ENOSPC", target=longer).kind == "pass"
    assert one(step(1, allocate, "EINVAL"), result="EINVAL", target=longer).kind == "fail"


def test_a_refused_swapon_leaves_no_area_behind() -> None:
    of = trial(step(1, calls.Swapon(FileName("target")), "EINVAL"))
    assert Story(of).do(1, "EINVAL").finish().judged().kind == "pass"
    story = Story(of)
    story.system = replace(story.system, swap_areas=())
    story.do(1, "EINVAL")
    last = story.events[-1]
    active = replace(last.state, system=SystemState(1000, 500, ("target",)))  # type: ignore[attr-defined]  # Observed
    story.events[-1] = replace(last, state=active)  # type: ignore[call-arg]
    assert only(story.finish().judged()).what == "swap area"


def test_a_refused_call_that_removed_a_file_is_found() -> None:
    of = trial(step(1, calls.Unlink(FileName("target")), "EPERM"), files=TWO)
    story = Story(of).do(1, "EPERM")
    event = story.events[-1]
    files = {name: state for name, state in event.state.files.items() if name != "donor"}  # type: ignore[attr-defined]
    story.events[-1] = replace(event, state=replace(event.state, files=files))  # type: ignore[call-arg, attr-defined]
    assert ("existence", 1, "donor") in found(story.finish().judged())


# --- actors -----------------------------------------------------------------------------------

START, STOP = calls.Start(ActorName("writer")), calls.Stop(ActorName("writer"))


def race(**more: object) -> Story:
    """A writer beside an exchange: steps 1 start, 2 exchange (from 100 to 200 ns), 3 stop."""
    writer = Actor("writer", (step(1, write(), "OK", "EBUSY"),), loop=True)
    of = trial(step(1, START), step(2, exchange()), step(3, STOP), files=TWO, actors=(writer,), **more)  # type: ignore[arg-type]  # fields by name
    return Story(of)


def test_passes_beside_the_call_are_the_witness_of_a_race() -> None:
    for ends, kind in (((150, 250), "pass"), ((50, 250), "vacuous")):
        story = race(witness=Witness(overlap={"writer": 1})).do(1).do(2)
        passes = tuple(report("writer", 1, turn, end - 10, end) for turn, end in enumerate(ends))
        verdict = story.do(3, meanwhile=passes).finish().judged()
        assert verdict.kind == kind


def test_a_missing_overlap_says_how_many_passes_there_were() -> None:
    story = race(witness=Witness(overlap={"writer": 3})).do(1).do(2)
    verdict = story.do(3, meanwhile=(report("writer", 1, 0, 110, 120),)).finish().judged()
    assert verdict.reason == "writer finished 1 passes while the call was under way, it takes 3"


def test_a_wrong_result_of_an_actor_is_told_once() -> None:
    story = race().do(1).do(2)
    passes = tuple(report("writer", 1, turn, turn, turn, "EIO" if turn % 2 else "OK") for turn in range(10))
    finding = only(story.do(3, meanwhile=passes).finish().judged())
    assert (finding.subject, finding.observed) == ("writer, step 1 (write)", "EIO in 5 of 10 passes")
    assert finding.expected == "OK or EBUSY"


def test_what_an_actor_sees_is_told_once() -> None:
    reader = Actor("writer", (step(1, READ, sees=((Piece("target", 0, B),),)),))
    of = trial(step(1, START), step(2, STOP), actors=(reader,))
    wrong = tuple(report("writer", 1, turn, 0, 1, outcome=_saw("donor")) for turn in range(4))
    finding = only(Story(of).do(1).do(2, meanwhile=wrong).finish().judged())
    assert (finding.what, finding.observed) == ("sees", "0: donor in pass 0")
    right = tuple(report("writer", 1, turn, 0, 1, outcome=_saw("target")) for turn in range(4))
    assert Story(of).do(1).do(2, meanwhile=right).finish().judged().kind == "pass"


def _saw(source: str) -> object:
    from kernel.protocol import Outcome

    return Outcome("OK", seen=(Run(source, 0, 0, B),))


def test_the_last_pass_of_an_actor_is_the_last_in_which_it_wrote() -> None:
    last = Claim("target", content=((Piece("writer", 0, B, last=True), Piece("target", B, 15 * B)),))

    def judged(version: int) -> Verdict:
        story = race(after=(last,)).do(1).do(2)
        held = (Run("writer", version, 0, B), Run("target", 0, B, 15 * B))
        results = ("OK", "OK", "EBUSY")
        passes = tuple(report("writer", 1, turn, turn, turn, result) for turn, result in enumerate(results))
        return story.do(3, meanwhile=passes, target=fields(content=held)).finish().judged()

    assert judged(1).kind == "pass"
    finding = only(judged(0))
    assert (finding.expected, finding.observed) == ("0: writer pass 1", "0: writer")


def test_steps_that_change_no_mapping_are_beside_a_race_too() -> None:
    writer = Actor("writer", (step(1, write()),), loop=True)
    load = calls.SwapLoad(Bytes(1 << 20), Bytes(1 << 19))
    steps = (step(1, START), step(2, calls.Swapon(FileName("target"))), step(3, load), step(4, STOP))
    of = trial(*steps, actors=(writer,), witness=Witness(overlap={"writer": 1}))
    for end, kind in ((250, "pass"), (350, "vacuous")):
        story = Story(of).do(1).do(2).do(3)
        assert story.do(4, meanwhile=(report("writer", 1, 0, end, end),)).finish().judged().kind == kind


def test_an_actor_that_did_nothing_proves_nothing() -> None:
    verdict = race().do(1).do(2).do(3).finish().judged()
    assert verdict.kind == "vacuous"
    assert "writer" in verdict.reason


def test_a_step_that_an_actor_does_not_have_is_an_error() -> None:
    story = race().do(1).do(2).do(3, meanwhile=(report("writer", 9, 0, 0, 1),))
    assert story.finish().judged().kind == "error"
    story = race().do(1).do(2).do(3, meanwhile=(report("nobody", 1, 0, 0, 1),))
    assert story.finish().judged().kind == "error"


def test_beside_an_actor_a_refused_call_is_not_judged_by_states() -> None:
    writer = Actor("writer", (step(1, write()),), loop=True)
    of = trial(step(1, START), step(2, exchange(), "EBUSY"), step(3, STOP), files=TWO, actors=(writer,))
    passes = (report("writer", 1, 0, 110, 120),)
    story = Story(of).do(1).do(2, "EBUSY", target=fields(mtime=EPOCH + SECOND)).do(3, meanwhile=passes)
    assert story.finish().judged().kind == "pass"


# --- witnesses --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("witness", "layout", "reason"),
    [
        (Witness(extents={"target": 4}), "comb:8", ""),
        (Witness(extents={"target": 5}), "comb:8", "target has 4 extents at the start, it takes 5"),
        (Witness(fragments={"target": 4}), "comb:8", ""),
        (Witness(fragments={"target": 2}), "data:8", "target has 1 extents that do not touch at the start, it takes 2"),
        (Witness(fragments={"target": 2}), "data:4 unwritten:4", "target has 1 extents that do not touch"),
        (Witness(delalloc=("target",)), "delalloc:8", ""),
        (Witness(delalloc=("target",)), "data:8", "target has no extent that is delalloc at the start"),
        (Witness(shared=("target",)), "data:4 shared:4", ""),
        (Witness(shared=("target",)), "data:8", "target has no extent that is shared at the start"),
        (Witness(shared=("absent",)), "data:8", "absent was not there at the start"),
    ],
)
def test_a_witness_of_the_start(witness: Witness, layout: str, reason: str) -> None:
    verdict = passed(trial(step(1, calls.Sync()), files=(spec("target", layout),), witness=witness)).judged()
    assert verdict.kind == ("vacuous" if reason else "pass")
    assert verdict.reason.startswith(reason)


def test_a_finding_wins_over_a_missing_witness() -> None:
    of = trial(step(1, calls.Sync()), witness=Witness(extents={"target": 99}))
    assert only(Story(of).do(1, "EIO").finish().judged()).what == "outcome"


def test_owners_must_be_looked_at_and_be_right() -> None:
    of = trial(step(1, calls.Sync()), owners=("target",))

    def judged(*answers: Owners) -> Verdict:
        return Story(of).do(1).finish(owners=answers).judged()

    assert judged(Owners("target", 131, 7, ())).kind == "pass"
    assert judged(Owners("target", 131, 0, ())).kind == "vacuous"
    assert judged().kind == "error"
    finding = only(judged(Owners("target", 131, 7, (132, 132))))
    assert (finding.what, finding.expected) == ("owners", "inode 131 in each of 7 blocks")
    assert finding.observed == "2 blocks name 132"


def test_the_checker_must_be_clean() -> None:
    story = Story(trial(step(1, exchange()), files=TWO)).do(1)
    finding = only(story.finish(checked=Checked("xfs_repair -n disk", 1, "bad owner in block 9\n")).judged())
    assert (finding.what, finding.subject) == ("checker", "xfs_repair -n disk")
    assert finding.observed == "status 1\nbad owner in block 9"


# --- levels -----------------------------------------------------------------------------------


def test_a_broken_should_is_told_and_red_only_when_strict() -> None:
    verdict = one(EBUSY, rule="SHOULD", result="OK")
    assert (verdict.kind, verdict.level) == ("fail", "SHOULD")
    assert not verdict.red(strict=False)
    assert verdict.red(strict=True)


def test_a_may_only_records_which_way_the_kernel_went() -> None:
    verdict = one(EBUSY, rule="MAY", result="OK")
    assert (verdict.kind, verdict.level) == ("pass", "MAY")
    assert found(verdict) == [("outcome", 1, "exchange")]
    assert not verdict.red(strict=True)


def test_standing_invariants_are_a_must_whatever_the_rule_says() -> None:
    verdict = one(EBUSY, rule="SHOULD", result="EBUSY", target=fields(mode=0o100777))
    assert (verdict.kind, verdict.level) == ("fail", "MUST")
    assert verdict.red(strict=False)
    verdict = one(EBUSY, rule="MAY", result="EBUSY", target=fields(mode=0o100777))
    assert verdict.kind == "fail"


def test_a_claim_has_the_level_of_its_rule() -> None:
    of = trial(step(1, write()), rule=replace(RULE, level="SHOULD"), after=(Claim("target", mtime="unchanged"),))
    assert Story(of).do(1, target=fields(mtime=EPOCH + SECOND)).finish().judged().level == "SHOULD"


def test_the_level_of_a_verdict_is_the_strongest() -> None:
    one_finding = Finding("outcome", 1, "a", "b", "c", "d", "SHOULD")
    assert Verdict("t", "fail", (one_finding, replace(one_finding, level="MAY"))).level == "SHOULD"
    assert Verdict("t", "pass").level is None
    assert Verdict("t", "fail").red(strict=False)


# --- unknown bytes in what was seen -----------------------------------------------------------


def test_a_read_that_sees_foreign_bytes_is_found() -> None:
    finding = only(one(step(1, READ), seen=(Run("target", 0, 0, B), Run(UNKNOWN, 9, 0, B))))
    assert (finding.what, finding.step) == ("foreign data", 1)


@pytest.mark.parametrize("call", [calls.Load(MapName("view")), calls.Load(MapName("view"), Span(0, B))])
def test_a_load_that_sees_foreign_bytes_is_found(call: Call) -> None:
    of = trial(step(1, calls.Map(FdName("target"), NewName("view"))), step(2, call))
    finding = only(Story(of).do(1).do(2, seen=(Run(UNKNOWN, 9, 0, B),)).finish().judged())
    assert (finding.what, finding.subject) == ("foreign data", "target")
