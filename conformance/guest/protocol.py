"""What host and agent say to each other: JSON lines.

The agent speaks first: `Hello`. Then the host asks, one request at a time, and the agent
answers with event lines and a last line that ends the answer:

run      a trial; its events, ending with `Ended` (or `Broke` where the harness failed)
identity for a guest that goes on from a snapshot: it answers with its hello, and nothing else
mkfs     a file system to make on the scratch device; `CheckerRan` with mkfs's output, then `Ended`
"""

from __future__ import annotations

from dataclasses import dataclass

from conformance.model.trial import FORMAT, Trial
from kernel.setup import FileSystem

SPEED = 0.005
"""What `Hello.speed` is on a guest of speed 1: User-mode Linux on one core of its own."""


@dataclass(frozen=True)
class Hello:
    """What a guest says of itself when it is ready."""

    release: str
    """uname -r."""
    version: str
    """uname -v."""
    processors: int
    memory: int
    """Bytes."""
    page: int
    """Bytes in a page."""
    filesystems: tuple[str, ...]
    """/proc/filesystems, after every module that could be loaded was."""
    speed: float
    """Seconds that a fixed piece of work took: time limits scale with it."""
    lacks: tuple[str, ...] = ()
    """What could not be set up, by name: "memory cgroups", "sysfs"."""
    format: int = FORMAT


@dataclass(frozen=True)
class Identity:
    """What tells a guest that goes on from a snapshot from its twins."""

    name: str
    """Its host name."""
    entropy: str
    """Random bytes in hex."""


@dataclass(frozen=True)
class Request:
    """What the host asks for: one of these."""

    run: Trial | None = None
    mkfs: FileSystem | None = None
    identity: Identity | None = None
    clock: float = 0.0
    """Seconds since the epoch; the guest sets its clock to it. 0: as it is."""
