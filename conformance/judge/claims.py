"""Evaluates what a case claims of its files, after a step or in the end.

"everything unchanged" compares all fields but atime. Writeback is not a change made by a call:
`extents.Tolerance` says what of a map may become something else by it. The content of a file
that was a swap area while pages went out is not compared, because it is undefined; a case that
knows better claims `content`.

`extents = "unchanged"` allows a delayed allocation to have been made, and nothing else;
`extents = "changed"` is any difference at all.
"""

from __future__ import annotations

from collections.abc import Iterator

from conformance.judge import changes, content, extents
from conformance.judge.bench import Bench
from conformance.judge.changes import Change, later, readable, size_text
from conformance.judge.content import Difference, Runs
from conformance.judge.extents import Tolerance
from conformance.judge.record import Moment
from conformance.model.trial import Claim
from kernel.state import FileState


def judge_claims(bench: Bench) -> None:
    """All claims of the trial."""
    for step in bench.trial.steps:
        if step.number not in bench.record.steps:
            continue
        for claim in step.then:
            now, since = bench.record.after(step.number), bench.record.since(claim.since or step.number)
            _judge(bench, claim, since, now, step.number)
    for claim in bench.trial.after:
        _judge(bench, claim, bench.record.since(claim.since), bench.record.settled_moment(), 0)


def _judge(bench: Bench, claim: Claim, since: Moment | None, now: Moment | None, step: int) -> None:
    if since is None or now is None:  # the guest died before; a whole trace has both
        return
    moment = "the case, compared with " + _moment_text(since.at)
    before, after = since.state.files.get(claim.file), now.state.files.get(claim.file)

    def find(change: Change) -> None:
        bench.find(
            change.what,
            step,
            claim.file,
            change.expected,
            change.observed,
            moment,
            level=bench.trial.rule.level,
            since=since.at,
            at=now.at,
        )

    if after is None:
        find(Change("existence", "the file exists", "it does not"))
        return
    for change in _absolute(bench, claim, after):
        find(change)
    for change in _contents(bench, claim, since, after):
        find(change)
    if claim.extents_of is not None:
        model = since.state.files.get(claim.extents_of)
        found = extents.compare(model.extents, after.extents, Tolerance(size=model.size)) if model else ()
        if model is None:
            find(Change("extents", f"the extents of {claim.extents_of}", f"{claim.extents_of} did not exist then"))
        elif found:
            find(Change("extents", *extents.difference_texts(found, bench.block)))
    if before is None:
        if _relative(claim):
            find(Change("existence", "the file existed at " + since.at, "it did not"))
        return
    for change in _since(bench, claim, since, before, now, after):
        find(change)


def _moment_text(at: str) -> str:
    word, _, number = at.partition(" ")
    return f"the moment just {word} step {number}" if number else "the start" if at == "start" else f"the moment {at!r}"


def _relative(claim: Claim) -> bool:
    """Whether a claim speaks of the file's own past."""
    fields = (claim.size_changed, claim.atime, claim.mtime, claim.ctime, claim.btime, claim.extents, claim.space)
    return claim.everything is not None or any(word is not None for word in fields)


def _absolute(bench: Bench, claim: Claim, after: FileState) -> Iterator[Change]:
    """What is claimed of now alone."""
    if claim.size is not None and claim.size != after.size:
        yield Change("size", size_text(claim.size, bench.block), size_text(after.size, bench.block))
    if claim.links is not None and claim.links != after.links:
        yield Change("links", str(claim.links), str(after.links))
    if claim.mode is not None and claim.mode != after.mode & 0o7777:
        yield Change("mode", f"{claim.mode:04o}", f"{after.mode & 0o7777:04o}")
    if claim.layout:
        yield from _layout(bench, claim, after)


