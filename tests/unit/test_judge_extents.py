"""Extent maps: places, comparing with and without tolerance, layouts; checked against plain lists of blocks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tracekit import B, Extent

from conformance.judge import extents
from conformance.judge.extents import Tolerance
from conformance.model.trial import Layout

Cell = tuple[str, int]
"""A block: how it is mapped, and its block on the device."""

cells = st.lists(
    st.tuples(st.sampled_from(["hole", "data", "unwritten", "shared"]), st.integers(100, 104)), min_size=1, max_size=12
)


def flags(kind: str) -> tuple[str, ...]:
    return {"data": (), "delalloc": ("delalloc", "unknown")}.get(kind, (kind,))


def one_by_one(blocks: list[Cell]) -> tuple[Extent, ...]:
    """A map with an extent for each block."""
    return tuple(
        Extent(number * B, physical * B, B, flags(kind))
        for number, (kind, physical) in enumerate(blocks)
        if kind != "hole"
    )


def joined(blocks: list[Cell]) -> tuple[Extent, ...]:
    """The same map with extents as long as can be."""
    found: list[Extent] = []
    for extent in one_by_one(blocks):
        last = found[-1] if found else None
        if (
            last
            and last.flags == extent.flags
            and last.logical + last.length == extent.logical
            and last.physical + last.length == extent.physical
        ):
            found[-1] = Extent(last.logical, last.physical, last.length + B, last.flags)
        else:
            found.append(extent)
    return tuple(found)


def plain(blocks: list[Cell]) -> list[Cell]:
    return [(kind, 0 if kind == "hole" else physical) for kind, physical in blocks]


@given(cells)
def test_how_a_map_is_told_does_not_matter(blocks: list[Cell]) -> None:
    assert extents.compare(one_by_one(blocks), joined(blocks)) == ()
    assert extents.identical(one_by_one(blocks), joined(blocks))


@given(cells, cells)
def test_differences_are_those_of_the_blocks(left: list[Cell], right: list[Cell]) -> None:
    padded = max(len(left), len(right))
    a = plain(left) + [("hole", 0)] * (padded - len(left))
    b = plain(right) + [("hole", 0)] * (padded - len(right))
    told = {
        (item.before.at + offset) // B
        for item in extents.compare(joined(left), joined(right))
        for offset in range(0, item.before.length, B)
    }
    assert told == {number for number in range(padded) if a[number] != b[number]}
    assert extents.identical(joined(left), joined(right)) == (a == b)


@given(cells)
def test_a_layout_of_the_blocks_is_their_layout(blocks: list[Cell]) -> None:
    layout = tuple(Layout(kind, B) for kind, _ in blocks)  # type: ignore[arg-type]  # literal
    size = len(blocks) * B
    assert extents.layout_differences(layout, joined(blocks), size) == []
    for number, (kind, _) in enumerate(blocks):
        wrong = tuple(
            Layout("hole" if kind != "hole" else "data", B) if place == number else part
            for place, part in enumerate(layout)
        )
        ((_, place),) = extents.layout_differences(wrong, joined(blocks), size)
        assert (place.at, place.length, place.kind) == (number * B, B, kind)


def compare(before: str, after: str, tolerance: Tolerance, physical: int = 100) -> bool:
    """Whether one block may become another."""
    old, new = one_by_one([(before, 100)]), one_by_one([(after, physical)])
    return not extents.compare(old, new, tolerance)


@pytest.mark.parametrize("after", ["data", "unwritten", "shared", "delalloc"])
def test_a_delayed_allocation_may_become_anything_but_a_hole(after: str) -> None:
    assert compare("delalloc", after, Tolerance(size=B))
    assert not compare("delalloc", "hole", Tolerance(size=B))
    assert compare("delalloc", "hole", Tolerance(size=0))


def test_dirty_places_may_become_data() -> None:
    dirty = Tolerance(dirty=True, size=B)
    for before in ("unwritten", "shared"):
        assert compare(before, "data", dirty, 555)
        assert not compare(before, "data", Tolerance(size=B))
        assert not compare(before, "hole", dirty)
    assert not compare("data", "data", dirty, 555)
    assert compare("data", "data", Tolerance(dirty=True, in_place=False, size=B), 555)
    assert not compare("data", "unwritten", dirty)
    assert not compare("hole", "data", dirty)


def test_what_was_shared_may_stay_alone() -> None:
    assert compare("shared", "data", Tolerance(unshared=True))
    assert not compare("shared", "data", Tolerance())
    assert not compare("shared", "data", Tolerance(unshared=True), 555)
    assert not compare("data", "shared", Tolerance(unshared=True))


def test_places_on_the_device_may_be_left_out() -> None:
    assert not compare("data", "data", Tolerance(), 555)
    assert compare("data", "data", Tolerance(physical=False), 555)


def test_only_so_much_is_compared() -> None:
    longer = one_by_one([("data", 100), ("unwritten", 101)])
    shorter = one_by_one([("data", 100)])
    assert extents.compare(longer, shorter) != ()
    assert extents.compare(longer, shorter, Tolerance(until=B)) == ()


def test_extents_that_touch_on_the_device_are_one_fragment() -> None:
    assert extents.fragments(joined([("data", 100), ("unwritten", 101), ("data", 103)])) == 2
    assert extents.fragments(one_by_one([("data", 100), ("hole", 0), ("data", 101)])) == 1
    assert extents.fragments(one_by_one([("delalloc", 0)])) == 0


def test_maps_are_told_in_blocks() -> None:
    blocks: list[Cell] = [("data", 100), ("data", 200), ("hole", 0), ("unwritten", 7), ("delalloc", 0)]
    assert extents.map_text(one_by_one(blocks), 5 * B, B) == "0-1: data, 2: hole, 3: unwritten, 4: delalloc"
    assert extents.map_text((), 0, B) == "nothing"
    found = extents.compare(one_by_one([("data", 1)] * 2), one_by_one([("data", 1), ("unwritten", 1)]))
    assert extents.difference_texts(found, B) == ("1: data", "1: unwritten")
