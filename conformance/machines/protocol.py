"""What a machine is: something that starts guests. Implementations sit beside this file.

A machine knows how to boot a kernel with an initial RAM disk and a raw scratch disk, and
how to move bytes to and from the agent inside. It knows nothing of trials: `session.py`
speaks the agent's protocol over any guest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

DeathKind = Literal["panic", "oops", "hang", "killed", "exited", "flood"]


@dataclass(frozen=True)
class BootImage:
    """What a guest boots from: files in the user's cache, never changed in place."""

    kernel: Path
    """The bootable kernel: a User-mode Linux binary, or an uncompressed vmlinux."""
    initramfs: Path
    """A cpio archive (newc) with the guest's root: Python, the tools of the file systems, the agent."""
    kernel_name: str
    """The name in `vm-images/kernels.toml`, or the path that the user gave."""
    provenance: tuple[tuple[str, str, str], ...]
    """(Debian package, version, sha256 of the .deb in hex) of all that went into it."""


@dataclass(frozen=True)
class Death:
    """How a guest ended, as far as its machine can tell."""

    kind: DeathKind
    detail: str
    """One sentence: exit status, signal, or the console line that tells."""


class Guest(Protocol):
    """One running guest. Its methods are called from one thread."""

    scratch: Path
    """The raw file behind the guest's scratch disk (512 MiB, sparse). The host may rewrite it
    whenever the guest has it neither mounted nor open."""
    cloned: bool
    """It goes on from a snapshot, and knows no more than its twins do: it has to be told who it is
    (`Request.identity`) before it is used, and answers with its hello."""

    def send(self, line: bytes) -> None:
        """Sends one line (without its newline) to the agent. Raises GuestDied."""
        ...

    def receive(self, seconds: float) -> bytes | None:
        """The agent's next line without its newline, or None after `seconds` without one.

        Raises GuestDied when the channel is at its end, and ProtocolViolation when a line
        is longer than `protocol.MAX_LINE` bytes."""
        ...

    def console(self) -> str:
        """What the kernel printed so far: its last `MAX_CONSOLE` bytes, undecodable ones replaced."""
        ...

    def death(self) -> Death | None:
        """None while the guest runs."""
        ...

    def stop(self) -> None:
        """Ends the guest at once and removes all it kept on the host. Harmless when repeated."""
        ...


class Machine(Protocol):
    """A way to run guests."""

    @property
    def name(self) -> str:
        """As in `--machine=NAME`."""
        ...

    def start(self, image: BootImage, tick: Callable[[str], None]) -> Guest:
        """Boots a guest and returns as soon as its process runs; the agent speaks first.

        `tick` is told in a few words what is being done, for the progress display."""
        ...


MAX_LINE = 4 << 20
"""Bytes in one line of the channel."""
MAX_CONSOLE = 1 << 20
"""Bytes of console output that are kept, the newest."""
