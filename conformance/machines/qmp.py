"""Talks to QEMU's monitor: commands and answers as JSON lines (QMP) over a socket that QEMU inherits."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Mapping, Sequence

from conformance.errors import GuestDied, GuestHung, ProtocolViolation

_MAX_LINE = 1 << 20


class Monitor:
    """One end of a monitor's socket, which belongs to it from now on."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._received = bytearray()
        self._last = 0

    def tell(self, command: str, **arguments: object) -> None:
        """Sends a command, and does not wait for its answer."""
        self._send(command, arguments, ())

    def _send(self, command: str, arguments: Mapping[str, object], descriptors: Sequence[int]) -> None:
        self._last += 1
        line = json.dumps({"execute": command, "arguments": arguments, "id": self._last}) + "\n"
        try:
            sent = socket.send_fds(self._end, [line.encode()], descriptors)
            self._end.sendall(line.encode()[sent:])
        except OSError as error:
            raise GuestDied(f"QEMU's monitor is closed: {error.strerror}") from error

    def give(self, descriptor: int, name: str, seconds: float) -> None:
        """Gives QEMU a descriptor, which it then knows by this name. Raises what `ask` raises."""
        self._ask("getfd", seconds, {"fdname": name}, [descriptor])

    def ask(self, command: str, seconds: float, **arguments: object) -> object:
        """Sends a command and returns its answer. Raises GuestDied, GuestHung, and ProtocolViolation for a refusal."""
        return self._ask(command, seconds, arguments, [])

    def _ask(self, command: str, seconds: float, arguments: Mapping[str, object], descriptors: Sequence[int]) -> object:
        self._send(command, arguments, descriptors)
        deadline = time.monotonic() + seconds
        while True:
            message = self._message(command, deadline)
            if message.get("id") != self._last:  # the greeting, an event, or the answer to something told
                continue
            if "error" in message:
                raise ProtocolViolation(f"QEMU refuses {command} with {arguments}: {message['error']}")
            return message.get("return")

    def wait_for_migration(self, seconds: float) -> None:
        """Waits until a migration is done (capability `events`). Raises GuestDied, GuestHung, ProtocolViolation."""
        deadline = time.monotonic() + seconds
        while True:
            message = self._message("how far it is", deadline)
            data = message.get("data")
            if message.get("event") == "MIGRATION" and isinstance(data, dict):
                if data.get("status") == "completed":
                    return
                if data.get("status") == "failed":
                    raise ProtocolViolation("QEMU could not write the state of the guest")

    def close(self) -> None:
        """Closes the socket. Harmless when repeated."""
        self._end.close()

    def _message(self, command: str, deadline: float) -> Mapping[str, object]:
        while (end := self._received.find(b"\n")) < 0:
            left = deadline - time.monotonic()
            if left <= 0 or len(self._received) > _MAX_LINE:
                raise GuestHung(f"QEMU's monitor did not answer {command}")
            self._end.settimeout(left)
            try:
                data = self._end.recv(1 << 16)
            except TimeoutError:
                continue
            except OSError as error:
                raise GuestDied(f"QEMU's monitor is closed: {error.strerror}") from error
            if not data:
                raise GuestDied(f"QEMU ended while it was asked {command}")
            self._received += data
        line = bytes(self._received[:end])
        del self._received[: end + 1]
        try:
            message = json.loads(line)
        except ValueError as error:
            raise ProtocolViolation(f"QEMU's monitor: expected a line of JSON, found {line[:60]!r}: {error}") from None
        if not isinstance(message, dict):
            raise ProtocolViolation(f"QEMU's monitor: expected an object, found {line[:60]!r}")
        return message
