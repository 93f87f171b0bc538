"""Quantities, ranges, layouts and pieces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.corpus.quantities import MAX, parts, pieces, quantity, span
from conformance.model.trial import Piece
from kernel.units import WHOLE, Span


@pytest.mark.parametrize(
    ("text", "block", "expected"),
    [
        ("8b", 4096, 32768),
        ("8b", 1024, 8192),
        ("2p", 1024, 8192),
        ("4k", 4096, 4096),
        ("2m", 4096, 2 << 20),
        ("17", 4096, 17),
        (17, 4096, 17),
        ("0", 4096, 0),
        ("5bytes", 4096, 5),
        ("1byte", 4096, 1),
        ("8b+3", 4096, 32771),
        ("2p-1", 4096, 8191),
        ("1b+1p", 1024, 5120),
        (" 1b + 2 ", 4096, 4098),
    ],
)
def test_quantity(text: object, block: int, expected: int) -> None:
    assert quantity(text, block) == expected


@pytest.mark.parametrize("text", ["", "b", "8x", "8 b", "8b+", "+8b", "1b*2", "eight", "8b 3", "1.5k", "-1"])
def test_quantity_says_what_it_expected(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected .*found") as found:
        quantity(text, 4096)
    assert repr(text) in str(found.value)


@pytest.mark.parametrize("value", [-1, "1b-5000"])
def test_negative_quantity_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="expected a quantity"):
        quantity(value, 4096)


@pytest.mark.parametrize("value", [True, 1.5, None, ["8b"]])
def test_quantity_of_another_type_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="expected a quantity"):
        quantity(value, 4096)


def test_quantity_beyond_the_last_position_is_refused() -> None:
    assert quantity(str(MAX), 4096) == MAX
    with pytest.raises(ValueError, match=r"2\^63-1"):
        quantity("9007199254740992m", 4096)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0+1b", Span(0, 4096)),
        ("2+1b", Span(8192, 4096)),
        ("1b+28", Span(4096, 28)),
        ("8b-1+2", Span(32767, 2)),
        ("1bytes+1b", Span(1, 4096)),
        ("3+4", Span(3, 4)),
        ("0+8b+3", Span(0, 32771)),
        ("1p+2b", Span(4096, 8192)),
        ("8b+rest", Span(32768, -1)),
        ("all", WHOLE),
        ("0+0", Span(0, 0)),
    ],
)
def test_span(text: str, expected: Span) -> None:
    assert span(text, 4096) == expected


@pytest.mark.parametrize("text", ["8b", "+8b", "8b+", "all+1b", "0..8b", "", "0+1x", "1b-2b+1b"])
def test_span_says_what_it_expected(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        span(text, 4096)


def test_span_that_overflows_is_refused() -> None:
    with pytest.raises(ValueError, match="overflows"):
        span(f"{MAX}+1", 4096)


def test_span_that_is_a_number_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a range"):
        span(8, 4096)


@given(
    first=st.integers(0, 1 << 30), count=st.integers(0, 1 << 30), unit=st.sampled_from(["b", "p", "k", "m", "bytes"])
)
def test_a_bare_first_takes_the_unit_of_the_count(first: int, count: int, unit: str) -> None:
    assert span(f"{first}+{count}{unit}", 1024) == span(f"{first}{unit}+{count}{unit}", 1024)


@given(st.text(max_size=12))
def test_no_text_makes_anything_but_a_value_or_a_value_error(text: str) -> None:
    for read in (quantity, span):
        try:
            read(text, 4096)
        except ValueError as error:
            assert "expected" in str(error)  # noqa: PT017  # which of the two it is depends on the text


def test_parts() -> None:
    assert parts("data:1b hole:2b", 4096, ("data", "hole"), "") == [("data", 4096), ("hole", 8192)]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "expected a layout"),
        ("data", "expected KIND:LENGTH"),
        ("date:8b", "expected KIND:LENGTH"),
        ("data:0b", "expected a length above 0"),
        ("data:8x", "expected a quantity"),
        (8, "expected a layout"),
    ],
)
def test_parts_say_what_they_expected(text: object, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parts(text, 4096, ("data", "hole"), "data:8b")


def test_pieces() -> None:
    asked: list[str] = []
    found = pieces("donor:0+1b step2:1b+28 zero:2b any:1 swap_header:1p", 4096, asked.append)
    assert found == (
        Piece("donor", 0, 4096),
        Piece("step2", 4096, 28),
        Piece("zero", 0, 8192),
        Piece("any", 0, 1),
        Piece("swap_header", 0, 4096),
    )
    assert asked == ["donor", "step2"]


@pytest.mark.parametrize("text", ["", "donor", "donor:4b", "donor:all", "zero:0", "donor:0+0", "../etc:0+1b", ":0+1b"])
def test_pieces_say_what_they_expected(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        pieces(text, 4096, str)
