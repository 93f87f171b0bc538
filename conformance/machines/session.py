"""Drives one guest: hello, pristine file systems, one trial after the other. Knows no machine in particular.

Whatever a guest does, `run` returns a trace: one that ends in `Died` when the guest ended or
did not answer. Then the session is over, and the caller starts another.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from conformance.errors import GuestDied, GuestError, GuestHung, ImageError, ProtocolViolation
from conformance.guest.protocol import SPEED, Hello, Identity, Request
from conformance.machines.pristine import Pristine
from conformance.machines.protocol import BootImage, Guest, Machine
from conformance.model.codec import DecodeError, decode, encode
from conformance.model.trace import Broke, CheckerRan, Died, Ended, Event, Trace
from conformance.model.trial import FORMAT, Trial
from kernel.setup import FileSystem

BOOT_SECONDS = 60.0
"""From the start of the process to its hello, on the slowest machine that is of use."""
MKFS_SECONDS = 60.0
MAX_EVENTS = 100_000
"""Events in one trace; a guest that says more is not telling the truth."""
CONSOLE_LINES = 60


@dataclass(frozen=True)
class Limits:
    """How time limits are scaled."""

    scale: float = 1.0
    """The user's own factor."""


class Session:
    """One booted guest."""

    def __init__(self, guest: Guest, hello: Hello, pristine: Path, image: BootImage, limits: Limits) -> None:
        self.guest, self.hello, self._image, self._limits = guest, hello, image, limits
        self._cache = pristine
        self._made: dict[FileSystem, Pristine] = {}
        self.alive = True

    @classmethod
    def boot(
        cls,
        machine: Machine,
        image: BootImage,
        cache: Path,
        tick: Callable[[str], None],
        limits: Limits | None = None,
    ) -> Session:
        """Starts a guest and waits for its hello. `cache` is the folder for pristine file systems."""
        return cls.greet(machine.start(image, tick), image, cache, limits)

    @classmethod
    def greet(cls, guest: Guest, image: BootImage, cache: Path, limits: Limits | None = None) -> Session:
        """Waits for the hello of a guest that was started. One that does not come up is stopped.

        Raises GuestError with the end of its console."""
        try:
            if guest.cloned:
                _send(guest, Request(identity=_new_identity(), clock=time.time()))
            line = guest.receive(BOOT_SECONDS)
            if line is None:
                raise GuestHung(f"no word from the guest in {BOOT_SECONDS:.0f} s.\n{_tail(guest.console())}")
            hello = decode(Hello, _parsed(line))
            if hello.format != FORMAT:
                raise ProtocolViolation(f"the agent speaks format {hello.format}, expected {FORMAT}: rebuild the image")
        except DecodeError as error:
            guest.stop()
            raise ProtocolViolation(f"the guest's hello is not one: {error}") from None
        except GuestError as error:
            console, death = _tail(guest.console()), guest.death()
            guest.stop()
            ended = f" ({death.kind}: {death.detail})" if death else ""
            raise type(error)(f"the guest did not come up: {error}{ended}\n{console}".rstrip()) from None
        except BaseException:
            guest.stop()
            raise
        return cls(guest, hello, cache, image, limits or Limits())

    def run(self, trial: Trial) -> Trace:
        """Makes a trial on a pristine file system."""
        began = time.monotonic()
        events: list[Event] = []
        try:
            self.pristine(trial.system).restore(self.guest.scratch)
            self._ask(Request(run=trial, clock=time.time()), self._seconds(trial.seconds), events.append)
        except GuestError as error:
            events.append(self._died(error))
        return Trace(
            trial.name,
            tuple(events),
            kernel=self.hello.release,
            machine=self._image.kernel_name,
            seconds=time.monotonic() - began,
        )

    def pristine(self, system: FileSystem) -> Pristine:
        """The file system as mkfs makes it: from memory, from the cache, or made now."""
        made = self._made.get(system)
        if made is None:
            path = self._cache / (self._key(system) + ".img")
            if path.exists():
                made = Pristine.capture(path)
            else:
                made = self._mkfs(system)
                self._cache.mkdir(parents=True, exist_ok=True)
                made.save(path)
            self._made[system] = made
        return made

    def stop(self) -> None:
        """Ends the guest."""
        self.alive = False
        self.guest.stop()

    def _key(self, system: FileSystem) -> str:
        size = self.guest.scratch.stat().st_size
        parts = json.dumps([system.mkfs, system.after_mkfs, system.block, size, self._image.provenance])
        return f"{system.kind}-{hashlib.sha256(parts.encode()).hexdigest()[:20]}"

    def _mkfs(self, system: FileSystem) -> Pristine:
        Pristine(self.guest.scratch.stat().st_size, ()).restore(self.guest.scratch)
        events: list[Event] = []
        self._ask(Request(mkfs=system), self._seconds(MKFS_SECONDS), events.append)
        for event in events:
            if isinstance(event, CheckerRan):
                if event.checked.status == 0:
                    return Pristine.capture(self.guest.scratch)
                raise ImageError(
                    f"`{event.checked.command}` failed in the guest ({event.checked.status}):\n{event.checked.output}"
                )
            if isinstance(event, Broke):
                raise ImageError(f"`{' '.join(system.mkfs)}` did not run in the guest:\n{event.problem}")
        raise ProtocolViolation("the guest did not say what mkfs did")

    def _seconds(self, seconds: float) -> float:
        return seconds * max(1.0, self.hello.speed / SPEED) * self._limits.scale

    def _ask(self, request: Request, seconds: float, emit: Callable[[Event], None]) -> None:
        """Sends a request and passes its events on, until `Ended`; raises GuestError."""
        _send(self.guest, request)
        deadline = time.monotonic() + seconds
        for _ in range(MAX_EVENTS):
            line = self.guest.receive(max(0.0, deadline - time.monotonic()))
            if line is None:
                raise GuestHung(f"no answer within {seconds:.0f} s")
            try:
                event = decode(Event, _parsed(line))
            except DecodeError as error:
                raise ProtocolViolation(f"not an event: {error}") from None
            emit(event)
            if isinstance(event, Ended):
                return
        raise ProtocolViolation(f"more than {MAX_EVENTS} events in one trial")

    def _died(self, error: GuestError) -> Died:
        """What is known of the guest's end; the session is over with it."""
        death = self.guest.death()
        console = tuple(self.guest.console().splitlines()[-CONSOLE_LINES:])
        self.stop()
        if isinstance(error, GuestHung):
            return Died("hang", str(error), console)
        if isinstance(error, GuestDied) and death is not None:
            return Died(death.kind, death.detail, console)
        return Died("protocol", str(error), console)


def _new_identity() -> Identity:
    return Identity(f"guest-{secrets.token_hex(4)}", secrets.token_hex(32))


def _send(guest: Guest, request: Request) -> None:
    guest.send(json.dumps(encode(request), separators=(",", ":")).encode())


def _parsed(line: bytes) -> object:
    try:
        return json.loads(line)
    except ValueError as error:
        raise ProtocolViolation(f"expected a line of JSON, found {line[:60]!r}… ({error})") from None


def _tail(console: str) -> str:
    return "\n".join(console.splitlines()[-CONSOLE_LINES:])
