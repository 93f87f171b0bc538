"""`scripts/setup` where something is missing: what it says, and that it stops before it changes anything."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from conformance.share import share_dir


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what the script reads, with programs of its own before those of the machine."""
    source = share_dir()
    for name in ("scripts", "vm-images", "programs"):
        (tmp_path / name).mkdir()
    shutil.copy(source / "scripts" / "setup", tmp_path / "scripts" / "setup")
    shutil.copy(source / "pyproject.toml", tmp_path)
    (tmp_path / "vm-images" / "debian-packages.txt").write_text(
        "# comment\n\nhere: true\naway-a: false\naway-b: test -e installed\n"
    )
    program(tmp_path, "id", "echo 1000")
    return tmp_path


def program(checkout: Path, name: str, text: str) -> None:
    path = checkout / "programs" / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def set_up(checkout: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHON": "python3", "PATH": f"{checkout / 'programs'}:{os.environ['PATH']}"}
    return subprocess.run(
        [checkout / "scripts" / "setup"],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_rights_the_line_to_type_is_printed(checkout: Path) -> None:
    program(checkout, "sudo", "exit 1")
    program(checkout, "apt-get", "echo called; exit 1")
    done = set_up(checkout)
    assert done.returncode == 1
    assert "setup:     sudo apt-get install -y away-a away-b\n" in done.stderr
    assert "called" not in done.stdout
    assert not (checkout / ".venv").exists()


def test_with_sudo_packages_are_installed_after_an_update(checkout: Path) -> None:
    program(checkout, "sudo", 'shift; exec "$@"')
    program(
        checkout,
        "apt-get",
        'echo "$*" >> log; case "$*" in update) touch updated ;; *) test -e updated && touch installed ;; esac',
    )
    done = set_up(checkout)
    install = "install -y --no-install-recommends away-a away-b"
    assert (checkout / "log").read_text().splitlines() == [install, "update", install]
    assert done.returncode == 1
    assert "installed away-a, but what they are needed for still fails" in done.stderr


def test_what_apt_says_is_shown_when_it_fails(checkout: Path) -> None:
    program(checkout, "sudo", 'shift; exec "$@"')
    program(checkout, "apt-get", 'echo "E: Unable to locate package"; exit 100')
    done = set_up(checkout)
    assert done.returncode == 1
    assert "E: Unable to locate package\nsetup: could not install away-a away-b" in done.stderr


def test_an_old_python_is_refused(checkout: Path) -> None:
    program(checkout, "python3", 'test "$1" = --version && echo Python 3.9.2')
    done = set_up(checkout)
    assert done.returncode == 1
    assert "expected Python 3.11 or newer as python3, found Python 3.9.2" in done.stderr
