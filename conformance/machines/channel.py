"""Moves lines between this process and a guest, over a socket, while keeping the guest's console from filling up.

Both streams are served by one loop, without threads: whoever sends or waits also reads what comes.
What is kept is bounded, whatever the guest writes.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import time

from conformance.errors import GuestDied, GuestHung, ProtocolViolation
from conformance.machines.protocol import MAX_CONSOLE, MAX_LINE

FLOOD = 64 << 20
"""Bytes of console output after which a guest is taken to print without end."""
SEND_SECONDS = 60.0
"""How long a guest may take no byte of a message before it counts as hung."""
_CHUNK = 1 << 16
_UNREAD = MAX_LINE + _CHUNK
"""Bytes from the channel that are kept until somebody asks for them."""


class Channel:
    """The agent's socket, the console's pipe and the handle of the guest's process.

    All three belong to the channel from now on; `close` closes them."""

    def __init__(self, agent: socket.socket, console: int, process: int) -> None:
        self._agent, self._console, self._process = agent, console, process
        self._received = bytearray()
        self._searched = 0
        self._printed = bytearray()
        self._printed_in_all = 0
        self._agent_ended = self._console_ended = self._process_ended = False
        agent.setblocking(False)
        os.set_blocking(console, False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(agent, selectors.EVENT_READ)
        self._selector.register(console, selectors.EVENT_READ)
        self._selector.register(process, selectors.EVENT_READ)

    @property
    def ended(self) -> bool:
        """True when the agent's end of the channel is closed, or the process has exited."""
        self._pump(0)
        return self._agent_ended or self._process_ended

    @property
    def flooded(self) -> bool:
        """True when the console printed more than `FLOOD` bytes."""
        return self._printed_in_all > FLOOD

    def console(self) -> str:
        """The last `MAX_CONSOLE` bytes of the console as text."""
        self._pump(0)
        return bytes(self._printed[-MAX_CONSOLE:]).decode(errors="replace").replace("\r\n", "\n")

    def send(self, line: bytes) -> None:
        """Sends a line.

        Raises GuestDied when the guest is gone, GuestHung when it takes nothing for `SEND_SECONDS`, and ValueError
        for a line that holds a newline."""
        if b"\n" in line:
            raise ValueError("a line of the channel cannot hold a newline")
        left = memoryview(line + b"\n")
        deadline = time.monotonic() + SEND_SECONDS
        while left:
            try:
                left = left[self._agent.send(left) :]
                deadline = time.monotonic() + SEND_SECONDS
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise GuestHung(f"the guest took none of a message for {SEND_SECONDS:g} s") from None
                self._watch(selectors.EVENT_WRITE)
                self._pump(1.0)
            except OSError as error:
                raise GuestDied(f"the guest's channel is closed: {error.strerror}") from error
            if self._ended() or self.flooded:
                raise GuestDied("the guest ended while a message was sent to it")

    def receive(self, seconds: float) -> bytes | None:
        """The next line, or None after `seconds` without one. Raises GuestDied and ProtocolViolation."""
        deadline = time.monotonic() + seconds
        while True:
            end = self._received.find(b"\n", self._searched)
            if end > MAX_LINE or (end < 0 and len(self._received) > MAX_LINE):
                start = bytes(self._received[:80])
                raise ProtocolViolation(
                    f"the agent sent a line of more than {MAX_LINE} bytes, which begins with {start!r}"
                )
            if end >= 0:
                line = bytes(self._received[:end])
                del self._received[: end + 1]
                self._searched = 0
                return line
            self._searched = len(self._received)
            if self._ended():
                self._read_agent()
                if len(self._received) > self._searched:
                    continue
                raise GuestDied("the guest's channel is at its end")
            if self.flooded:
                raise GuestDied(f"the guest's console printed more than {FLOOD >> 20} MiB")
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            self._watch(0)
            self._pump(left)

    def close(self) -> None:
        """Closes everything. Harmless when repeated; what was received and printed stays."""
        if self._selector.get_map() is not None:
            self._pump(0)
            self._selector.close()
            self._agent.close()
            os.close(self._console)
            os.close(self._process)

    def _ended(self) -> bool:
        return self._agent_ended or self._process_ended

    def _watch(self, also: int) -> None:
        """Waits for the agent's bytes while there is room for them, and for `also`."""
        events = also | (selectors.EVENT_READ if len(self._received) < _UNREAD else 0)
        self._selector.modify(self._agent, events or selectors.EVENT_READ)

    def _pump(self, seconds: float) -> None:
        """Waits until something can be read or written, and reads what is there."""
        if self._selector.get_map() is None:
            return
        ready = {key.fd for key, events in self._selector.select(seconds) if events & selectors.EVENT_READ}
        if self._process in ready:
            self._process_ended = True
            ready |= {self._agent.fileno(), self._console}
        if self._console in ready:
            self._read_console()
        if self._agent.fileno() in ready:
            self._read_agent()

    def _read_agent(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while len(self._received) < _UNREAD:
                try:
                    data = self._agent.recv(_CHUNK)
                except ConnectionError:
                    data = b""
                if not data:
                    self._agent_ended = True
                    return
                self._received += data

    def _read_console(self) -> None:
        with contextlib.suppress(BlockingIOError):
            for _ in range(64):
                data = os.read(self._console, _CHUNK)
                if not data:
                    if not self._console_ended:
                        self._console_ended = True
                        self._selector.unregister(self._console)
                    return
                self._printed += data
                self._printed_in_all += len(data)
                if len(self._printed) > 2 * MAX_CONSOLE:
                    del self._printed[:-MAX_CONSOLE]
