"""The command that repeats a trial names everything that is not as by default."""

from __future__ import annotations

import pytest

from conformance.model.trial import RuleText, Trial
from conformance.runner.explaining import repeat_command
from conformance.runner.settings import Settings
from kernel.setup import FileSystem

SYSTEM = FileSystem("xfs", 4096, ("mkfs", "{device}"), ("fsck", "{device}"))


@pytest.mark.parametrize(
    ("settings", "target", "command"),
    [
        (Settings("ext4,xfs", "uml-6.1", "uml"), "xfs:1k", "pytest --fs=xfs:1k 'a/b[n=1]@xfs:1k'"),
        (Settings("xfs", "6.12-cloud", "qemu"), "xfs:1k", "pytest --fs=xfs:1k --kernel=6.12-cloud 'a/b[n=1]@xfs:1k'"),
        (
            Settings("ext4,./my files/ours.toml:x", "/k/linux", "uml", "strict", cases=("/my cases",)),
            "ours:x",
            (
                "pytest '--fs=./my files/ours.toml:x' --kernel=/k/linux '--cases=/my cases' "
                "--profile=strict 'a/b[n=1]@ours:x'"
            ),
        ),
    ],
)
def test_the_command(settings: Settings, target: str, command: str) -> None:
    trial = Trial(f"a/b[n=1]@{target}", "a/b", "t", RuleText("X-1", "MUST", "s", "s"), target, SYSTEM, (), ())
    assert repeat_command(settings, trial) == command