def _layout(bench: Bench, claim: Claim, after: FileState) -> Iterator[Change]:
    if not changes.mapped(after):
        bench.vacuous.append(f"the extents of {claim.file} could not be listed: {after.unread}")
        return
    found = extents.layout_differences(claim.layout, after.extents, after.size)
    if found:
        block = bench.block
        wanted = [f"{content.span_text(place.at, place.length, block)}: {part.kind}" for part, place in found]
        seen = [extents.place_text(place, block) for _, place in found]
        yield Change("layout", ", ".join(wanted), ", ".join(seen))
    total = sum(part.length for part in claim.layout)
    if not after.size <= total < after.size + bench.block:
        yield Change("size", f"{size_text(total, bench.block)}, as the layout says", size_text(after.size, bench.block))


def _contents(bench: Bench, claim: Claim, since: Moment, after: FileState) -> Iterator[Change]:
    """Whether the content is one of those that are claimed; else how it differs from the nearest of them."""
    if not claim.content and not claim.content_of:
        return
    if not readable(after):
        bench.vacuous.append(f"the content of {claim.file} could not be read: {after.unread}")
        return
    candidates: list[Runs] = [bench.content(pieces) for pieces in claim.content]
    for name in claim.content_of:
        model = since.state.files.get(name)
        if model is None or not readable(model):
            why = model.unread if model else "it did not exist"
            bench.vacuous.append(f"the content of {name} at {since.at!r}, to compare with, could not be read: {why}")
            return
        candidates.append(model.content)
    yield from nearest(candidates, after.content, bench, "content")


def nearest(candidates: list[Runs], observed: Runs, bench: Bench, what: str) -> Iterator[Change]:
    """Nothing if the observed content is one of the candidates; else how it differs from the nearest of them."""
    best: tuple[Difference, ...] | None = None
    for candidate in candidates:
        found = content.differences(candidate, observed, bench.tail)
        if not found:
            return
        if best is None or sum(d.length for d in found) < sum(d.length for d in best):
            best = found
    if best is None:
        return
    expected, seen = content.difference_texts(best, bench.block)
    if len(candidates) > 1:
        expected += f" (or one of {len(candidates) - 1} alternatives that are farther off)"
    yield Change(what, expected, seen)


def _since(
    bench: Bench, claim: Claim, since: Moment, before: FileState, now: Moment, after: FileState
) -> Iterator[Change]:
    """What is claimed in comparison with the moment before."""
    if claim.everything is not None:
        fields = tuple(f for f in changes.FIELDS if f != "content" or not _undefined(bench, claim.file, since, now))
        tolerance = bench.tolerance(since, before, claim.file)
        yield from changes.changes(before, after, bench.block, fields, tolerance)
    if claim.size_changed is not None:
        same = before.size == after.size
        yield from _changed(claim.size_changed, "size", same, size_text(after.size, bench.block))
    for field in ("atime", *changes.TIMES):
        word = getattr(claim, field)
        if word is not None:
            old, new = getattr(before, field), getattr(after, field)
            yield from _changed(word, field, old == new, later(new - old))
    if claim.space is not None:
        yield from _changed(
            claim.space, "space", before.sectors == after.sectors, f"{before.sectors} sectors became {after.sectors}"
        )
    if claim.extents == "unchanged":
        yield from changes.changes(before, after, bench.block, ("extents",), Tolerance(size=before.size))
    elif claim.extents == "changed" and extents.identical(before.extents, after.extents):
        yield Change("extents", "changed", "unchanged")


def _changed(word: str, field: str, same: bool, difference: str) -> Iterator[Change]:
    if word == "unchanged" and not same:
        yield Change(field, "unchanged", difference)
    elif word == "changed" and same:
        yield Change(field, "changed", "unchanged")


def _undefined(bench: Bench, file: str, since: Moment, now: Moment) -> bool:
    """Whether the kernel may have written pages into a file meanwhile."""
    return file in bench.history.swapped and since.state.system.pages_out != now.state.system.pages_out
