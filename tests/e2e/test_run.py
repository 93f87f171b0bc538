"""Whole runs with real guests: in parallel, through crashes and hangs, judged again, ended by signals."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest
from runkit import SECONDS, Run, Started, descendants, run

KINDS = {
    "provoked/panic@ext4:4k": "crash",
    "provoked/exit@ext4:4k": "crash",
    "provoked/hang@ext4:4k": "hang",
    "provoked/warning@ext4:4k": "fail",
    "provoked/garbage@ext4:4k": "error",
    "provoked/endless_line@ext4:4k": "error",
    "steady/wrong@ext4:4k": "fail",
    **{f"steady/write[number={number}]@ext4:4k": "pass" for number in range(1, 7)},
}


@pytest.fixture(scope="module")
def provoked(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One run with everything that can go wrong in it, on two workers."""
    folder = tmp_path_factory.mktemp("provoked")
    return run(
        folder, "--fs=ext4:4k", "-n2", "steady", "provoked", "-k", "not wait", f"--junitxml={folder / 'junit.xml'}"
    )


def test_what_breaks_a_guest_is_told_apart_and_the_rest_still_runs(provoked: Run) -> None:
    assert provoked.kinds() == KINDS
    assert provoked.status == pytest.ExitCode.TESTS_FAILED
    assert "5 failed, 6 passed, 2 errors" in provoked.output


def test_a_panic_is_told_with_console_and_step(provoked: Run) -> None:
    verdict = provoked.verdicts["provoked/panic@ext4:4k"]
    explanation = str(verdict["explanation"])
    assert explanation.startswith("CRASH: the kernel did not survive it")
    assert "the guest ended (panic) in step 2 (provoke): Kernel panic - not syncing: sysrq" in explanation
    assert re.search(r"the kernel printed:.*\n(  \| .*\n)+", explanation)
    assert "provoked/panic@ext4:4k" in explanation.splitlines()[-1]


def test_several_guests_ran_and_each_said_what_it_did(provoked: Run) -> None:
    workers = {str(event["worker"]) for event in provoked.events if event["event"] == "doing"}
    assert workers == {"gw0", "gw1"}
    assert {str(event["worker"]) for event in provoked.verdicts.values()} == {"gw0", "gw1"}


def test_junit_has_every_trial_with_its_properties(provoked: Run) -> None:
    path = provoked.directory.parent / "junit.xml"
    cases = {case.get("name"): case for case in ET.parse(path).iter("testcase")}
    assert len(cases) == len(KINDS)
    properties = {item.get("name"): item.get("value") for item in cases["provoked.panic@ext4:4k"].iter("property")}
    assert properties.pop("kernel").startswith("6.")
    assert properties == {"verdict": "crash", "rule": "PROVOKED-1", "fs": "ext4", "variant": "4k", "machine": "uml"}
    assert cases["provoked.garbage@ext4:4k"].find("error") is not None
    assert cases["provoked.panic@ext4:4k"].find("failure") is not None


def test_the_run_records_what_it_booted(provoked: Run) -> None:
    provenance = provoked.events[0]["provenance"]
    assert isinstance(provenance, list)
    packages = {name: (version, digest) for name, version, digest in provenance}
    assert {"user-mode-linux", "e2fsprogs", "xfsprogs", "btrfs-progs"} <= set(packages)
    assert all(re.fullmatch("[0-9a-f]{64}", digest) and version for version, digest in packages.values())


