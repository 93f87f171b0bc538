"""What every check works on: the trial, its record, and the findings made so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from conformance.judge.content import Runs, from_pieces, initial, tail_of
from conformance.judge.extents import Tolerance
from conformance.judge.history import History
from conformance.judge.record import BYSTANDER, Moment, Record
from conformance.model.trial import Level, Piece, Trial
from conformance.model.verdict import Finding
from kernel import calls
from kernel.pattern import Palette
from kernel.state import FileState

IN_PLACE = frozenset({"ext4", "xfs"})
"""Kinds of file systems that overwrite written data, unless shared, where it is."""
TIMES_KEPT = frozenset({"ext4", "xfs", "btrfs"})
"""Kinds that stamp a mapped store at its page fault, so that writeback moves no time."""


@dataclass
class Bench:
    """One trial being judged."""

    record: Record
    findings: list[Finding] = field(default_factory=list)
    vacuous: list[str] = field(default_factory=list)
    """Why the trial did not meet its situation."""

    def __post_init__(self) -> None:
        self.trial: Trial = self.record.trial
        self.block = self.trial.system.block
        self.kind = self.trial.system.kind
        self.history = History(self.record)
        self.initial: dict[str, Runs] = {spec.name: initial(spec, self.block) for spec in self.trial.files}
        self.tail = tail_of(Palette(self.trial.salt + self.trial.name, ()))

    def find(
        self,
        what: str,
        step: int,
        subject: str,
        expected: str,
        observed: str,
        because: str,
        *,
        level: Level = "MUST",
        since: str = "",
        at: str = "",
    ) -> None:
        """Adds a finding."""
        self.findings.append(Finding(what, step, subject, expected, observed, because, level, since, at))

    def step_of(self, moment: Moment) -> int:
        """The step that a moment belongs to; 0 for those after the last step."""
        return moment.step if moment.at.startswith(("before ", "after ")) else 0

    def tolerance(self, since: Moment, state: FileState, file: str, *, until: int | None = None) -> Tolerance:
        """What writeback may have changed in the map of a file since a moment."""
        dirty = self.history.dirty_at(since.at, since.step)
        # Beside a shared extent xfs also copies what is in the same large folio, or in a preallocation for copies.
        shared = any("shared" in extent.flags for extent in state.extents)
        return Tolerance(
            dirty=file in dirty,
            in_place=self.in_place and not shared,
            unshared=bool(dirty),
            until=until,
            size=state.size,
        )

    def content(self, pieces: tuple[Piece, ...]) -> Runs:
        """The content that pieces of this trial describe."""
        return from_pieces(pieces, self.initial, self.last_passes)

    @cached_property
    def last_passes(self) -> dict[str, int]:
        """The last pass in which each actor wrote or stored something."""
        writing = {
            (actor.name, step.number)
            for actor in self.trial.actors
            for step in actor.steps
            if isinstance(step.call, (calls.Write, calls.Store))
        }
        found: dict[str, int] = {}
        for done in self.record.passes:
            if (done.actor, done.step) in writing and done.outcome.ok:
                found[done.actor] = max(done.turn, found.get(done.actor, 0))
        return found

    @cached_property
    def in_place(self) -> bool:
        """Whether the file system overwrites written data where it is."""
        return self.kind in IN_PLACE

    @cached_property
    def files(self) -> tuple[str, ...]:
        """Every file that was ever observed but the bystander, in their order."""
        names: dict[str, None] = {}
        for moment in self.record.moments.values():
            names.update(dict.fromkeys(moment.state.files))
        names.pop(BYSTANDER, None)
        return tuple(names)
