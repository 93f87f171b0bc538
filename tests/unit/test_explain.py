"""Explanations: what they tell, that they keep to their width, and that nothing they quote can do harm."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text
from tracekit import (
    RULE,
    TARGET,
    Actor,
    B,
    Claim,
    Extent,
    Story,
    exchange,
    fields,
    moved,
    report,
    spec,
    step,
    trial,
    write,
    wrote,
)

from conformance.model.trace import Stepping, Trace
from conformance.model.trial import Trial
from conformance.model.verdict import Finding, Verdict
from conformance.reports.explain import explain, explain_styled
from conformance.reports.sketch import bars, call_text, quantity_text, scale_text
from kernel import calls
from kernel.units import ActorName, Bytes, CookieName, FdName, FileName, MapName, NewName, Span

COMMAND = "pytest --fs=xfs:rmapbt0 -k 'move/cookie[via=swapext]'"
OF = trial(
    step(1, calls.Snapshot(FdName("target"), "swapext")),
    step(2, write()),
    step(3, exchange(cookie=CookieName("cookie")), "EBUSY"),
    files=(spec("target"), spec("donor")),
    after=(Claim("target", 3, content_of=("target",)),),
)


def failed() -> tuple[Trial, Verdict, Trace]:
    """The swap takes place although the cookie is stale, and the store ends up in the donor."""
    story = Story(OF).do(1).do(2, target=wrote(2, 0, 1))
    target, donor = story.files["target"], story.files["donor"]
    story.do(
        3,
        target=fields(content=donor.content, extents=donor.extents),
        donor=fields(content=target.content, extents=target.extents),
    )
    story.finish(console=("XFS (ubda): [something] odd", "[ 1.000001] WARNING: CPU: 0 PID: 1 at fs/xfs/a.c:1"))
    return OF, story.judged(), story.trace()


def test_a_failure_explains_itself() -> None:
    of, verdict, trace = failed()
    text = explain(of, verdict, trace=trace, repeat=COMMAND, width=100)
    lines = text.splitlines()
    assert lines[0] == "FAIL: a promise was broken"
    assert "rule      COOKIE-2 (MUST): A stale cookie is refused." in lines
    assert "source    a mail" in lines
    assert "means     A store is lost." in lines
    assert "kernel    6.1.0 on uml, 0.25 s" in lines
    assert "    1. snapshot file=target via=swapext cookie=cookie -> OK" in lines
    assert "    2. write file=target range=0+1b -> OK" in lines
    assert ">   3. exchange via=swapext target=target donor=donor cookie=cookie -> OK (expected EBUSY)" in lines
    assert "1. step 3: outcome of exchange" in lines
    expected, observed = next(line for line in lines if "15: donor" in line).split("   ")[1:][0], "0-15: donor"
    assert expected.startswith("0: step2, 1-15: target")
    assert any(line.rstrip().endswith(observed) for line in lines)
    assert "  | [ 1.000001] WARNING: CPU: 0 PID: 1 at fs/xfs/a.c:1" in lines
    assert lines[-2:] == ["repeat just this trial:", "  " + COMMAND]


def test_expected_and_observed_stand_side_by_side() -> None:
    of, verdict, trace = failed()
    lines = explain(of, verdict, trace=trace, width=80).splitlines()
    head = next(line for line in lines if line.strip().startswith("expected") and line.endswith("observed"))
    row = lines[lines.index(head) + 1]
    assert row[3:8] == "EBUSY"
    assert row[head.index("observed") :] == "OK"
    narrow = explain(of, verdict, trace=trace, width=50).splitlines()
    at = narrow.index("   expected:")
    assert narrow[at : at + 4] == ["   expected:", "     EBUSY", "   observed:", "     OK"]


@pytest.mark.parametrize("width", [40, 60, 80, 132])
@pytest.mark.parametrize("with_trace", [True, False])
def test_it_keeps_to_its_width(width: int, with_trace: bool) -> None:
    of, verdict, trace = failed()
    for line in explain(of, verdict, trace=trace if with_trace else None, width=width).splitlines():
        assert len(line) <= width, line


def test_styles_change_no_text() -> None:
    of, verdict, trace = failed()
    plain = explain(of, verdict, trace=trace, repeat=COMMAND)
    styled = explain_styled(of, verdict, trace=trace, repeat=COMMAND)
    assert styled.plain == plain
    told = {plain[span.start : span.end]: span.style for span in styled.spans}
    assert told["FAIL: a promise was broken"] == "bold red"


@given(st.text(max_size=30), st.text(alphabet="[]/\\bold", max_size=20))
def test_nothing_that_is_quoted_is_taken_for_a_tag(observed: str, reason: str) -> None:
    finding = Finding("content", 2, "[/target]", "[bold]x", observed, "[i]because", "SHOULD")
    verdict = Verdict(OF.name, "fail", (finding,), reason=reason, console=(observed,))
    assert explain_styled(OF, verdict, repeat=reason).plain == explain(OF, verdict, repeat=reason)


def test_markup_says_the_same() -> None:
    of, verdict, trace = failed()
    marked = explain(of, verdict, trace=trace, repeat=COMMAND, markup=True)
    assert "[bold red]FAIL: a promise was broken[/bold red]" in marked
    assert Text.from_markup(marked).plain == explain(of, verdict, trace=trace, repeat=COMMAND)


@given(st.text(alphabet="[]/ab=\\ ", max_size=40), st.text(alphabet="[]/bold", max_size=20))
def test_quoted_brackets_do_no_harm_to_markup(observed: str, reason: str) -> None:
    finding = Finding("content", 2, "[/target]", "[bold]x", observed, "[i]because", "SHOULD")
    verdict = Verdict(OF.name, "fail", (finding,), reason=reason, console=(observed,))
    marked = Text.from_markup(explain(OF, verdict, repeat=reason, markup=True)).plain
    assert marked.replace("\\", "") == explain(OF, verdict, repeat=reason).replace("\\", "")


@given(st.text(max_size=60))
def test_a_guest_cannot_paint_on_the_terminal(text: str) -> None:
    verdict = Verdict(OF.name, "fail", (Finding("console", 0, "kernel log", "x", text, "y"),), text, (text,))
    assert all(char.isprintable() or char == "\n" for char in explain(OF, verdict))


def test_without_a_trace_the_results_are_left_out() -> None:
    of, verdict, _ = failed()
    lines = explain(of, verdict, width=100).splitlines()
    assert ">   3. exchange via=swapext target=target donor=donor cookie=cookie" in lines
    assert not any(line.startswith("kernel") for line in lines)


def test_extent_maps_are_drawn_where_they_differ() -> None:
    of = trial(step(1, exchange(), "EBUSY"), files=(spec("target", "data:8 hole:4 unwritten:4"), spec("donor")))
    story = Story(of).do(
        1, "EBUSY", target=lambda old: replace(old, extents=(*old.extents[:1], Extent(12 * B, 0, 2 * B)))
    )
    lines = explain(of, story.finish().judged(), trace=story.trace(), width=80).splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("   before"))
    assert lines[at] == "   before  ########....uuuu"
    assert lines[at + 1] == "   after   ########....##.."
    assert lines[at + 2] == "                       ^^^^"
    assert lines[at + 3].strip().startswith("each character is a block: . hole, u unwritten")


def test_a_move_on_the_device_is_marked() -> None:
    of = trial(step(1, exchange(), "EBUSY"), files=(spec("target", "data:2"), spec("donor")))
    story = Story(of).do(1, "EBUSY", target=moved())
    lines = explain(of, story.finish().judged(), trace=story.trace()).splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("   before"))
    assert lines[at : at + 3] == ["   before  ##", "   after   ##", "           ^^"]


def test_a_crash_marks_the_step_and_shows_the_end_of_the_console() -> None:
    story = Story(OF).do(1)
    story.emit(Stepping(2))
    console = tuple(f"line {n}" for n in range(60))
    verdict = story.die("panic", "Kernel panic - not syncing", *console).judged()
    lines = explain(OF, verdict, trace=story.trace(), width=100).splitlines()
    assert lines[0] == "CRASH: the kernel did not survive it"
    assert ">   2. write file=target range=0+1b -> did not return" in lines
    assert any(line.endswith("-> was not reached") for line in lines)
    assert "  | line 59" in lines
    assert "  | line 0" not in lines
    assert "the kernel printed: (35 earlier lines left out)" in lines


def test_times_are_told_as_differences() -> None:
    of = trial(step(1, write()), after=(Claim("target", mtime="unchanged"),))
    story = Story(of).do(1, target=wrote(1, 0, 1))
    text = explain(of, story.finish().judged(), trace=story.trace())
    assert "1 s later" in text
    assert "17000000" not in text


def test_the_level_is_told_where_it_is_not_a_must() -> None:
    of = replace(OF, rule=replace(RULE, level="SHOULD", promise="proposed"))
    verdict = Story(of).do(1).do(2).do(3).finish().judged()
    text = explain(of, verdict)
    assert "COOKIE-2 (SHOULD, only proposed)" in text
    assert "1. step 3: outcome of exchange (SHOULD)" in text
    harder = Verdict(of.name, "fail", (Finding("mode", 0, "a", "b", "c", "d"),))
    assert explain(of, harder).splitlines()[0] == "FAIL (MUST): a promise was broken"


@pytest.mark.parametrize("kind", ["vacuous", "error", "known", "not applicable", "pass", "hang"])
def test_other_verdicts_tell_their_reason(kind: str) -> None:
    verdict = Verdict(OF.name, kind, reason="that is why")  # type: ignore[arg-type]  # literal
    lines = explain(OF, verdict).splitlines()
    assert lines[0].startswith(kind.upper() + ": ")
    assert "reason    that is why" in lines


def many(count: int, *marked: int) -> list[str]:
    steps = tuple(step(number, calls.Sync()) for number in range(1, count + 1))
    of = trial(*steps)
    findings = tuple(Finding("outcome", number, "sync", "OK", "EIO", "the case") for number in marked)
    return explain(of, Verdict(of.name, "fail", findings)).splitlines()


def test_long_trials_are_told_around_what_was_found() -> None:
    lines = many(40, 20)
    assert "       … 15 more" in lines
    assert ">  20. sync" in lines
    assert "   16. sync" in lines
    assert "   24. sync" in lines
    assert "   25. sync" not in lines
    assert "       … 16 more" in lines
    assert not any("…" in line for line in many(16, 8))


def test_many_findings_are_counted() -> None:
    lines = many(16, *range(1, 14))
    assert any("and 3 more findings" in line for line in lines)


def test_actors_are_told_with_what_they_met() -> None:
    writer = Actor("writer", (step(1, write(), "OK", "EBUSY"),), loop=True)
    of = trial(
        step(1, calls.Start(ActorName("writer"))), step(2, calls.Stop(ActorName("writer")), "EIO"), actors=(writer,)
    )
    passes = tuple(report("writer", 1, turn, turn, turn, "EBUSY" if turn == 2 else "OK") for turn in range(5))
    story = Story(of).do(1).do(2, meanwhile=passes).finish()
    lines = explain(of, story.judged(), trace=story.trace()).splitlines()
    assert "  actor writer (loops), 5 passes:" in lines
    assert "      1. write file=target range=0+1b -> OK x4, EBUSY x1" in lines


# --- steps and bars ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (calls.Read(FdName("target")), "read file=target"),
        (calls.Write(TARGET, Span(B, 8 * B + 3), "same"), "write file=target range=1b+8b+3 bytes=same"),
        (calls.Write(FdName("target"), Span(B, -1)), "write file=target range=1b+end"),
        (calls.Truncate(FdName("target"), Bytes(2 * B)), "truncate file=target size=2b"),
        (calls.Open(FileName("target"), NewName("b"), ("read", "direct")), "open file=target name=b flags=read,direct"),
        (calls.Store(MapName("view"), Span(0, 17)), "store map=view range=0+17"),
        (calls.Swapon(FileName("target"), priority=5), "swapon file=target priority=5"),
        (calls.Sync(), "sync"),
        (calls.Blocked(ActorName("writer")), "blocked actor=writer"),
    ],
)  # fmt: skip
def test_calls_are_told_as_cases_have_them(call: calls.Call, text: str) -> None:
    assert call_text(call, B) == text


@pytest.mark.parametrize(("size", "text"), [(0, "0"), (3, "3"), (B, "1b"), (B + 1, "1b+1")])
def test_quantities_are_told_as_cases_have_them(size: int, text: str) -> None:
    assert quantity_text(size, B) == text


@given(
    st.lists(st.sampled_from(["hole", "data", "unwritten", "shared", "delalloc"]), min_size=1, max_size=60),
    st.integers(1, 80),
)
def test_bars_are_as_long_as_the_file_and_never_too_long(kinds: list[str], width: int) -> None:
    flags = {"data": (), "delalloc": ("delalloc", "unknown")}
    extents = tuple(Extent(n * B, n * B, B, flags.get(kind, (kind,))) for n, kind in enumerate(kinds) if kind != "hole")
    rows = bars(extents, extents, len(kinds) * B, B, width)
    assert len(rows) == 2
    assert rows[0] == rows[1]
    assert len(rows[0]) <= width
    if len(kinds) <= width:
        assert len(rows[0]) == len(kinds)
    other = bars(extents, (), len(kinds) * B, B, width)
    assert (len(other) == 3) == any(kind != "hole" for kind in kinds)
    assert scale_text(len(kinds) * B, B, width).startswith("each character is ")


def test_an_empty_file_has_no_bar() -> None:
    assert bars((), (), 0, B, 80) == ()
