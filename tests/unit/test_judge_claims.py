"""Claims of a case: each is seen broken, and quiet where it holds."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tracekit import (
    EPOCH,
    SECOND,
    B,
    Change,
    Claim,
    Extent,
    Piece,
    Story,
    exchange,
    fields,
    found,
    moved,
    only,
    spec,
    spliced,
    state,
    step,
    trial,
    write,
    wrote,
)

from conformance.judge.changes import later
from conformance.model.trial import Layout
from conformance.model.verdict import Verdict
from kernel import calls
from kernel.pattern import UNKNOWN, ZERO, Run
from kernel.setup import FileSpec
from kernel.state import FileState, SystemState
from kernel.units import FileName

TWO = (spec("target"), spec("donor"))


def after(claim: Claim, change: Change | None = None, files: tuple[FileSpec, ...] = TWO) -> Verdict:
    """The verdict on a trial with one step, which changes target so, and one claim about the end."""
    of = trial(step(1, write()), files=files, after=(claim,))
    return Story(of).do(1, **({"target": change} if change else {})).finish().judged()


def test_an_unchanged_file_is_unchanged() -> None:
    assert after(Claim("target", everything="unchanged")).kind == "pass"
    assert after(Claim("target", everything="unchanged"), fields(atime=EPOCH + 1)).kind == "pass"


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("content", wrote(1, 3, 1)),
        ("size", fields(size=15 * B, content=(Run("target", 0, 0, 15 * B),))),
        ("mode", fields(mode=0o100644)),
        ("links", fields(links=2)),
        ("uid", fields(uid=1)),
        ("gid", fields(gid=1)),
        ("mtime", fields(mtime=EPOCH - SECOND)),
        ("ctime", fields(ctime=EPOCH + SECOND)),
        ("btime", fields(btime=EPOCH + SECOND)),
        ("flags", fields(flags=0x40)),
        ("xattrs", fields(xattrs=(("user.x", "1"),))),
        ("extents", moved()),
    ],
)
def test_unchanged_sees_every_field(what: str, change: Change) -> None:
    verdict = after(Claim("target", everything="unchanged"), change)
    assert (what, 0, "target") in found(verdict)
    assert all(finding.because == "the case, compared with the start" for finding in verdict.findings)


def test_findings_tell_what_differs_and_where() -> None:
    verdict = after(Claim("target", everything="unchanged"), wrote(1, 3, 2))
    content, mtime, _ = verdict.findings
    assert (content.what, content.expected, content.observed) == ("content", "3-4: target", "3-4: step1")
    assert (mtime.what, mtime.expected, mtime.observed) == ("mtime", "unchanged", "1 s later")
    assert (content.since, content.at) == ("start", "end")
    extents = only(after(Claim("target", everything="unchanged"), moved(7)))
    assert extents.expected == "0-15: data on device blocks 2000-2015"
    assert extents.observed == "0-15: data on device blocks 2007-2022"


def test_a_claim_refers_to_the_moment_just_before_a_step() -> None:
    steps = (step(1, write()), step(2, exchange()), step(3, calls.Sync()))

    def judged(since: int, changes_in: int) -> Verdict:
        of = trial(*steps, files=TWO, after=(Claim("target", since, everything="unchanged"),))
        story = Story(of)
        for number in (1, 2, 3):
            story.do(number, **({"target": wrote(1, 0, 1)} if number == changes_in else {}))
        return story.finish().judged()

    assert judged(2, 1).kind == "pass"
    assert judged(2, 2).kind == "fail"
    assert judged(3, 2).kind == "pass"
    assert judged(0, 1).kind == "fail"


def test_a_claim_after_a_step_is_compared_with_just_before_it() -> None:
    claim = Claim("target", mtime="unchanged")
    of = trial(step(1, write()), step(2, calls.Sync(), then=(claim,)))
    assert Story(of).do(1, target=wrote(1, 0, 1)).do(2).finish().judged().kind == "pass"
    finding = only(Story(of).do(1).do(2, target=fields(mtime=EPOCH + SECOND)).finish().judged())
    assert (finding.what, finding.step, finding.since, finding.at) == ("mtime", 2, "before 2", "after 2")


@pytest.mark.parametrize("field", ["atime", "mtime", "ctime", "btime"])
def test_each_time_is_claimed_on_its_own(field: str) -> None:
    change = fields(**{field: EPOCH + 1500})
    unchanged, changed = Claim("target", **{field: "unchanged"}), Claim("target", **{field: "changed"})  # type: ignore[arg-type]  # fields by name
    assert only(after(unchanged, change)).observed == "1.5 µs later"
    assert after(unchanged).kind == "pass"
    assert only(after(changed)).expected == "changed"
    assert after(changed, change).kind == "pass"


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (1, "1 ns later"),
        (-4_000_000, "4 ms earlier"),
        (1_200_000_000, "1.2 s later"),
        (-795_200_000 * SECOND, "9203 days earlier"),
        (0, "the same"),
    ],
)
def test_times_are_told_as_differences(nanoseconds: int, text: str) -> None:
    assert later(nanoseconds) == text


def test_size_links_mode_and_space() -> None:
    longer = fields(size=17 * B, content=(Run("target", 0, 0, 16 * B), Run(ZERO, 0, 0, B)))
    assert after(Claim("target", size=17 * B), longer).kind == "pass"
    finding = only(after(Claim("target", size=17 * B)))
    assert (finding.expected, finding.observed) == ("69632 bytes (17 blocks)", "65536 bytes (16 blocks)")
    assert after(Claim("target", size_changed="changed"), longer).kind == "pass"
    assert only(after(Claim("target", size_changed="changed"))).what == "size"
    assert only(after(Claim("target", size_changed="unchanged"), longer)).what == "size"
    assert after(Claim("target", links=1)).kind == "pass"
    assert only(after(Claim("target", links=2))).what == "links"
    assert after(Claim("target", mode=0o600)).kind == "pass"
    assert only(after(Claim("target", mode=0o777))).observed == "0600"
    assert after(Claim("target", space="unchanged")).kind == "pass"
    assert only(after(Claim("target", space="unchanged"), fields(sectors=1))).what == "space"
    assert only(after(Claim("target", space="changed"))).what == "space"


# --- contents ---------------------------------------------------------------------------------


def pieces(*parts: tuple[str, int, int]) -> tuple[Piece, ...]:
    return tuple(Piece(source, at * B, blocks * B) for source, at, blocks in parts)


def content(*runs: tuple[str, int, int]) -> Change:
    made = tuple(Run(source, 0, at * B, blocks * B) for source, at, blocks in runs)
    return fields(content=made, size=sum(run.length for run in made))


def test_content_is_one_of_the_alternatives() -> None:
    claim = Claim("target", content=(pieces(("donor", 0, 16)), pieces(("step1", 0, 4), ("target", 4, 12))))
    assert after(claim, content(("donor", 0, 16))).kind == "pass"
    assert after(claim, content(("step1", 0, 4), ("target", 4, 12))).kind == "pass"
    finding = only(after(claim, content(("step1", 0, 4), ("target", 4, 8), ("donor", 0, 4))))
    assert finding.expected.startswith("12-15: target (or one of")
    assert finding.observed == "12-15: donor 0-3"


def test_any_and_zero_in_pieces() -> None:
    claim = Claim("target", content=(pieces(("any", 0, 8), ("zero", 0, 8)),))
    assert after(claim, content(("donor", 3, 8), ("zero", 0, 8))).kind == "pass"
    assert only(after(claim, content(("donor", 3, 8), ("target", 8, 8)))).expected == "8-15: zeros"


def test_a_file_in_pieces_means_what_it_held_first_holes_as_zeros() -> None:
    files = (spec("target"), spec("donor", "data:4 hole:4 unwritten:4 comb:4"))
    claim = Claim("target", content=(pieces(("donor", 0, 16)),))
    held = content(("donor", 0, 4), ("zero", 0, 8), ("donor", 12, 1), ("zero", 0, 1), ("donor", 14, 1), ("zero", 0, 1))
    assert after(claim, held, files).kind == "pass"
    assert after(claim, content(("donor", 0, 16)), files).kind == "fail"


def test_a_content_that_is_too_short_or_too_long() -> None:
    claim = Claim("target", content=(pieces(("target", 0, 16)),))
    assert only(after(claim, content(("target", 0, 15)))).observed == "15: nothing"
    assert only(after(claim, content(("target", 0, 16), ("zero", 0, 1)))).expected == "16: nothing"


def test_content_of_a_file_is_what_it_held_at_that_moment() -> None:
    steps = (step(1, write("donor")), step(2, exchange()))
    claim = Claim("target", 2, content_of=("donor",))
    of = trial(*steps, files=TWO, after=(claim,))
    new = (Run("step1", 0, 0, B), Run("donor", 0, B, 15 * B))
    assert Story(of).do(1, donor=wrote(1, 0, 1)).do(2, target=fields(content=new)).finish().judged().kind == "pass"
    old = content(("donor", 0, 16))
    finding = only(Story(of).do(1, donor=wrote(1, 0, 1)).do(2, target=old).finish().judged())
    assert (finding.expected, finding.observed) == ("0: step1", "0: donor")


def test_content_of_itself_or_of_another() -> None:
    claim = Claim("target", content_of=("target", "donor"))
    assert after(claim).kind == "pass"
    assert after(claim, content(("donor", 0, 16))).kind == "pass"
    assert after(claim, content(("target", 0, 8), ("donor", 8, 8))).kind == "fail"


def test_a_last_byte_is_compared_by_its_checksum() -> None:
    import zlib

    from kernel.pattern import Palette

    files = (spec("target"), spec("donor", "data:1", tail=1))
    claim = Claim("target", content=((Piece("step1", 0, B), Piece("donor", B, 1)),))
    of = trial(step(1, write()), files=files, after=(claim,))
    for last, kind in ((Palette(of.salt + of.name, ()).encode("donor", B, 1), "pass"), (b"\xff", "fail")):
        runs = (Run("step1", 0, 0, B), Run(UNKNOWN, zlib.crc32(last), 0, 1))
        story = Story(of).do(1, target=fields(content=runs, size=B + 1))
        assert story.finish().judged().kind == kind


def test_a_content_that_was_not_read_is_no_proof() -> None:
    unread = fields(content=(), unread="active swap area")
    for claim in (Claim("target", content=(pieces(("target", 0, 16)),)), Claim("target", content_of=("target",))):
        assert after(claim, unread).kind == "vacuous"
    assert after(Claim("target", content_of=("donor",)), None).kind == "fail"


def test_a_file_that_is_gone_is_found() -> None:
    of = trial(step(1, write()), files=TWO, after=(Claim("target", size=16 * B), Claim("target", mode=0o600)))
    story = Story(of).do(1)
    verdict = story.finish(end={"target": None}).judged()
    assert found(verdict) == [("existence", 0, "target")]


# --- maps -------------------------------------------------------------------------------------


def layout(*parts: tuple[str, int]) -> tuple[Layout, ...]:
    return tuple(Layout(kind, blocks * B) for kind, blocks in parts)  # type: ignore[arg-type]  # literal


def test_a_layout_is_derived_from_the_extents() -> None:
    files = (spec("target", "data:4 hole:4 unwritten:4 shared:2 delalloc:2"),)
    right = layout(("data", 4), ("hole", 4), ("unwritten", 4), ("shared", 2), ("data", 2))
    assert after(Claim("target", layout=right), None, files).kind == "pass"
    assert after(Claim("target", layout=layout(("any", 16))), None, files).kind == "pass"
    wrong = layout(("data", 5), ("hole", 3), ("unwritten", 4), ("data", 4))
    finding = only(after(Claim("target", layout=wrong), None, files))
    assert (finding.what, finding.expected) == ("layout", "4: data, 12-13: data")
    assert finding.observed == "4: hole, 12-13: shared"


def test_a_layout_covers_the_whole_file() -> None:
    assert only(after(Claim("target", layout=layout(("data", 12))))).what == "size"
    assert only(after(Claim("target", layout=layout(("data", 17))))).what == "size"


def test_a_layout_may_end_in_the_last_block() -> None:
    files = (spec("target", "data:4", tail=5),)
    story_files = state(files[0], extents=(Extent(0, 0, 5 * B),))
    of = trial(step(1, calls.Sync()), files=files, after=(Claim("target", layout=layout(("data", 5))),))
    assert Story(of, target=story_files).do(1).finish().judged().kind == "pass"


def test_extents_unchanged_and_changed() -> None:
    unchanged, changed = Claim("target", extents="unchanged"), Claim("target", extents="changed")
    assert after(unchanged).kind == "pass"
    assert only(after(unchanged, moved())).what == "extents"
    assert after(changed, moved()).kind == "pass"
    assert only(after(changed)).expected == "changed"


def test_one_extent_may_be_told_as_two() -> None:
    split = fields(extents=(Extent(0, 2000 * B, 4 * B), Extent(4 * B, 2004 * B, 12 * B)))
    assert after(Claim("target", extents="unchanged"), split).kind == "pass"
    assert only(after(Claim("target", extents="changed"), split)).what == "extents"


def test_an_allocation_that_was_delayed_is_no_change_of_extents() -> None:
    files = (spec("target", "delalloc:8"),)
    made = fields(extents=(Extent(0, 500 * B, 8 * B),))
    assert after(Claim("target", extents="unchanged"), made, files).kind == "pass"
    assert after(Claim("target", extents="changed"), made, files).kind == "pass"
    held = (Run("target", 0, 0, 4 * B), Run(ZERO, 0, 0, 4 * B))
    half = fields(extents=(Extent(0, 500 * B, 4 * B),), content=held)
    assert only(after(Claim("target", extents="unchanged"), half, files)).observed == "4-7: hole"


def test_extents_of_another_file_places_included() -> None:
    claim = Claim("target", extents_of="donor")

    def judged(target: tuple[Extent, ...]) -> Verdict:
        of = trial(step(1, exchange()), files=TWO, after=(claim,))
        return Story(of).do(1, target=fields(extents=target)).finish().judged()

    donor = state(TWO[1], 3000).extents
    assert judged(donor).kind == "pass"
    assert only(judged(state(TWO[0], 2000).extents)).observed == "0-15: data on device blocks 2000-2015"
    unwritten = (replace(donor[0], flags=("unwritten",)),)
    assert found(judged(unwritten))[0] == ("extents", 0, "target")


def test_unchanged_after_a_write_of_what_is_there_tolerates_writeback_only() -> None:
    files = (spec("target", "unwritten:8"),)
    claim = Claim("target", 2, extents="unchanged")
    of = trial(step(1, write()), step(2, calls.Sync()), files=files, after=(claim,))
    converted = fields(extents=(Extent(0, 2000 * B, B), Extent(B, 2001 * B, 7 * B, ("unwritten",))))
    # "extents" says so strictly; "everything" knows that dirty pages were written out meanwhile
    assert found(Story(of).do(1).do(2, target=converted).finish().judged()) == [("extents", 0, "target")]
    tolerant = replace(of, after=(Claim("target", 2, everything="unchanged"),))
    assert Story(tolerant).do(1).do(2, target=converted).finish().judged().kind == "pass"
    lost = fields(extents=(Extent(B, 2001 * B, 7 * B, ("unwritten",)),))
    assert found(Story(tolerant).do(1).do(2, target=lost).finish().judged())[0][0] == "extents"


# --- swap areas -------------------------------------------------------------------------------


def swap(pages_out: int, content_after: tuple[Run, ...]) -> Verdict:
    """A file that is activated, used and deactivated; claimed to be unchanged."""
    of = trial(
        step(1, calls.Swapon(FileName("target"))),
        step(2, calls.Swapoff(FileName("target"))),
        after=(Claim("target", everything="unchanged"),),
    )
    story = Story(of)
    active = fields(content=(), unread="active swap area")

    def inactive(old: FileState) -> FileState:
        return replace(old, content=content_after, unread="")

    story.do(1, target=active)
    story.system = SystemState(1000, 500, (), pages_out=pages_out)
    story.do(2, target=inactive)
    return story.finish().judged()


def test_the_content_of_a_used_swap_area_is_undefined() -> None:
    new = (Run("target", 0, 0, 8 * B), Run(UNKNOWN, 5, 0, 8 * B))
    assert swap(100, new).kind == "pass"
    assert ("content", 0, "target") in found(swap(0, new))
    assert swap(0, (Run("target", 0, 0, 16 * B),)).kind == "pass"


def test_everything_unchanged_does_not_need_the_content_of_an_active_area() -> None:
    claim = Claim("target", everything="unchanged")
    of = trial(step(1, calls.Swapon(FileName("target")), then=(claim,)))
    active = fields(content=(), unread="active swap area")
    verdict = Story(of).do(1, target=active).finish(flushed={"target": state(spec("target"), 2000)}).judged()
    assert verdict.kind == "pass"
    moved_too = fields(content=(), unread="active swap area", mtime=EPOCH + SECOND)
    assert ("mtime", 1, "target") in found(Story(of).do(1, target=moved_too).finish().judged())


def test_spliced_contents_are_what_they_say() -> None:
    whole = (Run("target", 0, 0, 4 * B),)
    assert spliced(whole, (Run("step1", 0, B, B),), B) == (
        Run("target", 0, 0, B),
        Run("step1", 0, B, B),
        Run("target", 0, 2 * B, 2 * B),
    )
