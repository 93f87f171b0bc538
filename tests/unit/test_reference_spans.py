"""Maps of stretches against plain dictionaries."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from kernel.reference.contents import Tape
from kernel.reference.forks import WRITTEN, Extents
from kernel.reference.spans import Spans

RANGE = st.tuples(st.integers(0, 20), st.integers(0, 20)).map(lambda pair: (min(pair), max(pair)))
CHANGE = st.tuples(st.sampled_from(["put", "drop"]), RANGE, st.integers(0, 2))


@given(st.lists(CHANGE, max_size=20))
def test_a_map_is_what_was_put_last(changes: list[tuple[str, tuple[int, int], int]]) -> None:
    spans: Spans[int] = Spans()
    plain: dict[int, int] = {}
    for what, (start, end), value in changes:
        if what == "put":
            spans.put(start, end, value)
            plain |= dict.fromkeys(range(start, end), value)
        else:
            spans.drop(start, end)
            for at in range(start, end):
                plain.pop(at, None)
        assert {at: v for a, b, v in spans for at in range(a, b)} == plain
        assert [spans.get(at) for at in range(22)] == [plain.get(at) for at in range(22)]
        stretches = list(spans)
        assert all(one[1] < two[0] or one[2] != two[2] for one, two in itertools.pairwise(stretches))


@given(st.lists(CHANGE, max_size=12), RANGE)
def test_whole_tells_gaps_too(changes: list[tuple[str, tuple[int, int], int]], where: tuple[int, int]) -> None:
    spans: Spans[int] = Spans()
    for what, (start, end), value in changes:
        if what == "put":
            spans.put(start, end, value)
        else:
            spans.drop(start, end)
    told = {at: value for a, b, value in spans.whole(*where) for at in range(a, b)}
    assert told == {at: spans.get(at) for at in range(*where)}


def test_stretches_that_continue_each_other_are_one() -> None:
    extents = Extents()
    extents.put(0, 4, (100, WRITTEN))
    extents.put(6, 8, (106, WRITTEN))
    extents.put(4, 6, (104, WRITTEN))
    assert list(extents) == [(0, 8, (100, WRITTEN))]


def test_a_cut_stretch_knows_what_its_second_half_is() -> None:
    tape = Tape()
    tape.put(0, 100, ("a", 0, 0))
    tape.put(40, 60, ("b", 0, 7))
    assert list(tape)[2] == (60, 100, ("a", 0, 60))


def test_shift_moves_all_behind_a_place() -> None:
    extents = Extents()
    extents.put(0, 8, (100, WRITTEN))
    extents.drop(2, 4)
    extents.shift(4, -2)
    assert list(extents) == [(0, 2, (100, WRITTEN)), (2, 6, (104, WRITTEN))]
