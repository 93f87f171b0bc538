"""Reading tracefs, on files that look like one. With a kernel's own it is tested in tests/e2e/test_qemu.py."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kernel.linux import tracing

STATS = (
    "entries: {}\noverrun: {}\ncommit overrun: 7\nbytes: 512\noldest event ts: 1.5\ndropped events: 1\nread events: 0\n"
)


@pytest.fixture
def tracefs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(tracing, "TRACEFS", tmp_path)
    return tmp_path


def test_a_kernel_without_tracefs_or_without_the_events_tells_nothing(tracefs: Path) -> None:
    assert tracing.transactions("xfs", "/dev/null") == {}
    (tracefs / "events" / "xfs" / "xfs_trans_alloc").mkdir(parents=True)
    assert tracing.transactions("ext4", "/dev/null") == {}
    assert tracing.transactions("vfat", "/dev/null") == {}
    assert tracing.transactions("xfs", "/dev/null") == {}  # no instances in it


def test_events_of_all_processors_are_counted(tracefs: Path) -> None:
    for number, counts in enumerate(((3, 40), (0, 0))):
        cpu = tracefs / "instances" / "conformance-xfs" / "per_cpu" / f"cpu{number}"
        cpu.mkdir(parents=True)
        (cpu / "stats").write_text(STATS.format(*counts))
    assert tracing.transactions("xfs", "/dev/null") == {"transactions traced": 45}


def test_events_are_those_of_the_device(tracefs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tracefs / "events" / "ext4" / "ext4_journal_start").mkdir(parents=True)
    event = tracefs / "instances" / "conformance-ext4" / "events" / "ext4" / "ext4_journal_start"
    # In tracefs a new instance has all events at once.
    monkeypatch.setattr(Path, "mkdir", lambda path: os.makedirs(path / "events" / "ext4" / "ext4_journal_start"))
    assert tracing.transactions("ext4", "/dev/null") == {"transactions traced": 0}
    null = os.stat("/dev/null").st_rdev
    assert (event / "filter").read_text() == f"dev == {os.major(null) << 20 | os.minor(null)}"
    assert (event / "enable").read_text() == "1"
