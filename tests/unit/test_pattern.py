"""Contents say whose they are, whatever was moved, cut or mixed."""

from __future__ import annotations

import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.pattern import UNKNOWN, ZERO, Palette, Run


def palette(salt: str = "trial") -> Palette:
    return Palette(salt, ["target", "donor", "step1", "writer"])


def test_a_whole_file_is_one_run() -> None:
    p = palette()
    assert p.decode(p.encode("target", 0, 65536)) == (Run("target", 0, 0, 65536),)


def test_moved_blocks_keep_their_place_of_origin() -> None:
    p = palette()
    data = p.encode("donor", 8192, 4096) + bytes(4096) + p.encode("target", 0, 4096)
    assert p.decode(data) == (Run("donor", 0, 8192, 4096), Run(ZERO, 0, 0, 4096), Run("target", 0, 0, 4096))


def test_versions_of_a_looping_writer_are_told_apart() -> None:
    p = palette()
    data = p.encode("writer", 0, 4096, 7) + p.encode("writer", 4096, 4096, 8)
    assert p.decode(data) == (Run("writer", 7, 0, 4096), Run("writer", 8, 4096, 4096))


def test_a_mixture_inside_a_sector_is_seen() -> None:
    p = palette()
    old, new = p.encode("target", 0, 512), p.encode("step1", 0, 512)
    assert p.decode(new[:96] + old[96:]) == (Run("step1", 0, 0, 96), Run("target", 0, 96, 416))


def test_bytes_of_another_trial_are_unknown() -> None:
    foreign = palette("another trial").encode("target", 0, 4096)
    (run,) = palette().decode(foreign)
    assert (run.source, run.length) == (UNKNOWN, 4096)


def test_one_wrong_byte_is_seen_anywhere() -> None:
    p = palette()
    data = bytearray(p.encode("target", 0, 65536))
    data[40_001] ^= 1
    assert [run.source for run in p.decode(bytes(data))] == ["target", UNKNOWN, "target"]


def test_foreign_sectors_between_our_own_are_unknown_and_told_apart() -> None:
    p = palette()
    noise = [random.Random(seed).randbytes(1024) for seed in (1, 2)]
    runs = [p.decode(p.encode("target", 0, 512) + each + p.encode("target", 1536, 512)) for each in noise]
    for found in runs:
        assert [(run.source, run.length) for run in found] == [("target", 512), (UNKNOWN, 1024), ("target", 512)]
    assert runs[0][1].version != runs[1][1].version


def test_one_unit_of_ours_in_a_foreign_sector_is_seen() -> None:
    p = palette()
    noise = bytearray(random.Random(1).randbytes(512))
    noise[32:48] = p.encode("donor", 0, 16)
    found = [(run.source, run.length) for run in p.decode(bytes(noise))]
    assert found == [(UNKNOWN, 32), ("donor", 16), (UNKNOWN, 464)]


def test_a_short_last_unit_belongs_to_the_run_before_it() -> None:
    p = palette()
    assert p.decode(p.encode("target", 0, 4096 + 3)) == (Run("target", 0, 0, 4099),)


def test_sources_whose_names_collide_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zlib, "crc32", lambda _: 7)
    with pytest.raises(ValueError, match="same checksum"):
        Palette("x", ["target", "donor"])


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["target", "donor", ZERO]), st.integers(0, 200), st.integers(1, 40), st.integers(0, 3)
        ),
        min_size=1,
        max_size=12,
    )
)
def test_any_sequence_of_sectors_decodes_to_what_was_written(pieces: list[tuple[str, int, int, int]]) -> None:
    p = palette()
    data = b""
    wanted: list[tuple[str, int, int]] = []
    for source, sector, count, version in pieces:
        sectors = range(sector, sector + count)
        wanted += [(ZERO, 0, 0) if source == ZERO else (source, version, each * 512) for each in sectors]
        data += bytes(count * 512) if source == ZERO else p.encode(source, sector * 512, count * 512, version)
    found: list[tuple[str, int, int]] = []
    for run in p.decode(data):
        starts = range(0, run.length, 512)
        found += [(ZERO, 0, 0) if run.source == ZERO else (run.source, run.version, run.at + each) for each in starts]
    assert found == wanted
