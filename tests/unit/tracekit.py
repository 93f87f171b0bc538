"""Hand-made trials and traces: the judge's tests change one thing in a trace that is in order.

A `Story` keeps the states of the files and emits events in the interpreter's order. What a test
wants to be wrong it says: another state after a step, at a moment, another outcome, console, ….
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from conformance.judge import judge
from conformance.judge.content import initial
from conformance.model.trace import (
    Began,
    CheckerRan,
    Console,
    Died,
    Ended,
    Event,
    Observed,
    Owners,
    Settled,
    Stepped,
    Stepping,
    Trace,
)
from conformance.model.trial import Actor, Claim, Piece, RuleText, Step, Trial, Witness
from conformance.model.verdict import Finding, Verdict
from kernel import calls
from kernel.calls import Call
from kernel.pattern import Run
from kernel.protocol import Outcome
from kernel.setup import Checked, FileSpec, FileSystem, Segment
from kernel.state import Extent, FileState, MapState, Observation, SystemState
from kernel.units import Bytes, FdName, FileName, MapName, NewName, Span

B = 4096
"""Bytes in a block of the trials here."""
EPOCH = 1_700_000_000 * 10**9
SECOND = 10**9
RULE = RuleText("COOKIE-2", "MUST", "A stale cookie is refused.", "a mail", consequence="A store is lost.")
FREE = SystemState(free_blocks=1000, free_inodes=500)

Change = Callable[[FileState], FileState]


def spec(name: str, layout: str = "data:16", **more: object) -> FileSpec:
    """A file from "data:4 hole:2 unwritten:2", in blocks."""
    parts = [part.split(":") for part in layout.split()]
    segments = tuple(Segment(kind, int(blocks) * B) for kind, blocks in parts)  # type: ignore[arg-type]  # literal
    return replace(FileSpec(name, segments), **more)  # type: ignore[arg-type]  # fields by name


def extents_of(file: FileSpec, base: int) -> tuple[Extent, ...]:
    """The map that a file has when it is made; `base` is the device block that it begins at."""
    found: list[Extent] = []
    at = 0
    for segment in file.segments:
        if segment.kind == "comb":
            starts = range(at, at + segment.length, 2 * B)
            found += [Extent(start, base * B + 2 * start, B) for start in starts]
        elif segment.kind != "hole":
            flags = {"data": (), "delalloc": ("delalloc", "unknown")}.get(segment.kind, (segment.kind,))
            physical = 0 if segment.kind == "delalloc" else base * B + at
            found.append(Extent(at, physical, segment.length, flags))
        at += segment.length
    if file.tail:
        found.append(Extent(at, base * B + at, B))
    return tuple(found)


def state(file: FileSpec, base: int = 1000, **more: object) -> FileState:
    """The state of a file that was just made."""
    made = FileState(
        size=file.size,
        sectors=sum(extent.length for extent in extents_of(file, base)) // 512,
        mode=0o100000 | file.mode,
        links=1,
        uid=0,
        gid=0,
        atime=EPOCH,
        mtime=EPOCH,
        ctime=EPOCH,
        btime=EPOCH,
        flags=0,
        xattrs=(),
        extents=extents_of(file, base),
        content=initial(file, B),
    )
    return replace(made, **more)  # type: ignore[arg-type]  # fields by name


def step(number: int, call: Call, *expect: str, **more: object) -> Step:
    """A step; without results it must succeed."""
    return replace(Step(number, call), **({"expect": expect} if expect else {}), **more)  # type: ignore[arg-type]


def trial(*steps: Step, files: tuple[FileSpec, ...] = (), kind: str = "xfs", **more: object) -> Trial:
    """A trial on `kind`, with the file target of 16 blocks unless files are given."""
    made = Trial(
        name="move/cookie[via=swapext]@xfs:rmapbt0",
        case="move/cookie",
        title="A write after the snapshot makes the swap fail",
        rule=RULE,
        target="xfs:rmapbt0",
        system=FileSystem(kind, B, (f"mkfs.{kind}", "{device}"), ("fsck", "{device}")),
        files=files or (spec("target"),),
        steps=steps,
        salt="salt",
    )
    return replace(made, **more)  # type: ignore[arg-type]  # fields by name


class Story:
    """A trace in the making."""

    def __init__(self, of: Trial, **files: FileState) -> None:
        self.trial = of
        specs = (spec("bystander", "data:2"), *of.files)
        self.files = {file.name: state(file, 1000 * number) for number, file in enumerate(specs, 1)} | files
        self.maps: dict[str, MapState] = {}
        self.system = FREE
        self.events: list[Event] = []
        self.fresh = False
        self.clock = 0
        self.died = False
        claims = (*of.after, *(claim for each in of.steps for claim in each.then))
        self.moments = {claim.since for claim in claims}
        self.crashed = False
        self.emit(Began(of.name))
        self.emit(Observed("pristine", Observation(system=FREE)))
        self.observe("start")

    def emit(self, event: Event) -> None:
        self.events.append(event)

    def observe(self, at: str, maps: bool = False, **changes: FileState | None) -> None:
        """Emits an observation; `changes` are states of files at this moment only (None: not there)."""
        files = {name: found for name, found in (self.files | changes).items() if found is not None}
        self.emit(Observed(at, Observation(files, dict(self.maps) if maps else {}, self.system)))
        self.fresh = True

    def change(self, file: str, **fields: object) -> None:
        """A file is different from now on."""
        self.files[file] = replace(self.files[file], **fields)  # type: ignore[arg-type]  # fields by name

    def do(
        self,
        number: int,
        result: str = "OK",
        *,
        values: Mapping[str, int] | None = None,
        seen: tuple[Run, ...] = (),
        counters: tuple[dict[str, int], dict[str, int]] = ({}, {}),
        meanwhile: tuple[Stepped, ...] = (),
        **files: Change,
    ) -> Story:
        """Makes a step; `files` change by it. `meanwhile`: what an actor reports while it is made."""
        of = next(each for each in self.trial.steps if each.number == number)
        looked_at = bool(of.call.observed or of.then) and not self.crashed
        if not self.fresh and not self.crashed and (looked_at or number in self.moments):
            self.observe(f"before {number}")
        self.emit(Stepping(number))
        self.crashed = self.crashed or isinstance(of.call, calls.Shutdown)
        for event in meanwhile:
            self.emit(event)
        for name, change in files.items():
            self.files[name] = change(self.files[name])
        self.clock += 100
        outcome = Outcome(result, dict(values or {}), seen)
        self.emit(Stepped(number, outcome, self.clock - 100, self.clock, "", 0, *counters))
        self.fresh = False
        if looked_at and not self.crashed:
            self.observe(f"after {number}")
        return self

    def finish(
        self,
        *,
        console: tuple[str, ...] = (),
        tainted: int = 0,
        checked: Checked | None = None,
        owners: tuple[Owners, ...] = (),
        emptied: SystemState = FREE,
        **moments: Mapping[str, FileState | None],
    ) -> Story:
        """The end; `moments` are states of files that differ from a moment on ("flushed", "dropped", …)."""
        of = self.trial
        for at in ("end", "flushed", "dropped", "remounted"):
            for name, found in moments.get(at, {}).items():
                if found is None:
                    self.files.pop(name)
                else:
                    self.files[name] = found
            if at == "flushed":
                self.emit(Settled(()))
            if not self.crashed or at == "remounted":
                self.observe(at, maps=at != "remounted")
        for answer in owners:
            self.emit(answer)
        if of.remaps or checked:
            self.emit(CheckerRan(checked or Checked("fsck disk", 0, "clean")))
        self.emit(Observed("emptied", Observation(system=emptied)))
        self.emit(Console(console))
        self.emit(Ended(tainted))
        return self

    def die(self, kind: str = "panic", detail: str = "Kernel panic - not syncing: test", *console: str) -> Story:
        """The guest ends here."""
        self.emit(Died(kind, detail, console))
        return self

    def trace(self) -> Trace:
        return Trace(self.trial.name, tuple(self.events), kernel="6.1.0", machine="uml", seconds=0.25)

    def judged(self) -> Verdict:
        return judge(self.trial, self.trace())


def passed(of: Trial) -> Story:
    """A story in which every step succeeds and nothing changes."""
    story = Story(of)
    for each in of.steps:
        story.do(each.number, each.expect[0])
    return story.finish()


def found(verdict: Verdict) -> list[tuple[str, int, str]]:
    """What was found: (what, step, subject)."""
    return [(finding.what, finding.step, finding.subject) for finding in verdict.findings]


def only(verdict: Verdict) -> Finding:
    """The one finding of a verdict that failed."""
    assert verdict.kind == "fail", verdict
    assert len(verdict.findings) == 1, found(verdict)
    return verdict.findings[0]


def report(actor: str, number: int, turn: int, began: int, ended: int, result: str = "OK", **more: object) -> Stepped:
    """What an actor says of one step."""
    made = Stepped(number, Outcome(result), began, ended, actor, turn)
    return replace(made, **more)  # type: ignore[arg-type]  # fields by name


# --- shorthands -------------------------------------------------------------------------------

TARGET, DONOR = FdName("target"), FdName("donor")


def write(file: str = "target", first: int = 0, blocks: int = 1, **more: object) -> calls.Write:
    return replace(calls.Write(FdName(file), Span(first * B, blocks * B)), **more)  # type: ignore[arg-type]


def exchange(**more: object) -> calls.Exchange:
    return replace(calls.Exchange("swapext"), **more)  # type: ignore[arg-type]  # fields by name


def wrote(number: int, first: int, blocks: int) -> Change:
    """What a write of blocks by a step does to a content."""
    run = (Run(f"step{number}", 0, first * B, blocks * B),)

    def change(old: FileState) -> FileState:
        return replace(
            old, content=spliced(old.content, run, first * B), mtime=old.mtime + SECOND, ctime=old.ctime + SECOND
        )

    return change


def spliced(content: tuple[Run, ...], new: tuple[Run, ...], at: int) -> tuple[Run, ...]:
    """A content in which other runs are from `at` on."""
    from conformance.judge.content import cut, joined, length_of

    behind = at + length_of(new)
    return joined((*cut(content, 0, at), *new, *cut(content, behind, length_of(content))))


def fields(**changed: object) -> Change:
    """A change of some fields."""
    return lambda old: replace(old, **changed)  # type: ignore[arg-type]  # fields by name


def moved(blocks: int = 5000) -> Change:
    """The same extents elsewhere on the device."""
    return lambda old: replace(
        old, extents=tuple(replace(extent, physical=extent.physical + blocks * B) for extent in old.extents)
    )


__all__ = [
    "DONOR",
    "EPOCH",
    "FREE",
    "RULE",
    "SECOND",
    "TARGET",
    "Actor",
    "B",
    "Bytes",
    "Claim",
    "Extent",
    "FileName",
    "MapName",
    "MapState",
    "NewName",
    "Piece",
    "Story",
    "Witness",
]
