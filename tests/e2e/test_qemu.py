"""QEMU guests for real: clones of a snapshot, the ways to die, damaged snapshots, and trials in them.

What runs in them is the suite's own agent. How a guest that is a process is ended and swept is
tested with User-mode Linux, and is the same code.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from conformance.cachedir import cache_dir
from conformance.corpus import load, select_variants
from conformance.errors import GuestDied, SetupError
from conformance.images import boot_image
from conformance.judge import judge
from conformance.machines import sweep
from conformance.machines.process import ProcessGuest
from conformance.machines.protocol import BootImage
from conformance.machines.qemu import QemuMachine
from conformance.machines.session import Session
from conformance.machines.template import templates
from conformance.model.trace import CheckerRan, Died, Ended, Trace
from conformance.model.trial import RuleText, Step, Trial
from conformance.share import share_dir
from kernel import calls
from kernel.setup import FileSpec, FileSystem, Segment
from kernel.units import Bytes, FdName, Span

pytestmark = pytest.mark.qemu

RULE = RuleText("SELF-1", "MUST", "The machine does what it promises.", "this test")
EXT4 = FileSystem("ext4", 4096, ("mkfs.ext4", "-q", "-F", "{device}"), ("e2fsck", "-f", "-n", "{device}"))


class Said(list[str]):
    """What was told as progress."""

    def __call__(self, said: str) -> None:
        self.append(said)


@pytest.fixture(scope="module")
def image() -> BootImage:
    return boot_image("6.12-cloud", lambda _: None)


@pytest.fixture
def sessions() -> Iterator[list[Session]]:
    """Is filled by `start`; all are stopped at the end."""
    started: list[Session] = []
    yield started
    for session in started:
        session.stop()


def start(image: BootImage, sessions: list[Session], machine: QemuMachine | None = None) -> Session:
    session = Session.boot(machine or QemuMachine(), image, cache_dir() / "pristine", Said())
    sessions.append(session)
    return session


def guest_of(session: Session) -> ProcessGuest:
    assert isinstance(session.guest, ProcessGuest)
    return session.guest


def process_of(session: Session) -> int:
    run = session.guest.scratch.parent
    return next(pid for pid in sweep.processes_of(run) if "qemu" in Path(f"/proc/{pid}/exe").readlink().name)


def trial(name: str, *steps: calls.Call, seconds: float = 30.0) -> Trial:
    files = (FileSpec("target", (Segment("data", 65536),)),)
    numbered = tuple(Step(number, call) for number, call in enumerate(steps, 1))
    return Trial(name, "self", name, RULE, "ext4:4k", EXT4, files, numbered, seconds=seconds)


SIMPLE = trial("simple", calls.Write(FdName("target"), Span(0, 4096)), calls.Truncate(FdName("target"), Bytes(8192)))


def died(trace: Trace) -> Died:
    last = trace.events[-1]
    assert isinstance(last, Died), trace.events[-3:]
    return last


def test_a_clone_answers_and_leaves_nothing(image: BootImage, sessions: list[Session]) -> None:
    session = start(image, sessions)
    assert session.guest.cloned
    assert session.hello.release.startswith("6.12.")
    assert {"ext4", "xfs", "btrfs"} <= set(session.hello.filesystems)
    assert session.hello.lacks == ()
    assert session.guest.console() == ""
    trace = session.run(SIMPLE)
    assert judge(SIMPLE, trace).kind == "pass", trace
    assert isinstance(trace.events[-1], Ended)
    run = session.guest.scratch.parent
    assert len(sweep.processes_of(run)) == 2
    session.stop()
    assert not run.exists()
    assert sweep.processes_of(run) == []


def test_a_second_guest_says_nothing_of_a_template(image: BootImage, sessions: list[Session]) -> None:
    start(image, sessions)
    said = Said()
    sessions.append(Session.boot(QemuMachine(), image, cache_dir() / "pristine", said))
    assert said == []


def test_twins_draw_different_random_numbers(image: BootImage, sessions: list[Session], tmp_path: Path) -> None:
    """mkfs takes the file system's UUID from the kernel's random numbers: equal ones would be equal files."""
    made = []
    for name in ("one", "two"):
        session = Session.boot(QemuMachine(), image, tmp_path / name, Said())
        sessions.append(session)
        made.append(session.pristine(EXT4))
        session.stop()
    uuid_at = 1024 + 0x68
    one, two = (dict(pristine.extents)[0][uuid_at : uuid_at + 16] for pristine in made)
    assert one != two
    assert one != bytes(16)


def test_two_processors(image: BootImage, sessions: list[Session]) -> None:
    session = start(image, sessions, QemuMachine(processors=2))
    assert session.hello.processors == 2
    assert judge(SIMPLE, session.run(SIMPLE)).kind == "pass"


@pytest.mark.parametrize("target", ["ext4:4k", "xfs:rmapbt0", "btrfs"])
def test_trials_of_the_corpus(image: BootImage, sessions: list[Session], target: str) -> None:
    corpus = load([share_dir() / "cases"]).require()
    session = start(image, sessions)
    planned = corpus.plan(select_variants(target, corpus.targets), session.hello.release)[0]
    trials = [item.trial() for item in planned if item.name.startswith("swap/activate/")]
    quick = [one for one in trials if not any(isinstance(step.call, calls.SwapLoad) for step in one.steps)][:3]
    assert quick
    for one in quick:
        verdict = judge(one, session.run(one))
        assert verdict.kind == "pass", verdict
    memory = Path(f"/proc/{process_of(session)}/status").read_text()
    resident = int(memory.partition("VmRSS:")[2].split()[0])
    assert resident < 250 << 10


def test_a_panic_is_told_with_its_console(image: BootImage, sessions: list[Session]) -> None:
    session = start(image, sessions)
    end = died(session.run(trial("panic", calls.Write(FdName("target"), Span(0, 4096)), calls.Provoke("panic"))))
    assert (end.kind, "sysrq triggered crash" in end.detail) == ("panic", True), end
    assert any("Call Trace" in line for line in end.console)
    assert not session.alive


def test_qemu_that_is_killed_is_told(image: BootImage, sessions: list[Session]) -> None:
    session = start(image, sessions)
    os.kill(process_of(session), signal.SIGKILL)
    end = died(session.run(SIMPLE))
    assert (end.kind, end.detail) == ("killed", "signal SIGKILL")


def test_qemu_that_stands_still_is_a_hang(image: BootImage, sessions: list[Session]) -> None:
    session = start(image, sessions)
    session.pristine(EXT4)
    os.kill(process_of(session), signal.SIGSTOP)
    end = died(session.run(dataclasses.replace(SIMPLE, seconds=0.01)))
    assert end.kind == "hang"
    assert "no answer within" in end.detail


def test_a_task_that_hangs_in_the_kernel_is_told_with_its_stack(image: BootImage, sessions: list[Session]) -> None:
    """Writing to a frozen file system sleeps uninterruptibly; who should thaw it is who writes."""
    session = start(image, sessions)
    end = died(session.run(trial("hang", calls.Freeze(), calls.Write(FdName("target"), Span(0, 4096)), seconds=120)))
    assert end.kind == "hang", end
    assert "blocked for more than" in end.detail
    assert any("Call Trace" in line for line in end.console)


@pytest.fixture
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A cache of the test's own, which knows what there is to know of KVM."""
    known = cache_dir() / "kvm.json"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cache_dir().mkdir(parents=True)
    if known.exists():
        shutil.copy(known, cache_dir())
    return cache_dir()


