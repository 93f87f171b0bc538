"""The archive writer: order, headers, sameness. That kernels unpack what it writes, tests/e2e shows."""

from __future__ import annotations

import io
import stat
from pathlib import Path

import pytest

from conformance.images import cpio


def make_tree(root: Path) -> None:
    (root / "usr/bin").mkdir(parents=True)
    (root / "usr/bin/tool").write_bytes(b"\x7fELF rest")
    (root / "usr/bin/tool").chmod(0o755)
    (root / "usr/bin-data").write_text("x")
    (root / "bin").symlink_to("usr/bin")


def test_directories_come_before_what_is_in_them(tmp_path: Path) -> None:
    make_tree(tmp_path)
    assert [entry.name for entry in cpio.tree(tmp_path)] == ["bin", "usr", "usr/bin", "usr/bin/tool", "usr/bin-data"]


def test_same_tree_same_bytes_whatever_its_times(tmp_path: Path) -> None:
    archives = []
    for name in ("one", "two"):
        make_tree(tmp_path / name)
        out = io.BytesIO()
        written = cpio.write(cpio.tree(tmp_path / name), out)
        assert written == len(out.getvalue())
        assert written % 512 == 0
        archives.append(out.getvalue())
    assert archives[0] == archives[1]


def test_header_has_mode_owner_and_length() -> None:
    out = io.BytesIO()
    cpio.write([cpio.Entry("a", stat.S_IFREG | 0o644, b"hello")], out)
    header = out.getvalue()
    fields = [int(header[6 + 8 * n : 14 + 8 * n], 16) for n in range(13)]
    assert header[:6] == b"070701"
    assert fields[1:5] == [0o100644, 0, 0, 1]
    assert fields[6] == 5
    assert header[110:112] == b"a\0"
    assert header[112:117] == b"hello"


def test_device_nodes_are_refused() -> None:
    with pytest.raises(ValueError, match="dev/null: mode 20666 is no directory"):
        cpio.write([cpio.Entry("dev/null", stat.S_IFCHR | 0o666, b"")], io.BytesIO())
