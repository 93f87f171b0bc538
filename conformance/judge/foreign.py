"""Standing invariants of bytes: nobody reads what was never written there.

- At the start every file holds what it was made of.
- No file holds bytes that nobody in the trial wrote. Excepted are the written places of a file
  that was a swap area, and its header; units cut by a range that is not aligned to 16 bytes; and
  while an actor is running, anything shorter than a sector, which a copy that was overtaken leaves.
- The header of a swap area is intact after use, where nothing but the kernel wrote to the file.
- Holes and unwritten extents read as zeros, in a former swap area too.
- A mapping shows what its file holds, unless it is private and has copies of its own.
- Every file can be read.
"""

from __future__ import annotations

from collections.abc import Iterator

from conformance.judge import changes, content, extents
from conformance.judge.bench import Bench
from conformance.judge.changes import readable, size_text
from conformance.judge.content import Runs
from conformance.judge.history import in_header
from conformance.judge.record import Moment
from kernel import calls
from kernel.pattern import SWAP_HEADER, UNIT, UNKNOWN, ZERO, Run
from kernel.state import FileState, MapState
from kernel.units import PAGE, SECTOR

READ_ANEW = ("dropped", "remounted")
"""Moments at which nothing is dirty, so that the map tells what must read as zeros."""
NOT_READ_ON_PURPOSE = "active swap area"
"""What `FileState.unread` says of a file that is not read because reading would fill the page cache."""


def judge_foreign(bench: Bench) -> None:
    """All of the above, each at the first moment at which it shows."""
    _start(bench)
    for file in bench.files:
        _unread(bench, file)
        _unknown(bench, file)
        _zeros(bench, file)
        _header(bench, file)
    _seen(bench)
    for moment in bench.record.moments.values():
        if moment.quiet and moment.reachable:
            for name, mapping in moment.state.maps.items():
                _mapping(bench, moment, name, mapping)


def _start(bench: Bench) -> None:
    start = bench.record.moments.get("start")
    if start is None:
        return
    because = "a file that was just made holds what was written"
    for spec in bench.trial.files:
        state = start.state.files.get(spec.name)
        if state is None:
            bench.find("existence", 0, spec.name, "it exists", "it does not", because, at="start")
            continue
        if state.size != spec.size:
            told = (size_text(spec.size, bench.block), size_text(state.size, bench.block))
            bench.find("size", 0, spec.name, *told, because, at="start")
        if readable(state):
            found = content.differences(bench.initial[spec.name], state.content, bench.tail)
            if found:
                bench.find("content", 0, spec.name, *content.difference_texts(found, bench.block), because, at="start")


def _unread(bench: Bench, file: str) -> None:
    for moment, state in bench.record.states(file):
        if moment.reachable and not readable(state) and state.unread != NOT_READ_ON_PURPOSE:
            step = bench.step_of(moment)
            bench.find("content", step, file, "it can be read", state.unread, "every file can be read", at=moment.at)
            return


def _unknown(bench: Bench, file: str) -> None:
    if file in bench.history.swapped:
        return  # its written places are undefined; the unwritten ones are judged with the zeros
    for moment, state in bench.record.states(file):
        if not moment.reachable:
            continue
        found = list(_foreign(bench, state.content, moment.quiet, file in bench.history.headers))
        if found:
            _find_unknown(bench, moment, file, found)
            return


def _find_unknown(bench: Bench, moment: Moment, file: str, found: list[tuple[int, Run]]) -> None:
    places = ", ".join(content.span_text(at, run.length, bench.block) for at, run in found[: content.SHOWN])
    bench.find(
        "foreign data",
        bench.step_of(moment),
        file,
        "what somebody in this trial wrote, or zeros",
        f"{places}: bytes that nobody in this trial wrote",
        "no file shows stale or foreign data",
        at=moment.at,
    )


def _foreign(bench: Bench, runs: Runs, quiet: bool, header: bool) -> Iterator[tuple[int, Run]]:
    """The unknown runs that nothing excuses, with their places."""
    total, at = content.length_of(runs), 0
    least = max(0 if quiet else SECTOR, 2 * UNIT if bench.history.ragged else 0)
    for run in runs:
        if run.source == UNKNOWN and run.length >= least:
            cut_off = run.length < UNIT and at + run.length == total
            if not cut_off and not (header and in_header(at, run.length)):
                yield at, run
        at += run.length


def _zeros(bench: Bench, file: str) -> None:
    for moment, state in bench.record.states(file):
        if moment.at not in READ_ANEW or not moment.reachable or not readable(state) or not changes.mapped(state):
            continue
        wanted = tuple(
            Run(ZERO if place.kind == extents.HOLE or "unwritten" in place.flags else content.ANY, 0, 0, place.length)
            for place in extents.places(state.extents, state.size)
        )
        differing = content.differences(content.joined(wanted), state.content)
        found = [item for item in differing if item.expected is not None and item.expected.source == ZERO]
        if found:
            expected, observed = content.difference_texts(found, bench.block)
            because = "holes and unwritten extents read as zeros"
            bench.find("content", 0, file, expected, observed, because, at=moment.at)
            return


def _header(bench: Bench, file: str) -> None:
    if file not in bench.history.whole_headers:
        return
    if file in bench.history.nameless:  # its name may lead to another file by now
        return
    for moment, state in bench.record.states(file):
        if moment.at != "remounted" or not readable(state):
            continue
        if not state.content or state.content[0].source != SWAP_HEADER:
            held = content.content_text(content.cut(state.content, 0, PAGE), bench.block)
            because = "swap I/O never writes to the header page"
            bench.find("swap header", 0, file, "the header that was written", held, because, at=moment.at)
            return


def _seen(bench: Bench) -> None:
    """What reads and loads found."""
    history = bench.history
    for step in bench.trial.steps:
        done = bench.record.steps.get(step.number)
        if done is None or not isinstance(step.call, (calls.Read, calls.Load)):
            continue
        files = history.files.of(step.call)
        if files & history.swapped:
            continue
        quiet = not bench.record.running_at.get(step.number)
        found = list(_foreign(bench, done.outcome.seen, quiet, bool(files & history.headers)))
        if found:
            bench.find(
                "foreign data",
                step.number,
                ", ".join(sorted(files)),
                "what somebody in this trial wrote, or zeros",
                f"{content.content_text(done.outcome.seen, bench.block)} (counted from the first byte seen)",
                "no file shows stale or foreign data",
            )


def _mapping(bench: Bench, moment: Moment, name: str, mapping: MapState) -> None:
    if not mapping.shared and (mapping.touched or name in bench.history.copied):
        return
    state: FileState | None = moment.state.files.get(mapping.file)
    if state is None or not readable(state):
        return
    held = content.header_hidden(content.cut(state.content, mapping.offset, content.length_of(mapping.content)))
    found = content.differences(held, mapping.content)
    if found:
        expected, observed = content.difference_texts(found, bench.block)
        bench.find(
            "mapping",
            bench.step_of(moment),
            f"{name} (of {mapping.file}, from block {mapping.offset // bench.block} on)",
            expected,
            observed,
            "a mapping shows what its file holds",
            at=moment.at,
        )
