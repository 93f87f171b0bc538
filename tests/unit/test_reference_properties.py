"""Random calls on the reference: its contents are those of a plain array of cells, its books add up, and a crash at
any point recovers to something legal."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reference_kit import CELL, Bench, Cell, cells_of, data

from kernel import calls
from kernel.calls import Call
from kernel.reference import BTRFS, EXT4, F2FS, FULL, XFS, Personality, check
from kernel.reference.core import Crash
from kernel.reference.personality import XFS_EXCHANGE
from kernel.units import Bytes, FdName, MapName, NewName, Span

BLOCKS = 12
"""Of the largest file."""
FILES = ("a", "b")


@dataclass
class Model:
    """Files as arrays of cells, and each array that a file has been since all was durable."""

    files: dict[str, list[Cell]]
    past: dict[str, list[list[Cell]]] = field(default_factory=dict)

    def remember(self) -> None:
        for name, cells in self.files.items():
            self.past.setdefault(name, []).append(list(cells))

    def forget(self) -> None:
        self.past.clear()
        self.remember()

    def resize(self, name: str, count: int) -> None:
        cells = self.files[name]
        del cells[count:]
        cells += [None] * (count - len(cells))

    def put(self, name: str, at: int, new: list[Cell]) -> None:
        if at + len(new) > len(self.files[name]):
            self.resize(name, at + len(new))
        self.files[name][at : at + len(new)] = new


def written(source: str, span: Span) -> list[Cell]:
    return [(source, at) for at in range(span.offset, span.end, CELL)]


def apply(model: Model, call: Call, source: str) -> None:
    """What a call that succeeded does to the cells."""
    if isinstance(call, calls.Write):
        at = call.range.offset // CELL
        new = written(source, call.range)
        if call.bytes == "zero":
            new = [None] * len(new)
        model.put(call.file, at, new)
    elif isinstance(call, calls.Store):
        model.put(call.map[-1], call.range.offset // CELL, written(source, call.range))
    elif isinstance(call, calls.Truncate):
        model.resize(call.file, call.size // CELL)
    elif isinstance(call, calls.Fallocate):
        fallocate(model, call)
    elif isinstance(call, (calls.Clone, calls.CopyRange)):
        source_cells = model.files[call.source]
        span = call.range.within(len(source_cells) * CELL)
        model.put(call.target, call.at // CELL, source_cells[span.offset // CELL : span.end // CELL])
    elif isinstance(call, calls.Exchange):
        exchange(model, call)


def fallocate(model: Model, call: calls.Fallocate) -> None:
    cells = model.files[call.file]
    first, last = call.range.offset // CELL, call.range.end // CELL
    if call.mode == "collapse":
        del cells[first:last]
    elif call.mode == "insert":
        cells[first:first] = [None] * (last - first)
    else:
        if call.mode in ("allocate", "zero") and last > len(cells):
            model.resize(call.file, last)
        if call.mode in ("zero", "zero_keep_size", "punch"):
            for at in range(first, min(last, len(cells))):
                cells[at] = None


def exchange(model: Model, call: calls.Exchange) -> None:
    target, donor = model.files[call.target], model.files[call.donor]
    if call.via in ("swapext", "exchange_range"):
        span = call.range.within(len(target) * CELL)
        first, last = span.offset // CELL, span.end // CELL
        target[first:last], donor[first:last] = donor[first:last], target[first:last]
    elif call.via == "move_range":
        span = call.range.within(len(donor) * CELL)
        first, last = span.offset // CELL, span.end // CELL
        model.put(call.target, first, donor[first:last])
        donor[first:last] = [None] * (last - first)


@st.composite
def spans(draw: st.DrawFn, unit: int) -> Span:
    first = draw(st.integers(0, BLOCKS - 1))
    count = draw(st.integers(1, BLOCKS - first))
    return Span(first * unit, count * unit)


def steps(block: int) -> st.SearchStrategy[Call]:
    name = st.sampled_from(FILES).map(FdName)
    modes = ["allocate", "keep_size", "punch", "zero", "zero_keep_size", "collapse", "insert", "unshare"]
    whole, part = spans(block), spans(CELL * 3)
    pair = st.sampled_from([("a", "b"), ("b", "a")])
    return st.one_of(
        st.builds(
            calls.Write,
            name,
            st.one_of(whole, part),
            st.sampled_from(["different", "different", "zero"]),
            st.booleans(),
        ),
        st.builds(calls.Truncate, name, st.integers(0, BLOCKS * 8).map(lambda n: Bytes(n * CELL))),
        st.builds(calls.Fallocate, name, st.sampled_from(modes), st.one_of(whole, part)),
        pair.flatmap(lambda p: st.builds(calls.Clone, st.just(FdName(p[0])), st.just(FdName(p[1])))),
        pair.flatmap(lambda p: st.builds(calls.CopyRange, st.just(FdName(p[0])), st.just(FdName(p[1])))),
        st.builds(calls.Exchange, st.sampled_from(["swapext"]), st.just(FdName("a")), st.just(FdName("b"))),
        whole.map(lambda span: calls.Exchange("exchange_range", FdName("a"), FdName("b"), range=span)),
        whole.map(lambda span: calls.Exchange("move_range", FdName("a"), FdName("b"), range=span)),
        st.builds(calls.Store, st.sampled_from(["view_a", "view_b"]).map(MapName), st.one_of(whole, part)),
        st.builds(calls.Load, st.sampled_from(["view_a", "view_b"]).map(MapName), whole),
        st.builds(calls.Fsync, name),
        st.just(calls.Sync()),
        st.just(calls.DropCaches()),
        st.builds(calls.SetXattr, name, st.just("user.x"), st.sampled_from([8, 200, 3000]).map(Bytes)),
    )


PERSONALITIES = [EXT4, XFS, XFS_EXCHANGE, BTRFS, F2FS, FULL]


def prepared(personality: Personality, block: int) -> tuple[Bench, Model]:
    bench = Bench(personality, data("a", 6, block), data("b", 4, block), block=block)
    for name in FILES:
        bench.do(calls.Map(FdName(name), NewName(f"view_{name}"), Span(0, BLOCKS * 4096)))
    model = Model({name: bench.cells(name) for name in FILES})
    model.forget()
    return bench, model


def follow(bench: Bench, model: Model, call: Call) -> None:
    """Makes a call on both."""
    outcome = bench.do(call)
    if outcome.ok:
        apply(model, call, f"step{bench.number}")
    model.remember()
    if outcome.ok and isinstance(call, calls.Sync):
        model.forget()


def behind(model: Model, call: Call) -> bool:
    """Whether a call stores behind the end of a file: in its last page that is seen until somebody zeroes it."""
    return isinstance(call, calls.Store) and call.range.end > len(model.files[call.map[-1]]) * CELL


def agree(bench: Bench, model: Model) -> None:
    for name in FILES:
        assert bench.cells(name) == model.files[name]


@pytest.mark.parametrize("block", [1024, 4096])
@pytest.mark.parametrize("personality", PERSONALITIES, ids=lambda each: each.name)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(draw=st.data())
def test_contents_are_those_of_an_array_and_the_books_add_up(
    personality: Personality, block: int, draw: st.DataObject
) -> None:
    bench, model = prepared(personality, block)
    for call in draw.draw(st.lists(steps(block), max_size=14)):
        if behind(model, call):
            continue
        follow(bench, model, call)
        agree(bench, model)
    for look in (bench.kernel.flush, bench.kernel.drop_caches, bench.kernel.remount_files):
        look()
        agree(bench, model)
    assert bench.problems() == []
    assert not [line for line in bench.kernel.console() if "Assertion" in line]


@pytest.mark.parametrize("personality", PERSONALITIES, ids=lambda each: each.name)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(draw=st.data())
def test_a_crash_at_any_transaction_recovers_to_something_legal(personality: Personality, draw: st.DataObject) -> None:
    block = 4096
    bench, model = prepared(personality, block)
    fs = bench.kernel.fs
    fs.disk.crash_at = fs.disk.committed + draw.draw(st.integers(1, 40))
    sequence = draw.draw(st.lists(steps(block), max_size=14))
    try:
        for call in sequence:
            if behind(model, call):
                continue
            reached = Model({name: list(cells) for name, cells in model.files.items()})
            apply(reached, call, f"step{bench.number + 1}")
            for name, cells in reached.files.items():
                model.past[name].append(cells)
            follow(bench, model, call)
        fs.flush_log()
    except Crash:
        pass
    fs.disk.crash_at = -1
    fs.mount()
    assert not fs.disk.reserved
    for name in FILES:
        inode = fs.lookup(name)
        found = cells_of(bench.kernel.trial.machine.reader.runs(fs.read(inode, 0, inode.size)))
        for at, cell in enumerate(found):
            legal = {past[at] if at < len(past) else None for past in model.past[name]} | {None}
            assert cell in legal, f"{name} at {at * CELL}"
    fs.unmount()
    assert check.problems(fs) == []


@pytest.mark.parametrize("personality", PERSONALITIES, ids=lambda each: each.name)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(draw=st.data())
def test_what_was_synced_survives_a_crash_whole(personality: Personality, draw: st.DataObject) -> None:
    block = 4096
    bench, model = prepared(personality, block)
    for call in draw.draw(st.lists(steps(block), max_size=10)):
        if (
            isinstance(call, calls.Store)
            and call.range.end > len(model.files["a" if call.map == "view_a" else "b"]) * CELL
        ):
            continue
        follow(bench, model, call)
    bench.kernel.flush()
    fs = bench.kernel.fs
    fs.mount()
    for name in FILES:
        inode = fs.lookup(name)
        assert cells_of(bench.kernel.trial.machine.reader.runs(fs.read(inode, 0, inode.size))) == model.files[name]
