"""What is compared without being asked for: agreement of states, the bystander, bytes, mappings, space."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tracekit import (
    EPOCH,
    FREE,
    SECOND,
    Actor,
    B,
    Change,
    Extent,
    MapState,
    Story,
    exchange,
    fields,
    found,
    moved,
    only,
    passed,
    report,
    spec,
    state,
    step,
    trial,
    write,
)

from conformance.judge import content
from conformance.model.trace import Settled
from conformance.model.trial import Trial
from conformance.model.verdict import Verdict
from kernel import calls
from kernel.pattern import SWAP_HEADER, UNKNOWN, ZERO, Run
from kernel.state import SystemState
from kernel.units import PAGE, ActorName, Bytes, FdName, FileName, MapName, NewName, Span

SYNC = trial(step(1, calls.Sync()))
MOMENTS = ("flushed", "dropped", "remounted")


def at(moment: str, change: Change, of: Trial = SYNC, kind: str = "xfs", **more: object) -> Verdict:
    """The verdict on a trial whose target is different from one of the last moments on."""
    of = replace(of, system=replace(of.system, kind=kind))
    story = Story(of)
    for each in of.steps:
        story.do(each.number)
    new = change(story.files["target"])
    return story.finish(**{moment: {"target": new}}, **more).judged()  # type: ignore[arg-type]  # moments by name


DIFFERENT: list[tuple[str, Change]] = [
    ("content", fields(content=(Run("target", 0, 0, 15 * B), Run(ZERO, 0, 0, B)))),
    ("size", fields(size=B, content=(Run("target", 0, 0, B),))),
    ("mode", fields(mode=0o100644)),
    ("links", fields(links=2)),
    ("uid", fields(uid=1)),
    ("mtime", fields(mtime=EPOCH + SECOND)),
    ("ctime", fields(ctime=EPOCH + SECOND)),
    ("btime", fields(btime=EPOCH + SECOND)),
    ("flags", fields(flags=0x40)),
    ("xattrs", fields(xattrs=(("user.x", "1"),))),
    ("extents", moved()),
]


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize(("what", "change"), DIFFERENT, ids=[what for what, _ in DIFFERENT])
def test_a_file_is_the_same_at_every_moment_of_the_end(moment: str, what: str, change: Change) -> None:
    verdict = at(moment, change)
    assert what in [finding.what for finding in verdict.findings]
    finding = verdict.findings[0]
    assert (finding.step, finding.subject, finding.at) == (0, "target", moment)
    # told once: the moments after it agree with it
    assert len({finding.what for finding in verdict.findings}) == len(verdict.findings)


@pytest.mark.parametrize("moment", MOMENTS)
def test_atime_and_space_may_move_at_the_end(moment: str) -> None:
    assert at(moment, fields(atime=EPOCH + SECOND, sectors=7)).kind == "pass"


@pytest.mark.parametrize("moment", MOMENTS)
def test_what_is_preallocated_behind_the_end_may_vanish(moment: str) -> None:
    of = trial(step(1, calls.Sync()))
    longer = state(
        of.files[0], 2000, extents=(Extent(0, 2000 * B, 16 * B), Extent(16 * B, 2016 * B, B, ("unwritten",)))
    )
    story = Story(of, target=longer).do(1)
    assert story.finish(**{moment: {"target": state(of.files[0], 2000)}}).judged().kind == "pass"


def test_times_count_where_writeback_is_known_to_leave_them_alone() -> None:
    change = fields(mtime=EPOCH + SECOND)
    assert at("flushed", change, kind="btrfs").kind == "fail"
    assert at("flushed", change, kind="nfs").kind == "pass"


def test_places_on_the_device_count_where_nothing_is_cleaned_up() -> None:
    assert at("remounted", moved(), kind="btrfs").kind == "fail"
    assert at("remounted", moved(), kind="f2fs").kind == "pass"


def test_btrfs_may_give_up_compressing() -> None:
    assert at("flushed", fields(flags=0x400), kind="btrfs").kind == "pass"
    assert at("dropped", fields(flags=0x400), kind="btrfs").kind == "fail"
    assert at("flushed", fields(flags=0x400), kind="xfs").kind == "fail"


def test_a_file_that_vanished_is_found() -> None:
    story = Story(SYNC).do(1)
    assert found(story.finish(remounted={"target": None}).judged()) == [("existence", 0, "target")]


def test_a_file_that_lost_its_name_need_not_come_back() -> None:
    of = trial(step(1, calls.Unlink(FileName("target"))))
    story = Story(of).do(1, target=fields(links=0))
    assert story.finish(remounted={"target": None}).judged().kind == "pass"
    over = trial(step(1, calls.Rename(FileName("donor"), FileName("target"))), files=(spec("target"), spec("donor")))
    story = Story(over).do(1)
    renamed = story.files["donor"]
    assert story.finish(remounted={"target": renamed}).judged().kind == "pass"


def test_delayed_allocations_are_made_when_written_out() -> None:
    of = trial(step(1, calls.Read(FdName("target"))), files=(spec("target", "delalloc:8"),))
    made = fields(extents=(Extent(0, 9 * B, 8 * B),))
    assert at("flushed", made, of).kind == "pass"
    lost = fields(extents=())
    assert "extents" in [finding.what for finding in at("flushed", lost, of).findings]
    half_unwritten = fields(extents=(Extent(0, 9 * B, 4 * B), Extent(4 * B, 13 * B, 4 * B, ("unwritten",))))
    # not a lost mapping, but what was written there reads as zeros from the device, or must
    assert "content" in [finding.what for finding in at("flushed", half_unwritten, of).findings]


def test_dirty_places_may_be_converted_when_written_out() -> None:
    files = (spec("target", "unwritten:8"),)
    dirty = trial(step(1, write()), files=files)
    clean = trial(step(1, calls.Read(FdName("target"))), files=files)
    converted = fields(extents=(Extent(0, 2000 * B, 8 * B),))
    assert at("flushed", converted, dirty).kind == "pass"
    assert only(at("flushed", converted, clean)).what == "extents"
    assert only(at("dropped", converted, dirty)).what == "extents"


def test_copy_on_write_moves_dirty_blocks_when_written_out() -> None:
    dirty = trial(step(1, write()))
    clean = trial(step(1, calls.Read(FdName("target"))))
    assert at("flushed", moved(), dirty, kind="btrfs").kind == "pass"
    assert at("flushed", moved(), clean, kind="btrfs").kind == "fail"
    assert at("flushed", moved(), dirty, kind="ext4").kind == "fail"


def test_shared_places_may_stop_being_shared_by_writeback() -> None:
    files = (spec("target", "shared:4"), spec("donor"))
    own = fields(extents=(Extent(0, 2000 * B, 4 * B),))
    of = trial(step(1, write("donor")), files=files)
    assert at("flushed", own, of).kind == "pass"
    assert at("dropped", own, of).kind == "fail"
    unlinked = trial(step(1, calls.Unlink(FileName("donor"))), files=files)
    assert at("remounted", own, unlinked).kind == "pass"


def test_an_actor_that_is_left_running_may_write_on_until_it_is_killed() -> None:
    writer = Actor("writer", (step(1, write()),))
    of = trial(step(1, calls.Start(ActorName("writer"))), actors=(writer,))
    assert at("flushed", fields(mtime=EPOCH + SECOND), of).kind == "pass"
    assert at("dropped", fields(mtime=EPOCH + SECOND), of).kind == "fail"
    stopped = replace(of, steps=(*of.steps, step(2, calls.Stop(ActorName("writer")))))
    story = Story(stopped).do(1).do(2, meanwhile=(report("writer", 1, 0, 1, 2),))
    new = replace(story.files["target"], mtime=EPOCH + SECOND)
    assert story.finish(flushed={"target": new}).judged().kind == "fail"


# --- the bystander ----------------------------------------------------------------------------


@pytest.mark.parametrize(("what", "change"), DIFFERENT, ids=[what for what, _ in DIFFERENT])
def test_the_bystander_changes_in_nothing(what: str, change: Change) -> None:
    of = trial(step(1, exchange()), step(2, exchange()), files=(spec("target"), spec("donor")))
    assert passed(of).judged().kind == "pass"
    verdict = Story(of).do(1).do(2, bystander=change).finish().judged()
    first = next(finding for finding in verdict.findings if finding.what == what)
    assert (first.step, first.subject, first.since, first.at) == (2, "bystander", "after 1", "after 2")


@pytest.mark.parametrize("call", [calls.SubvolumeSnapshot(), calls.Balance()])
def test_the_bystander_is_mapped_anew_only_by_what_remaps_all_files(call: calls.Call) -> None:
    of = trial(step(1, calls.Sync()), step(2, call), kind="btrfs")
    assert Story(of).do(1).do(2, bystander=moved()).finish().judged().kind == "pass"
    assert Story(of).do(1).do(2, bystander=fields(mtime=7)).finish().judged().kind == "fail"


def test_a_header_that_was_stored_through_a_mapping_need_not_stay() -> None:
    def judged(mapped: bool) -> Verdict:
        header = calls.Mkswap(FdName("target"), mapped=mapped)
        made = (header, calls.Swapon(FileName("target")), calls.Swapoff(FileName("target")))
        story = Story(trial(*(step(number, call) for number, call in enumerate(made, 1)), files=(spec("target"),)))
        return story.do(1).do(2).do(3).finish().judged()

    assert judged(True).kind == "pass"
    assert [finding.what for finding in judged(False).findings] == ["swap header"]


def test_a_bystander_that_vanished_is_found_once() -> None:
    story = Story(SYNC).do(1)
    assert found(story.finish(dropped={"bystander": None}).judged()) == [("existence", 0, "bystander")]


# --- bytes ------------------------------------------------------------------------------------


def test_a_file_holds_at_the_start_what_it_was_made_of() -> None:
    assert passed(SYNC).judged().kind == "pass"
    other = state(SYNC.files[0], 2000, content=(Run(ZERO, 0, 0, B), Run("target", 0, B, 15 * B)))
    verdict = Story(SYNC, target=other).do(1).finish().judged()
    assert found(verdict) == [("content", 0, "target")]
    assert verdict.findings[0].at == "start"
    short = state(SYNC.files[0], 2000, size=15 * B, content=(Run("target", 0, 0, 15 * B),))
    assert [what for what, _, _ in found(Story(SYNC, target=short).do(1).finish().judged())] == ["content", "size"]


def test_foreign_bytes_are_found_where_they_show_first() -> None:
    of = trial(step(1, exchange()), files=(spec("target"), spec("donor")))
    stale = fields(content=(Run("target", 0, 0, 15 * B), Run(UNKNOWN, 77, 0, B)))
    finding = only(Story(of).do(1, target=stale).finish().judged())
    assert (finding.what, finding.step, finding.subject) == ("foreign data", 1, "target")
    assert finding.observed == "15: bytes that nobody in this trial wrote"


def test_a_last_byte_is_no_foreign_data() -> None:
    files = (spec("target", "data:1", tail=3),)
    of = trial(step(1, write()), files=files)
    held = (Run("step1", 0, 0, B), Run(UNKNOWN, 5, 0, 3))
    assert Story(of).do(1, target=fields(content=held)).finish().judged().kind == "pass"


def test_units_that_were_cut_are_no_foreign_data() -> None:
    held = (Run("target", 0, 0, 4080), Run(UNKNOWN, 5, 0, 16), Run("target", 0, B, 15 * B))
    cut = trial(step(1, calls.Write(FdName("target"), Span(4090, 100))))
    whole = trial(step(1, calls.Write(FdName("target"), Span(4080, 16))))
    assert Story(cut).do(1, target=fields(content=held)).finish().judged().kind == "pass"
    assert found(Story(whole).do(1, target=fields(content=held)).finish().judged()) == [("foreign data", 0, "target")]


def test_beside_an_actor_a_torn_copy_is_no_foreign_data() -> None:
    writer = Actor("writer", (step(1, write()),), loop=True)
    start, stop = calls.Start(ActorName("writer")), calls.Stop(ActorName("writer"))
    of = trial(
        step(1, start), step(2, exchange()), step(3, stop), files=(spec("target"), spec("donor")), actors=(writer,)
    )

    def judged(length: int) -> Verdict:
        story = Story(of).do(1)
        whole = story.files["target"]
        torn = (Run("target", 0, 0, B), Run(UNKNOWN, 5, 0, length), Run("target", 0, B + length, 15 * B - length))
        story.do(2, target=fields(content=torn))
        story.files["target"] = whole
        return story.do(3, meanwhile=(report("writer", 1, 0, 1, 2),)).finish().judged()

    assert judged(16).kind == "pass"
    assert judged(512).kind == "fail"


def swapped(pages: tuple[Run, ...], layout: str = "data:16", *steps: calls.Call, header: bool = True) -> Verdict:
    """A file that was a swap area; `pages` is what it holds behind the header when it is read from the device."""
    made: tuple[calls.Call, ...] = (calls.Mkswap(FdName("target")), calls.Swapon(FileName("target")), *steps)
    made += (calls.Swapoff(FileName("target")),)
    of = trial(*(step(number, call) for number, call in enumerate(made, 1)), files=(spec("target", layout),))
    story = Story(of)
    for each in of.steps:
        story.do(each.number)
    first = Run(SWAP_HEADER, 0, 0, PAGE) if header else Run(UNKNOWN, 3, 0, PAGE)
    held = replace(story.files["target"], content=(first, *pages))
    cached = content.cut(story.files["target"].content, B, 15 * B)
    story.files["target"] = replace(held, content=(Run(SWAP_HEADER, 0, 0, PAGE), *cached))
    return story.finish(dropped={"target": held}).judged()


def test_the_written_places_of_a_swap_area_are_undefined() -> None:
    assert swapped((Run(UNKNOWN, 9, 0, 15 * B),)).kind == "pass"


def test_what_was_read_before_a_swap_area_was_used_may_stay_in_the_cache() -> None:
    of = trial(step(1, calls.Swapon(FileName("target"))), step(2, calls.Swapoff(FileName("target"))))
    used = state(of.files[0], 2000, content=(Run(UNKNOWN, 9, 0, 16 * B),))
    assert Story(of).do(1).do(2).finish(remounted={"target": used}).judged().kind == "pass"


def test_the_header_of_a_swap_area_is_intact_after_use() -> None:
    verdict = swapped((Run(UNKNOWN, 9, 0, 15 * B),), header=False)
    assert found(verdict) == [("swap header", 0, "target")]
    assert verdict.findings[0].at == "remounted"
    # unless the trial itself wrote to the file
    rewritten = calls.Write(FdName("target"), Span(0, B))
    assert swapped((Run(UNKNOWN, 9, 0, 15 * B),), "data:16", rewritten, header=False).kind == "pass"


def test_a_file_that_took_the_name_of_a_swap_area_needs_no_header() -> None:
    made = (calls.Mkswap(FdName("target")), calls.Swapon(FileName("target")), calls.Swapoff(FileName("target")))
    over = calls.Rename(FileName("donor"), FileName("target"))
    of = trial(
        *(step(number, call) for number, call in enumerate((*made, over), 1)), files=(spec("target"), spec("donor"))
    )
    story = Story(of)
    for each in of.steps:
        story.do(each.number)
    assert story.finish(remounted={"target": story.files["donor"]}).judged().kind == "pass"


def test_a_header_of_its_own_is_no_foreign_data() -> None:
    of = trial(step(1, calls.Mkswap(FdName("target"))))
    raw = (Run(ZERO, 0, 0, 1024), Run(UNKNOWN, 1, 0, 16), Run(ZERO, 0, 0, 3040), Run(UNKNOWN, 2, 0, 16))
    assert Story(of).do(1, target=fields(content=(*raw, Run("target", 0, B, 15 * B)))).finish().judged().kind == "pass"
    assert (
        Story(SYNC).do(1, target=fields(content=(*raw, Run("target", 0, B, 15 * B)))).finish().judged().kind == "fail"
    )


def test_unwritten_places_of_a_swap_area_read_as_zeros() -> None:
    zeros, leak = (Run(ZERO, 0, 0, 15 * B),), (Run(ZERO, 0, 0, 14 * B), Run(UNKNOWN, 4, 0, B))
    assert swapped(zeros, "data:1 unwritten:15").kind == "pass"
    verdict = swapped(leak, "data:1 unwritten:15")
    assert any("read as zeros" in finding.because for finding in verdict.findings)


@pytest.mark.parametrize("layout", ["data:4 hole:4", "data:4 unwritten:4"])
def test_holes_and_unwritten_places_read_as_zeros(layout: str) -> None:
    of = trial(step(1, exchange()), files=(spec("target", layout), spec("donor")))
    assert passed(of).judged().kind == "pass"
    leak = fields(content=(Run("target", 0, 0, 5 * B), Run(ZERO, 0, 0, 3 * B)))
    verdict = Story(of).do(1, target=leak).finish().judged()
    finding = only(verdict)
    assert (finding.expected, finding.observed, finding.at) == ("4: zeros", "4: target", "dropped")
    assert finding.because == "holes and unwritten extents read as zeros"


def test_a_file_that_cannot_be_read_is_found() -> None:
    broken = fields(content=(), unread="EIO")
    finding = only(at("dropped", broken))
    assert (finding.what, finding.observed) == ("content", "EIO")
    assert at("dropped", fields(extents=(), unread="extents: EOPNOTSUPP")).kind == "pass"


# --- mappings ---------------------------------------------------------------------------------

MAP = calls.Map(FdName("target"), NewName("view"), Span(4 * B, 4 * B))
SEEN = (Run("target", 0, 4 * B, 4 * B),)
OTHER = (Run("target", 0, 4 * B, 2 * B), Run("donor", 0, 0, 2 * B))


def mapped(content: tuple[Run, ...], call: calls.Map = MAP, **more: object) -> Verdict:
    """The verdict on a trial with a mapping of blocks 4 to 7 that shows `content`."""
    made = replace(MapState("target", 4 * B, call.kind == "shared", content, False), **more)  # type: ignore[arg-type]
    story = Story(trial(step(1, call))).do(1)
    story.maps["view"] = made
    return story.finish().judged()


def test_a_mapping_shows_what_its_file_holds() -> None:
    assert mapped(SEEN).kind == "pass"
    verdict = mapped(OTHER)
    finding = verdict.findings[0]
    assert (finding.what, finding.subject) == ("mapping", "view (of target, from block 4 on)")
    assert (finding.expected, finding.observed) == ("2-3: target 6-7", "2-3: donor 0-1")
    assert finding.at == "end"
    assert len(verdict.findings) == 1


def test_a_private_mapping_that_was_stored_to_has_its_own_pages() -> None:
    private = replace(MAP, kind="private")
    assert mapped(OTHER, private).kind == "fail"
    assert mapped(OTHER, private, touched=True).kind == "pass"
    assert mapped(OTHER, replace(private, locked=True)).kind == "pass"
    assert mapped(OTHER, replace(private, locked=True, access="read")).kind == "fail"


def test_a_mapping_that_is_shorter_than_its_file_now_is_compared_as_far_as_it_goes() -> None:
    assert mapped(SEEN[:0]).kind == "pass"
    assert mapped((Run("target", 0, 4 * B, B),)).kind == "pass"


def test_a_mapping_does_not_know_a_swap_header_by_name() -> None:
    of = trial(step(1, calls.Map(FdName("target"), NewName("view"))), step(2, calls.Mkswap(FdName("target"))))
    story = Story(of).do(1)
    story.do(2, target=fields(content=(Run(SWAP_HEADER, 0, 0, PAGE), Run("target", 0, B, 15 * B))))
    raw = (Run(ZERO, 0, 0, 1024), Run(UNKNOWN, 1, 0, 16), Run(ZERO, 0, 0, 3056), Run("target", 0, B, 15 * B))
    story.maps["view"] = MapState("target", 0, True, raw, False)
    assert story.finish().judged().kind == "pass"


# --- space ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "expected"), [("ext4", "fail"), ("xfs", "fail"), ("btrfs", "pass")])
def test_all_space_comes_back(kind: str, expected: str) -> None:
    of = replace(SYNC, system=replace(SYNC.system, kind=kind))
    assert Story(of).do(1).finish().judged().kind == "pass"
    verdict = Story(of).do(1).finish(emptied=SystemState(984, 500)).judged()
    assert verdict.kind == expected
    if verdict.findings:
        assert only(verdict).observed == "984 free blocks: 16 lost"


def test_inodes_come_back_on_ext4() -> None:
    ext4 = replace(SYNC, system=replace(SYNC.system, kind="ext4"))
    gone = replace(FREE, free_inodes=499)
    assert only(Story(ext4).do(1).finish(emptied=gone).judged()).observed == "499 free inodes: 1 lost"
    assert Story(SYNC).do(1).finish(emptied=gone).judged().kind == "pass"


def test_a_crash_is_not_asked_for_space_or_agreement() -> None:
    of = trial(step(1, calls.Shutdown("default")), crash=True)
    story = Story(of).do(1)
    verdict = story.finish(remounted={"target": state(of.files[0], 4000, mtime=EPOCH + 1)}, emptied=SystemState(1, 1))
    assert verdict.judged().kind == "pass"


# --- what settles a trial ---------------------------------------------------------------------


def test_flags_that_kept_an_area_from_being_deactivated_are_cleared() -> None:
    of = trial(step(1, calls.SetFlags(FdName("target"), ("immutable",))))
    story = Story(of).do(1, target=fields(flags=0x10))
    cleared = replace(story.files["target"], flags=0, ctime=EPOCH + SECOND)
    story.finish(flushed={"target": cleared})
    assert story.judged().kind == "fail"
    story.events = [Settled(("swapoff target",)) if isinstance(event, Settled) else event for event in story.events]
    assert story.judged().kind == "pass"


def test_fsync_cleans_one_file_only() -> None:
    files = (spec("target", "unwritten:4"), spec("donor", "unwritten:4"))
    steps = (step(1, write()), step(2, write("donor")), step(3, calls.Fsync(FdName("target"))))
    of = trial(*steps, files=files)
    converted = fields(extents=(Extent(0, 2000 * B, 4 * B),))
    assert at("flushed", converted, of).kind == "fail"
    story = Story(of).do(1).do(2).do(3)
    new = replace(story.files["donor"], extents=(Extent(0, 3000 * B, 4 * B),))
    assert story.finish(flushed={"donor": new}).judged().kind == "pass"


@pytest.mark.parametrize(
    "call",
    [
        calls.Open(FileName("target"), NewName("again")),
        calls.OpenByHandle(FileName("target"), NewName("again")),
    ],
)
def test_a_write_by_another_descriptor_makes_its_file_dirty(call: calls.Call) -> None:
    of = trial(step(1, call), step(2, write("again")), files=(spec("target", "unwritten:4"),))
    assert at("flushed", fields(extents=(Extent(0, 2000 * B, 4 * B),)), of).kind == "pass"


def test_a_store_through_a_mapping_makes_its_file_dirty() -> None:
    store = calls.Store(MapName("view"), Span(0, B))
    of = trial(step(1, replace(MAP, range=Span(0, B))), step(2, store), files=(spec("target", "unwritten:4"),))
    assert at("flushed", fields(extents=(Extent(0, 2000 * B, 4 * B),)), of).kind == "pass"


def test_truncating_to_an_odd_size_cuts_a_unit() -> None:
    of = trial(
        step(1, calls.Truncate(FdName("target"), Bytes(100))), step(2, calls.Truncate(FdName("target"), Bytes(B)))
    )
    held = (Run("target", 0, 0, 96), Run(UNKNOWN, 3, 0, 16), Run(ZERO, 0, 0, B - 112))
    new: Change = fields(content=held, size=B, extents=(Extent(0, 2000 * B, B),))
    story = Story(of).do(
        1, target=fields(size=100, content=(Run("target", 0, 0, 100),), extents=(Extent(0, 2000 * B, B),))
    )
    assert story.do(2, target=new).finish().judged().kind == "pass"