def test_judging_the_run_again_gives_the_same_verdicts(provoked: Run) -> None:
    again = subprocess.run(
        [sys.executable, "-m", "conformance.cli", "judge", str(provoked.directory)],
        capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    assert again.returncode == 1, again.stderr
    assert "changed:" not in again.stdout
    assert re.search(r"ext4:4k +6 +!2 +!2 +!1 +!2", again.stdout)


def test_without_xdist_one_guest_runs_everything(tmp_path: Path) -> None:
    done = run(tmp_path, "--fs=ext4:4k", "-p", "no:xdist", "steady/write")
    assert done.status == 0, done.output
    assert "6 passed" in done.output
    assert {event["worker"] for event in done.verdicts.values()} == {"guest"}


def test_few_trials_run_in_one_process(tmp_path: Path) -> None:
    done = run(tmp_path, "--fs=ext4:4k", "steady/write[number=1]@ext4:4k")
    assert done.status == 0, done.output
    assert "1 guest at a time" in done.output


def test_every_file_system_runs_the_same_case(tmp_path: Path) -> None:
    done = run(tmp_path, "--fs=ext4,xfs,btrfs", "steady/write[number=1]@*", "-n2")
    assert done.status == 0, done.output
    assert {name.partition("@")[2].partition(":")[0] for name in done.verdicts} == {"ext4", "xfs", "btrfs"}
    assert set(done.kinds().values()) == {"pass"}


def test_a_file_system_of_ones_own_is_repeated_by_its_path(tmp_path: Path) -> None:
    target = (
        'title = "Ours"\nkind = "ext4"\nblock = "2k"\n'
        'mkfs = ["mkfs.ext4", "-q", "-b", "{block}", "{device}"]\ncheck = ["e2fsck", "-fn", "{device}"]\n'
    )
    (tmp_path / "ours.toml").write_text(target)
    done = run(tmp_path, "--fs=./ours.toml", "steady/write[number=2]@*", "steady/wrong")
    assert done.kinds() == {"steady/write[number=2]@ours:default": "pass", "steady/wrong@ours:default": "fail"}
    assert "--fs=./ours.toml:default" in str(done.verdicts["steady/wrong@ours:default"]["explanation"])


def test_a_failing_mkfs_is_an_error_with_its_output(tmp_path: Path) -> None:
    target = (
        'title = "Ours"\nkind = "ext4"\nblock = "4k"\n'
        'mkfs = ["mkfs.ext4", "-q", "--no-such-option", "{device}"]\ncheck = ["e2fsck", "-fn", "{device}"]\n'
    )
    (tmp_path / "ours.toml").write_text(target)
    done = run(tmp_path, "--fs=./ours.toml", "steady/write[number=2]@*")
    assert done.kinds() == {"steady/write[number=2]@ours:default": "error"}
    assert "no-such-option" in done.output


def test_a_kernel_without_the_file_system_is_told_before_anything_runs(tmp_path: Path) -> None:
    target = (
        'title = "Ours"\nkind = "nosuchfs"\nblock = "4k"\n'
        'mkfs = ["mkfs.ext4", "{device}"]\ncheck = ["e2fsck", "{device}"]\n'
    )
    (tmp_path / "ours.toml").write_text(target)
    done = run(tmp_path, "--fs=./ours.toml", "steady/write")
    assert done.status == pytest.ExitCode.USAGE_ERROR
    assert re.search(r"ERROR: .*has no file system 'nosuchfs'. It has .*ext4.*xfs", done.output)
    assert not done.directory.exists()


# --- signals -----------------------------------------------------------------------------------


@pytest.fixture
def waiting(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Started]:
    """A run whose guests are in the middle of a trial that would take minutes."""
    workers: int = request.param
    started = Started(tmp_path, "--fs=ext4:4k", f"-n{workers}", "provoked/wait")
    try:
        started.wait_until(lambda journal: journal.count('"event":"running"') >= max(1, workers))
        yield started
    finally:
        started.end()


@pytest.mark.parametrize("waiting", [0, 2], indirect=True, ids=["alone", "with workers"])
@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 2), (signal.SIGKILL, -9)], ids=["TERM", "INT", "KILL"]
)
def test_a_signal_leaves_no_process_and_no_file(waiting: Started, number: signal.Signals, status: int) -> None:
    processes = descendants(waiting.pid)
    directories = {Path(found[1]) for process in processes if (found := re.search(r"uml_dir=(\S+)/", process.command))}
    assert directories
    assert all(directory.exists() for directory in directories)
    handles = [os.pidfd_open(process.pid) for process in processes if process.alive()]
    waiting.send(number)
    assert waiting.wait() == status
    for handle in handles:
        assert select.select([handle], [], [], SECONDS)[0], "a process of the run did not end"
        os.close(handle)
    assert [process for process in processes if process.alive()] == []
    assert [directory for directory in directories if directory.exists()] == []


@pytest.mark.parametrize("waiting", [2], indirect=True, ids=["with workers"])
def test_what_was_found_before_a_signal_is_told(waiting: Started) -> None:
    waiting.send(signal.SIGTERM)
    assert waiting.wait() == 143
    log = waiting.log.read_text()
    assert "The run ended early: ended by SIGTERM." in log
    assert "INTERNALERROR" not in log
    assert "Traceback" not in log


def test_a_program_that_is_no_kernel_is_told_with_how_it_ended(tmp_path: Path) -> None:
    done = run(tmp_path, "--fs=ext4:4k", "--kernel=/bin/true", "steady/write")
    assert done.status == pytest.ExitCode.USAGE_ERROR
    assert "does not run on the machine uml: the guest did not come up" in done.output
    assert "exit status 0" in done.output
    assert "Traceback" not in done.output
