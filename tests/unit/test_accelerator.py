"""What is remembered of KVM, and when it has to be tried."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance.cachedir import cache_dir
from conformance.machines import accelerator
from conformance.machines.accelerator import proved, remember


@pytest.fixture(autouse=True)
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A host whose /dev/kvm is a file of the test's."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cache_dir().mkdir()
    device = tmp_path / "kvm"
    device.touch()
    monkeypatch.setattr(accelerator, "_DEVICE", device)
    return device


def test_a_device_that_opens_has_to_be_tried() -> None:
    assert proved("qemu 1") is None


@pytest.mark.parametrize(("works", "used"), [(True, "kvm"), (False, "tcg")])
def test_what_was_found_is_remembered_for_this_qemu(works: bool, used: str) -> None:
    remember("qemu 1", works=works)
    assert proved("qemu 1") == used
    assert proved("qemu 2") is None


def test_without_a_device_there_is_nothing_to_try(host: Path) -> None:
    remember("qemu 1", works=True)
    host.unlink()
    assert proved("qemu 1") == "tcg"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"qemu": 1}'])
def test_a_damaged_memory_is_none(text: str) -> None:
    (cache_dir() / "kvm.json").write_text(text)
    assert proved("qemu 1") is None
