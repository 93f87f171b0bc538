"""The plan of a run: everything that a worker needs to know, written once by the process that the user started.

Workers read it instead of the corpus, so that all of them have the same trials in the same order,
cheaply, whatever happens to the files meanwhile. A trial is decoded when its turn comes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from conformance.corpus import Known, KnownList
from conformance.errors import TraceError
from conformance.guest.protocol import Hello
from conformance.machines.protocol import BootImage
from conformance.model.codec import DecodeError, decode, encode
from conformance.model.trial import Trial
from conformance.reports.events import NotRun
from conformance.reports.journal import read_lines
from conformance.runner.rundir import RunDirectory
from conformance.runner.settings import Settings

FORMAT = 1
"""The version of plans. Another version is refused."""


@dataclass(frozen=True)
class Entry:
    """One run of one trial."""

    name: str
    """The trial's name."""
    line: int
    """Its line in `trials.jsonl`, from 0."""
    round: int = 1
    """Which repetition."""
    marks: tuple[str, ...] = ()
    """For `-m`: the tags of its case."""
    case_file: str = ""
    seconds: float = 0.0
    """How long it is expected to take."""

    @property
    def id(self) -> str:
        """Unique in the run: the name, and "#2" and so on behind it for repetitions."""
        return self.name if self.round == 1 else f"{self.name}#{self.round}"


@dataclass(frozen=True)
class Image:
    """A boot image with its paths as text."""

    kernel: str
    initramfs: str
    kernel_name: str
    provenance: tuple[tuple[str, str, str], ...]

    @classmethod
    def of(cls, image: BootImage) -> Image:
        """The same image."""
        return cls(str(image.kernel), str(image.initramfs), image.kernel_name, image.provenance)

    def boot_image(self) -> BootImage:
        """The same image, for a machine."""
        return BootImage(Path(self.kernel), Path(self.initramfs), self.kernel_name, self.provenance)


@dataclass(frozen=True)
class Plan:
    """What runs, where, in which order."""

    settings: Settings
    image: Image
    hello: Hello
    """What the kernel said of itself."""
    entries: tuple[Entry, ...]
    not_run: tuple[NotRun, ...] = ()
    known: tuple[Known, ...] = ()
    """Known deviations that speak of one of these trials."""
    format: int = field(default=FORMAT)

    @cached_property
    def known_list(self) -> KnownList:
        """The known deviations, to be asked."""
        return KnownList(self.known)

    def write(self, directory: RunDirectory, trials: tuple[Trial, ...]) -> None:
        """Writes the plan and its trials."""
        with directory.trials.open("w") as file:
            file.writelines(json.dumps(encode(trial), separators=(",", ":")) + "\n" for trial in trials)
        directory.plan.write_text(json.dumps(encode(self), separators=(",", ":")))


class PlannedRun:
    """A plan on disk, as workers use it."""

    def __init__(self, directory: RunDirectory) -> None:
        self.directory = directory
        self.plan = read_plan(directory)
        self._lines = directory.trials.read_bytes().splitlines()

    def trial(self, entry: Entry) -> Trial:
        """The trial of an entry."""
        return decode(Trial, json.loads(self._lines[entry.line]))


def read_plan(directory: RunDirectory) -> Plan:
    """The plan of a run; raises TraceError when it is not one of this version."""
    try:
        return decode(Plan, json.loads(directory.plan.read_bytes()))
    except (OSError, ValueError, DecodeError) as error:
        raise TraceError(f"{directory.plan}: expected the plan of a run of this version: {error}") from None


def read_trials(directory: RunDirectory) -> dict[str, Trial]:
    """The trials of a run by their names; raises TraceError."""
    found: dict[str, Trial] = {}
    for number, value in read_lines(directory.trials):
        try:
            trial = decode(Trial, value)
        except DecodeError as error:
            raise TraceError(f"{directory.trials}, line {number}: {error}") from None
        found[trial.name] = trial
    return found
