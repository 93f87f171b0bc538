"""A trial: a case expanded for one variant of a target and one value of each matrix axis.

It is complete: whoever has it needs neither the case nor the target any more.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from kernel.calls import Call
from kernel.setup import FileSpec, FileSystem

FORMAT = 1
"""The version of trials and traces. Another version is refused."""

Level = Literal["MUST", "SHOULD", "MAY"]
Promise = Literal["mainline", "proposed"]
Changed = Literal["unchanged", "changed"]
Transactions = Literal["none", "some", "any"]


@dataclass(frozen=True)
class RuleText:
    """The rule that a trial tests, as far as a verdict needs it."""

    id: str
    level: Level
    sentence: str
    source: str
    promise: Promise = "mainline"
    consequence: str = ""
    """What it means for a user when it is broken."""


@dataclass(frozen=True)
class Piece:
    """`length` bytes of a file's content: what `source` holds or held from `at` on.

    `source` is a file (its initial content), "stepN", an actor, "zero" or "any"; `at` in bytes.
    """

    source: str
    at: int
    length: int
    last: bool = False
    """Of an actor: what it wrote in its last pass, and in no other."""


@dataclass(frozen=True)
class Layout:
    """`length` bytes of a file that are mapped in one way."""

    kind: Literal["hole", "unwritten", "data", "shared", "any"]
    length: int


@dataclass(frozen=True)
class Claim:
    """What must hold for one file, compared with a moment before. None says nothing.

    Contents and layouts are alternatives: one of them must hold.
    """

    file: str
    since: int = 0
    """The moment that "unchanged" and "changed" refer to: 0 is the start, N is just before step N."""
    everything: Literal["unchanged"] | None = None
    """Content, size, mode, links, times but atime, attributes and mapping, all of it."""
    content: tuple[tuple[Piece, ...], ...] = ()
    content_of: tuple[str, ...] = ()
    """Files whose content at `since` it may hold; its own name means that it is unchanged."""
    size: int | None = None
    size_changed: Changed | None = None
    atime: Changed | None = None
    mtime: Changed | None = None
    ctime: Changed | None = None
    btime: Changed | None = None
    extents: Changed | None = None
    """The extent map with its kinds, physical places and flags."""
    layout: tuple[Layout, ...] = ()
    extents_of: str | None = None
    """The file whose extent map at `since`, physical places included, it must have now."""
    space: Changed | None = None
    """st_blocks."""
    links: int | None = None
    mode: int | None = None


@dataclass(frozen=True)
class Step:
    """One call with what must come of it."""

    number: int
    """Counted from 1, as in the case."""
    call: Call
    expect: tuple[str, ...] = ("OK",)
    """Results that conform. ("any",): the case says nothing."""
    returns: dict[str, int] = field(default_factory=dict)
    """Numbers that must be answered, in bytes where they are lengths."""
    at_least: dict[str, int] = field(default_factory=dict)
    """Numbers that must be reached, or the trial did not meet its situation (vacuous)."""
    sees: tuple[tuple[Piece, ...], ...] = ()
    """What a read or a load must find: one of these."""
    transactions: Transactions = "any"
    then: tuple[Claim, ...] = ()
    """What must hold just after it, compared with just before it."""
    same_tick: bool = False
    """Made without letting the clock move on."""


@dataclass(frozen=True)
class Actor:
    """A process beside the main one."""

    name: str
    steps: tuple[Step, ...]
    loop: bool = False
    """Its steps are repeated until it is told to stop."""


@dataclass(frozen=True)
class Witness:
    """The proof that the trial met its situation. What is not there is not asked for."""

    extents: dict[str, int] = field(default_factory=dict)
    """Files that have at least so many extents at the start."""
    fragments: dict[str, int] = field(default_factory=dict)
    """Files that have at least so many extents that do not touch on the device, at the start."""
    delalloc: tuple[str, ...] = ()
    """Files with delayed allocation at the start."""
    shared: tuple[str, ...] = ()
    """Files with shared extents at the start."""
    overlap: dict[str, int] = field(default_factory=dict)
    """Actors that finished at least so many passes while a step of the main process was under way."""


@dataclass(frozen=True)
class Trial:
    """What is sent to a kernel, complete."""

    name: str
    """Unique and stable: case[axis=value,…]@target:variant."""
    case: str
    """The path of the case below its corpus, without .toml."""
    title: str
    rule: RuleText
    target: str
    """target:variant."""
    system: FileSystem
    files: tuple[FileSpec, ...]
    steps: tuple[Step, ...]
    after: tuple[Claim, ...] = ()
    actors: tuple[Actor, ...] = ()
    witness: Witness = field(default_factory=Witness)
    owners: tuple[str, ...] = ()
    """Files whose bmap btree blocks must all name them as owner, once unmounted."""
    crash: bool = False
    """It shuts the file system down: what is on the device afterwards is what the claims allow, no more is asked."""
    slow: bool = False
    seconds: float = 30.0
    """Time limit on a guest of speed 1."""
    salt: str = ""
    """Goes into every pattern that is written."""

    @property
    def remaps(self) -> bool:
        """Whether the checker has to run after it."""
        return self.crash or any(step.call.remaps for step in (*self.steps, *(s for a in self.actors for s in a.steps)))
