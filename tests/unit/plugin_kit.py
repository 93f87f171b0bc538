"""Runs of the plugin without a kernel: a small corpus, guests that only pretend, verdicts that a test decides."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

import conformance.plugin.setup  # noqa: F401  # loaded before pytester remembers which modules were
from conformance.errors import GuestDied
from conformance.guest.protocol import Hello, Request
from conformance.machines import registry
from conformance.machines.protocol import BootImage, Death
from conformance.model.codec import decode, encode
from conformance.model.trace import Began, Broke, CheckerRan, Ended, Event, Trace
from conformance.model.trial import Trial
from conformance.model.verdict import Finding, Verdict
from conformance.runner import planning, run
from conformance.runner.plan import Image
from conformance.runner.rundir import RunDirectory
from kernel.setup import Checked

HELLO = Hello("6.1.0", "#1", 1, 1 << 29, 4096, ("ext4", "xfs"), 0.001)
FINDING = Finding("outcome", 1, "sync", "OK", "EIO", "the case")

RULES = """
[[rules]]
id = "MUST-1"
level = "MUST"
sentence = "Something must hold."
source = "this test"

[[rules]]
id = "SHOULD-1"
level = "SHOULD"
sentence = "Something should hold."
source = "this test"

[[rules]]
id = "PROPOSED-1"
level = "MUST"
promise = "proposed"
sentence = "Something was proposed."
source = "this test"
"""

TARGET = """
title = "A file system"
kind = "ext4"
block = "4k"
mkfs = ["mkfs.ext4", "{device}"]
check = ["e2fsck", "{device}"]

[offers]
swapfile = ""
move_ext = ">=6.5"

[variants.big]

[variants.small]
block = "1k"
without = ["swapfile"]
"""

CASE = """
rule = "{rule}"
title = "{title}"
tags = {tags}
needs = {needs}

[files]
target = "data:1b"

[[steps]]
do = "sync"
"""


def case(name: str, rule: str = "MUST-1", tags: tuple[str, ...] = (), needs: tuple[str, ...] = ()) -> str:
    """The text of a case."""
    return CASE.format(rule=rule, title=f"Case {name}", tags=list(tags), needs=list(needs))


def corpus(root: Path, **cases: str) -> Path:
    """A corpus of these cases; a double underscore in a name stands for a slash."""
    texts = {"rules/all.toml": RULES, "targets/fake.toml": TARGET}
    texts |= {f"{name.replace('__', '/')}.toml": text for name, text in cases.items()}
    for name, text in texts.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def line(value: object) -> bytes:
    """As the agent says it."""
    return json.dumps(encode(value)).encode()


@dataclass
class World:
    """What the pretended guests do, and what they were asked."""

    root: Path
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    """By the name of a case; others pass."""
    deaths: dict[str, Death] = field(default_factory=dict)
    """Cases that end the guest."""
    broken: set[str] = field(default_factory=set)
    """Cases at which the agent fails."""
    tainted: dict[str, int] = field(default_factory=dict)
    """What a case leaves in /proc/sys/kernel/tainted."""
    does_not_come_up: bool = False
    hello: Hello = HELLO
    ran: list[tuple[int, str]] = field(default_factory=list)
    """Which guest, counted from 1, ran which trial."""
    started: int = 0
    stopped: int = 0

    def judge(self, trial: Trial, trace: Trace) -> Verdict:
        """In the place of the judge."""
        broke = next((event for event in trace.events if isinstance(event, Broke)), None)
        if broke is not None:
            return Verdict(trial.name, "error", reason=broke.problem)
        if trial.case in self.deaths:
            return Verdict(trial.name, "crash", (replace(FINDING, what="crash"),), reason="the guest ended")
        found = self.verdicts.get(trial.case, Verdict("", "pass"))
        return replace(found, trial=trial.name, seconds=trace.seconds)


class Guest:
    """Answers as an agent does."""

    def __init__(self, world: World) -> None:
        world.started += 1
        self.number, self._world = world.started, world
        self.cloned = False
        self.scratch = world.root / f"scratch{self.number}"
        with self.scratch.open("wb") as file:
            file.truncate(1 << 20)
        self._answers: list[bytes | None] = [line(world.hello)]
        self._death: Death | None = None
        self._stopped = False

    def send(self, data: bytes) -> None:
        """Takes a request."""
        request = decode(Request, json.loads(data))
        events: list[Event] = [CheckerRan(Checked("mkfs", 0, ""))]
        tainted = 0
        if request.run is not None:
            trial = request.run
            self._world.ran.append((self.number, trial.name))
            events = [Began(trial.name)]
            self._death = self._world.deaths.get(trial.case)
            if trial.case in self._world.broken:
                events.append(Broke("the agent failed on purpose"))
            tainted = self._world.tainted.get(trial.case, 0)
        self._answers += [line(event) for event in events]
        self._answers.append(line(Ended(tainted)) if self._death is None else None)

    def receive(self, seconds: float) -> bytes | None:
        """The next line of the answer."""
        answer = None if self._world.does_not_come_up else self._answers.pop(0)
        if answer is None and self._death is not None:
            raise GuestDied("the channel is at its end")
        return answer

    def console(self) -> str:
        """What the kernel printed."""
        return "what the console said"

    def death(self) -> Death | None:
        """How it ended."""
        return self._death

    def stop(self) -> None:
        """Counts."""
        self._world.stopped += not self._stopped
        self._stopped = True


class Machine:
    """Starts pretended guests."""

    name = "uml"

    def __init__(self, world: World) -> None:
        self._world = world

    def start(self, image: BootImage, tick: Callable[[str], None]) -> Guest:
        """Starts one."""
        tick("booting")
        return Guest(self._world)


@dataclass
class Plugin:
    """Runs pytest with the plugin, in this process."""

    pytester: pytest.Pytester
    world: World

    def run(self, *arguments: str, fs: str = "fake") -> pytest.RunResult:
        """The outcome of `pytest --fs=...` with these arguments, without xdist."""
        return self.pytester.runpytest_inprocess(
            f"--fs={fs}", "-n0", "--run-dir", str(self.world.root / "run"), *arguments
        )

    @property
    def directory(self) -> RunDirectory:
        """Where the run left its files."""
        return RunDirectory(self.world.root / "run")

    @property
    def trials(self) -> list[str]:
        """The trials that ran, in order."""
        return [name for _, name in self.world.ran]


def make_plugin(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, root: Path, **cases: str) -> Plugin:
    """A plugin whose corpus has these cases, and whose guests pretend."""
    world = World(root)
    share = root / "share"
    corpus(share / "cases", **cases)
    image = Image("linux", "initramfs", "uml-6.1", (("package", "1.0", "ab" * 32),))
    monkeypatch.setenv("XDG_CACHE_HOME", str(root / "cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(root / "state"))
    monkeypatch.setattr(planning, "share_dir", lambda: share)
    monkeypatch.setattr(planning, "boot_image", lambda _kernel, _progress: image.boot_image())
    monkeypatch.setattr(planning, "kernel_facts", lambda *_: world.hello)
    monkeypatch.setattr(registry, "MACHINES", {"uml": lambda: Machine(world)})
    monkeypatch.setattr(run, "judge", world.judge)
    return Plugin(pytester, world)
