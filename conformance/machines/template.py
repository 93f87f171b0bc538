"""Makes and keeps the snapshots that QEMU guests go on from: one for everything that goes into it.

The first guest boots with its memory in a file. When its agent says hello, the guest is stopped and
the state of its devices is written beside it (a migration that leaves out shared memory). Both are
kept in the user's cache under a key of all that went in, made under a lock, checked at every use.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from conformance.cache import Cache, Contents, digest, require_space
from conformance.cachedir import cache_dir
from conformance.errors import GuestDied, GuestError, GuestHung
from conformance.machines.process import ProcessGuest
from conformance.machines.qmp import Monitor

_MEMORY, _STATE = "memory", "state"
_KEEP = 4
_UNUSED_SECONDS = 2 * 3600
"""Another checkout or another kernel may use what is not the newest. Each takes 150 MB: they are not kept for long."""
_MIGRATION_SECONDS = 60.0
_CONSOLE_LINES = 40
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Snapshot:
    """A guest that stands still, ready for its first request."""

    memory: Path
    """What its memory held; mapped privately by every clone, never written."""
    state: Path
    """The state of its processors and devices."""


@dataclass(frozen=True)
class Started:
    """A guest that was started, whatever is to become of it."""

    guest: ProcessGuest
    monitor: Monitor
    memory: Path
    """The file that its memory is in."""


def templates() -> Cache:
    """The snapshots that are kept."""
    return Cache(cache_dir() / "templates")


def snapshot(
    parts: Mapping[str, str],
    boot: Callable[[], Started],
    memory: int,
    seconds: float,
    tick: Callable[[str], None],
) -> Snapshot:
    """The snapshot for what `parts` describe. If it is not there or damaged, `boot` starts a guest for it.

    `memory` is the guest's in bytes, `seconds` how long it may take to say hello. Raises GuestError when it does
    not come up, and what `boot` raises."""

    def make(new: Path) -> Contents:
        require_space(new, memory, "the snapshot of a guest")
        with (new / _STATE).open("wb") as state:
            started = boot()
            try:
                _wait_for_hello(started.guest, seconds)
                tick("keeping a snapshot of the guest")
                _write_state(started.monitor, state.fileno())
                _copy(started.memory, new / _MEMORY)
            except GuestError as error:
                console = "\n".join(started.guest.console().splitlines()[-_CONSOLE_LINES:])
                raise type(error)(f"the guest did not come up: {error}\n{console}") from None
            finally:
                started.guest.stop()
        return Contents((_MEMORY, _STATE), ())

    cache = templates()
    entry = cache.find("template", digest(parts))
    if entry is None:
        entry = cache.get("template", digest(parts), make, tick)
        cache.remove("template", keep=_KEEP, unused_seconds=_UNUSED_SECONDS)
    return Snapshot(entry.path / _MEMORY, entry.path / _STATE)


def _wait_for_hello(guest: ProcessGuest, seconds: float) -> None:
    try:
        if guest.receive(seconds) is None:
            raise GuestHung(f"no word from the guest in {seconds:.0f} s")
    except GuestDied as error:
        death = guest.death()
        raise GuestDied(f"{error}: {death.detail}" if death else str(error)) from None


def _write_state(monitor: Monitor, state: int) -> None:
    """Stops the guest for good and writes the state of all but its memory. A clone is running at once."""
    monitor.ask("qmp_capabilities", _MIGRATION_SECONDS)
    monitor.ask("migrate-set-capabilities", _MIGRATION_SECONDS, capabilities=IGNORE_SHARED)
    monitor.give(state, "state", _MIGRATION_SECONDS)
    monitor.ask("migrate", _MIGRATION_SECONDS, uri="fd:state")
    monitor.wait_for_migration(_MIGRATION_SECONDS)


IGNORE_SHARED = [{"capability": "x-ignore-shared", "state": True}, {"capability": "events", "state": True}]
"""For migrate-set-capabilities: the memory is not written, because the file that it is in stays."""


def _copy(source: Path, target: Path) -> None:
    """Copies a sparse file."""
    with source.open("rb") as file, target.open("wb") as copy:
        size = file.seek(0, os.SEEK_END)
        copy.truncate(size)
        at = 0
        while at < size:
            try:
                at = os.lseek(file.fileno(), at, os.SEEK_DATA)
            except OSError:  # ENXIO: only a hole is left
                break
            end = os.lseek(file.fileno(), at, os.SEEK_HOLE)
            while at < end:
                at += os.pwrite(copy.fileno(), os.pread(file.fileno(), min(_CHUNK, end - at), at), at)