@pytest.mark.usefixtures("own_cache")
def test_a_damaged_template_is_made_anew(image: BootImage, sessions: list[Session]) -> None:
    start(image, sessions).stop()
    (entry,) = [usage.path for usage in templates().usage()]
    os.truncate(entry / "state", 1000)
    said = Said()
    session = Session.boot(QemuMachine(), image, cache_dir() / "pristine", said)
    sessions.append(session)
    assert f"booting {image.kernel_name}" in said
    assert f"replacing {entry.name}, which is damaged" in said
    assert judge(SIMPLE, session.run(SIMPLE)).kind == "pass"


@pytest.mark.usefixtures("own_cache")
def test_a_kernel_that_does_not_come_up_is_told_with_its_console(image: BootImage, tmp_path: Path) -> None:
    empty = tmp_path / "empty.cpio"
    empty.write_bytes(b"")
    with pytest.raises(GuestDied, match=r"the guest did not come up(?s:.*)Kernel panic"):
        QemuMachine().start(dataclasses.replace(image, initramfs=empty), Said())
    assert templates().usage() == []


def test_qemu_that_is_not_there_is_told_with_its_package(
    image: BootImage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SetupError, match=r"qemu-system-x86_64 in PATH.*package qemu-system-x86"):
        QemuMachine().start(image, Said())


def test_commit_range_on_xfs_with_its_feature(image: BootImage, sessions: list[Session]) -> None:
    """mkfs.xfs 6.1 does not know the feature, nor does xfs_repair: both are helped."""
    corpus = load([share_dir() / "cases"]).require()
    session = start(image, sessions)
    planned = corpus.plan(select_variants("xfs:exchange", corpus.targets), session.hello.release)[0]
    wanted = ("move/cookie/fresh[via=commit_range", "move/cookie/write_after_snapshot[via=commit_range")
    trials = [item.trial() for item in planned if item.name.startswith(wanted)]
    assert len(trials) >= 2
    for one in trials:
        trace = session.run(one)
        verdict = judge(one, trace)
        assert verdict.kind == "pass", verdict
        checked = [event.checked for event in trace.events if isinstance(event, CheckerRan)]
        assert [(result.status, result.command.partition(" ")[0]) for result in checked] == [(0, "xfs_repair")]
