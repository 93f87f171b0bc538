"""A session gives a trace for whatever its guest does. The guests here are scripts of answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from conformance.errors import GuestDied, GuestHung, ImageError, ProtocolViolation
from conformance.guest.protocol import Hello
from conformance.machines.protocol import BootImage, Death
from conformance.machines.session import Limits, Session
from conformance.model.codec import encode
from conformance.model.trace import Began, CheckerRan, Died, Ended, Event, Stepping
from conformance.model.trial import RuleText, Step, Trial
from kernel import calls
from kernel.setup import Checked, FileSystem

HELLO = Hello("6.1.0", "#1", 1, 1 << 29, 4096, ("ext4",), 0.001)
IMAGE = BootImage(Path("linux"), Path("initramfs"), "uml-6.1", (("e2fsprogs", "1.47", "ab"),))
SYSTEM = FileSystem("ext4", 4096, ("mkfs.ext4", "{device}"), ("e2fsck", "{device}"))
TRIAL = Trial("t", "c", "t", RuleText("X-1", "MUST", "s", "s"), "ext4:4k", SYSTEM, (), (Step(1, calls.Sync()),))

Answer = bytes | None | type[Exception]


def line(value: object) -> bytes:
    return json.dumps(encode(value)).encode()


MADE: list[Answer] = [line(CheckerRan(Checked("mkfs", 0, ""))), line(Ended())]


class Script:
    """A guest whose every line is known beforehand."""

    def __init__(self, folder: Path, answers: list[Answer], death: Death | None = None) -> None:
        self.scratch, self.cloned = folder / "scratch", False
        with self.scratch.open("wb") as file:
            file.truncate(1 << 20)
        self.answers, self.sent, self.stopped, self._death = answers, [], False, death
        self.sent: list[bytes]

    def send(self, data: bytes) -> None:
        self.sent.append(data)

    def receive(self, seconds: float) -> bytes | None:
        answer = self.answers.pop(0)
        if isinstance(answer, type):
            raise answer("the channel is at its end")
        return answer

    def console(self) -> str:
        return "Kernel panic - not syncing: on purpose"

    def death(self) -> Death | None:
        return self._death

    def stop(self) -> None:
        self.stopped = True


class Scripted:
    """A machine that starts one prepared guest."""

    name = "scripted"

    def __init__(self, guest: Script) -> None:
        self.guest = guest

    def start(self, image: BootImage, tick: Callable[[str], None]) -> Script:
        return self.guest


def booted(tmp_path: Path, answers: list[Answer], death: Death | None = None) -> tuple[Session, Script]:
    guest = Script(tmp_path, [line(HELLO), *answers], death)
    return Session.boot(Scripted(guest), IMAGE, tmp_path / "pristine", lambda _: None, Limits()), guest


def last(session: Session) -> Event:
    return session.run(TRIAL).events[-1]


def test_a_trial_that_ends_gives_its_events(tmp_path: Path) -> None:
    session, _ = booted(tmp_path, [*MADE, line(Began("t")), line(Ended(512))])
    trace = session.run(TRIAL)
    assert trace.events == (Began("t"), Ended(512))
    assert (trace.kernel, trace.machine) == ("6.1.0", "uml-6.1")


def test_mkfs_runs_once_and_is_kept_for_other_sessions(tmp_path: Path) -> None:
    session, guest = booted(tmp_path, [*MADE, line(Ended()), line(Ended())])
    session.run(TRIAL)
    session.run(TRIAL)
    assert [b"mkfs" in data[:20] for data in guest.sent] == [True, False, False]
    other, another = booted(tmp_path, [line(Ended())])
    other.run(TRIAL)
    assert len(another.sent) == 1


def test_a_failing_mkfs_is_told_with_its_output(tmp_path: Path) -> None:
    session, _ = booted(tmp_path, [line(CheckerRan(Checked("mkfs.ext4", 1, "no such option"))), line(Ended())])
    with pytest.raises(ImageError, match="no such option"):
        session.run(TRIAL)


def test_a_panic_is_told_with_the_console_and_the_step_before_it(tmp_path: Path) -> None:
    answers: list[Answer] = [*MADE, line(Stepping(1)), GuestDied]
    session, guest = booted(tmp_path, answers, Death("panic", "Kernel panic - not syncing"))
    trace = session.run(TRIAL)
    assert trace.events[-2] == Stepping(1)
    assert trace.events[-1] == Died("panic", "Kernel panic - not syncing", (guest.console(),))
    assert guest.stopped
    assert not session.alive


def test_silence_is_a_hang(tmp_path: Path) -> None:
    session, guest = booted(tmp_path, [*MADE, line(Stepping(1)), None])
    died = last(session)
    assert isinstance(died, Died)
    assert died.kind == "hang"
    assert guest.stopped


@pytest.mark.parametrize("noise", [b"\xff\xfe not JSON", b'{"event": "exploded"}', b"[]", b'{"event": "began"}'])
def test_what_is_not_the_protocol_ends_the_session(tmp_path: Path, noise: bytes) -> None:
    session, guest = booted(tmp_path, [*MADE, noise])
    died = last(session)
    assert isinstance(died, Died)
    assert died.kind == "protocol"
    assert guest.stopped


def test_a_line_without_end_ends_the_session(tmp_path: Path) -> None:
    session, _ = booted(tmp_path, [*MADE, ProtocolViolation])
    died = last(session)
    assert isinstance(died, Died)
    assert died.kind == "protocol"


def test_a_guest_that_talks_for_ever_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conformance.machines.session.MAX_EVENTS", 5)
    session, _ = booted(tmp_path, [*MADE, *[line(Stepping(1))] * 10])
    died = last(session)
    assert isinstance(died, Died)
    assert "more than 5 events" in died.detail


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        (None, GuestHung, "no word from the guest"),
        (GuestDied, GuestDied, "Kernel panic"),
        (b"login: ", ProtocolViolation, "expected a line of JSON"),
        (b'{"release": 3}', ProtocolViolation, "hello"),
        (line(Hello("6", "", 1, 1, 1, (), 1.0, format=99)), ProtocolViolation, "rebuild the image"),
    ],
)
def test_a_guest_that_does_not_come_up_is_stopped(
    tmp_path: Path, answer: Answer, error: type[Exception], said: str
) -> None:
    guest = Script(tmp_path, [answer])
    with pytest.raises(error, match=said):
        Session.boot(Scripted(guest), IMAGE, tmp_path, lambda _: None)
    assert guest.stopped
