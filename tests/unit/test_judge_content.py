"""Runs: cutting, comparing, matching and telling them; checked against plain lists of sectors."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tracekit import B, spec

from conformance.judge import content
from conformance.judge.content import Runs
from conformance.model.trial import Piece
from kernel.pattern import SWAP_HEADER, UNKNOWN, ZERO, Palette, Run
from kernel.units import SECTOR

Sector = tuple[str, int, int]
"""What one sector holds: source, pass, and the sector it was written for."""

sectors = st.lists(
    st.one_of(
        st.just((ZERO, 0, 0)),
        st.tuples(st.sampled_from(["target", "step1"]), st.integers(0, 1), st.integers(0, 6)),
    ),
    max_size=24,
)


def runs_of(found: list[Sector]) -> Runs:
    made = (Run(source, version, 0 if source == ZERO else at * SECTOR, SECTOR) for source, version, at in found)
    return content.joined(made)


def sectors_of(runs: Runs) -> list[Sector]:
    return [
        (run.source, run.version, 0 if run.source == ZERO else (run.at + offset) // SECTOR)
        for run in runs
        for offset in range(0, run.length, SECTOR)
    ]


@given(sectors)
def test_joining_loses_nothing(found: list[Sector]) -> None:
    assert sectors_of(runs_of(found)) == found


@given(sectors, st.integers(0, 30), st.integers(0, 30))
def test_cutting_is_slicing(found: list[Sector], start: int, length: int) -> None:
    cut = content.cut(runs_of(found), start * SECTOR, length * SECTOR)
    assert sectors_of(cut) == found[start : start + length]


@given(sectors, sectors)
def test_differences_are_those_of_the_sectors(left: list[Sector], right: list[Sector]) -> None:
    different = {
        n for n in range(max(len(left), len(right))) if n >= len(left) or n >= len(right) or left[n] != right[n]
    }
    told = {
        (d.at + offset) // SECTOR
        for d in content.differences(runs_of(left), runs_of(right))
        for offset in range(0, d.length, SECTOR)
    }
    assert told == different


@given(sectors, sectors)
def test_both_contents_are_seen_side_by_side(left: list[Sector], right: list[Sector]) -> None:
    parts = list(content.aligned(runs_of(left), runs_of(right)))
    assert sectors_of(tuple(a for _, _, a, _ in parts if a)) == left
    assert sectors_of(tuple(b for _, _, _, b in parts if b)) == right
    assert [at for at, _, _, _ in parts] == [sum(n for _, n, _, _ in parts[:k]) for k in range(len(parts))]


@given(sectors)
def test_a_content_agrees_with_what_a_palette_reads(found: list[Sector]) -> None:
    palette = Palette("salt", ("target", "step1"))
    data = b"".join(
        bytes(SECTOR) if source == ZERO else palette.encode(source, at * SECTOR, SECTOR, version)
        for source, version, at in found
    )
    assert content.differences(runs_of(found), palette.decode(data)) == ()


def test_a_part_of_unknown_bytes_is_equal_to_any() -> None:
    whole = (Run(UNKNOWN, 11, 0, 4 * B),)
    part = content.cut(whole, B, B)
    assert content.differences(part, (Run(UNKNOWN, 12, 0, B),)) == ()
    assert content.differences(whole, (Run(UNKNOWN, 12, 0, 4 * B),)) != ()
    assert content.differences(whole, (Run("target", 0, 0, 4 * B),)) != ()


def test_anything_is_anything() -> None:
    assert content.differences((Run(content.ANY, 0, 0, B),), (Run(UNKNOWN, 1, 0, B),)) == ()
    assert content.differences((Run("writer", content.SOME, 0, B),), (Run("writer", 9, 0, B),)) == ()
    assert content.differences((Run("writer", content.SOME, 0, B),), (Run("writer", 9, B, B),)) != ()


def test_a_hidden_header_is_anything() -> None:
    held = (Run(SWAP_HEADER, 0, 0, B), Run("target", 0, B, B))
    assert content.differences(content.header_hidden(held), (Run(ZERO, 0, 0, B), Run("target", 0, B, B))) == ()


def test_pieces_follow_what_a_file_held() -> None:
    held = {"target": (Run("target", 0, 0, B), Run(ZERO, 0, 0, B))}
    assert content.from_pieces((Piece("target", 0, 2 * B),), held) == held["target"]
    assert content.from_pieces((Piece("target", B, B), Piece("zero", 0, B)), held) == (Run(ZERO, 0, 0, 2 * B),)
    behind = content.from_pieces((Piece("target", B, 2 * B),), held)
    assert behind == (Run(ZERO, 0, 0, B), Run("target", 0, 2 * B, B))
    assert content.from_pieces((Piece("step3", B, B),), held) == (Run("step3", content.SOME, B, B),)


def test_what_files_are_made_of() -> None:
    made = content.initial(spec("a", "data:1 hole:1 shared:1 comb:4", tail=9), B)
    assert content.content_text(made, B) == "0: a, 1: zeros, 2-3: a, 4: zeros, 5: a, 6: zeros, bytes 28672-28680: a"


@pytest.mark.parametrize(
    ("runs", "text"),
    [
        ((), "nothing"),
        ((Run("target", 0, 0, 2 * B),), "0-1: target"),
        ((Run("step4", 0, 0, 4 * B), Run("target", 0, 4 * B, 12 * B)), "0-3: step4, 4-15: target"),
        ((Run("target", 0, 8 * B, B),), "0: target 8"),
        ((Run("writer", 3, 0, B),), "0: writer pass 3"),
        ((Run(ZERO, 0, 0, 100),), "bytes 0-99: zeros"),
        (
            (Run(UNKNOWN, 1, 0, B), Run(SWAP_HEADER, 0, 0, B)),
            "0: bytes that nobody in this trial wrote, 1: the swap header",
        ),
        (tuple(Run("a", n, 0, B) for n in range(1, 12)), ", … (3 more)"),
    ],
)
def test_contents_are_told_in_blocks(runs: Runs, text: str) -> None:
    told = content.content_text(runs, B)
    assert told == text or (text.startswith(", …") and told.endswith(text))
