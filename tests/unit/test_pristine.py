"""A pristine file system comes back byte for byte, and nothing else with it."""

from __future__ import annotations

import os
from pathlib import Path

from conformance.machines.pristine import Pristine

SIZE = 8 << 20


def raw(path: Path, writes: dict[int, bytes]) -> Path:
    with path.open("wb") as file:
        file.truncate(SIZE)
        for at, data in writes.items():
            os.pwrite(file.fileno(), data, at)
    return path


def test_capture_keeps_what_is_not_zero(tmp_path: Path) -> None:
    scratch = raw(tmp_path / "scratch", {0: b"super", 1 << 20: bytes(8192) + b"x" * 4096, SIZE - 3: b"end"})
    made = Pristine.capture(scratch)
    assert made.size == SIZE
    assert [at for at, _ in made.extents] == [0, (1 << 20) + 8192, SIZE - 4096]
    assert sum(len(data) for _, data in made.extents) == 3 * 4096


def test_restore_removes_what_a_trial_wrote(tmp_path: Path) -> None:
    scratch = raw(tmp_path / "scratch", {4096: b"pristine"})
    wanted = scratch.read_bytes()
    made = Pristine.capture(scratch)
    raw(scratch, {0: b"dirt" * 1000, 4096: b"overwritten", 3 << 20: b"more dirt"})
    made.restore(scratch)
    assert scratch.read_bytes() == wanted


def test_a_saved_copy_is_sparse_and_the_same(tmp_path: Path) -> None:
    made = Pristine.capture(raw(tmp_path / "scratch", {1 << 20: b"data"}))
    made.save(tmp_path / "copy.img")
    assert Pristine.capture(tmp_path / "copy.img") == made
    assert (tmp_path / "copy.img").stat().st_blocks * 512 < SIZE // 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy.img", "scratch"]
