"""A guest that is a process of this machine: started in a run directory, talked to, and ended with all that is its.

Which process it is, `uml.py` and `qemu.py` say. Beside it runs a guardian that ends the guest when
this process ends, however it ends.
"""

from __future__ import annotations

import contextlib
import os
import re
import resource
import signal
import socket
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from conformance.machines.channel import FLOOD, Channel
from conformance.machines.processors import Processor
from conformance.machines.protocol import Death
from conformance.machines.sweep import RunDirectory, end_processes

_GUARDIAN = 'trap "" HUP INT TERM; read -r _; rm -rf -- "$1"; kill -KILL 0'
"""Waits until its standard input ends, which is when the runner does, and removes the guest with all its processes."""

_EXIT_SECONDS = 5.0
"""Between the end of the channel and that of the process, which prints its panic in between."""

_HANG = re.compile(r"^.*INFO: task \S+ blocked for more than \d+ seconds.*$", re.MULTILINE)
_OOPS = re.compile(
    r"^.*(?:\bBUG:|kernel BUG at|\bOops\b|Kernel mode (?:signal|fault)|general protection fault).*$", re.MULTILINE
)
_PANIC = re.compile(r"^.*Kernel panic.*$", re.MULTILINE)


class ProcessGuest:
    """One running guest; `spawn` makes them."""

    def __init__(
        self,
        run: RunDirectory,
        scratch: Path,
        processor: Processor,
        process: subprocess.Popen[bytes],
        guardian: subprocess.Popen[bytes],
        channel: Channel,
        *,
        cloned: bool,
    ) -> None:
        self.scratch, self.cloned = scratch, cloned
        self._processor = processor
        self._run, self._process, self._guardian, self._channel = run, process, guardian, channel
        self._on_stop: list[Callable[[], None]] = []
        self._stopped_by_us = False
        self._gone = False
        self._death: Death | None = None

    def send(self, line: bytes) -> None:
        """Sends one line (without its newline) to the agent. Raises GuestDied."""
        self._channel.send(line)

    def receive(self, seconds: float) -> bytes | None:
        """The agent's next line, or None after `seconds` without one. Raises GuestDied and ProtocolViolation."""
        return self._channel.receive(seconds)

    def console(self) -> str:
        """What the kernel printed, its last `MAX_CONSOLE` bytes."""
        return self._channel.console()

    def death(self) -> Death | None:
        """None while the guest runs; one that floods its console, or closed its channel, is ended here."""
        if self._death is None:
            if self._channel.flooded:
                self._end()
                self._death = Death("flood", f"its console printed more than {FLOOD >> 20} MiB")
            elif (status := self._exit_status()) is not None:
                self._death = how_it_ended(status, self._channel.console(), self._stopped_by_us)
        return self._death

    def stop(self) -> None:
        """Ends the guest at once and removes its files. Harmless when repeated."""
        if not self._gone:
            self.death()
            self._stopped_by_us = self._death is None
            self._end()
            self.death()
            self._channel.close()
            for close in self._on_stop:
                close()
            self._processor.release()
            self._run.remove()
            self._gone = True

    def on_stop(self, close: Callable[[], None]) -> None:
        """Has something else closed when the guest is stopped."""
        self._on_stop.append(close)

    def _exit_status(self) -> int | None:
        """The exit status. A channel at its end says that the process is about to exit: then it is waited for."""
        if not self._channel.ended:
            return self._process.poll()
        try:
            return self._process.wait(_EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            self._end()
            return self._process.returncode

    def _end(self) -> None:
        """Ends all processes of the guest."""
        if self._guardian.poll() is None:
            # The guardian is one of their group, so the group's number cannot have passed to others.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        else:
            end_processes(self._run.path)
        self._process.wait()
        self._guardian.wait()
        if self._guardian.stdin:
            self._guardian.stdin.close()


def spawn(
    run: RunDirectory,
    scratch: Path,
    processor: Processor,
    command: Callable[[int], Sequence[str]],
    environment: Mapping[str, str],
    *,
    descriptors: Iterable[int] = (),
    cloned: bool = False,
) -> ProcessGuest:
    """Starts the process and its guardian. Raises OSError; run directory and processor are then still the caller's.

    `command` is given the number of the descriptor that is the agent's end of the channel. The process also
    inherits `descriptors`. Its standard output and error are the console."""
    ours, theirs = socket.socketpair()
    console, console_end = os.pipe()
    with ours, theirs, contextlib.ExitStack() as stack:
        stack.callback(os.close, console_end)
        on_failure = stack.enter_context(contextlib.ExitStack())
        on_failure.callback(os.close, console)
        with processor.inherited():
            process = subprocess.Popen(
                command(theirs.fileno()),
                cwd=run.path,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=console_end,
                stderr=console_end,
                pass_fds=(theirs.fileno(), *descriptors),
                process_group=0,
            )
        on_failure.callback(process.wait)
        on_failure.callback(process.kill)
        # A panic may abort the process: no core of half a gigabyte is wanted.
        resource.prlimit(process.pid, resource.RLIMIT_CORE, (0, 0))
        guardian = subprocess.Popen(
            ["/bin/sh", "-c", _GUARDIAN, "guardian", f"{run.path}/"],
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=process.pid,
        )
        channel = Channel(ours.dup(), console, os.pidfd_open(process.pid))
        on_failure.pop_all()
        return ProcessGuest(run, scratch, processor, process, guardian, channel, cloned=cloned)


def how_it_ended(status: int, console: str, stopped_by_us: bool) -> Death:
    """Tells from the exit status and the console how a guest ended."""
    if stopped_by_us:
        return Death("killed", "it was stopped by the suite")
    hang, oops, panic = _HANG.search(console), _OOPS.search(console), _PANIC.search(console)
    if panic and hang and "hung_task" in panic.group():
        return Death("hang", hang.group().strip())
    if oops:
        return Death("oops", oops.group().strip())
    if panic:
        return Death("panic", panic.group().strip())
    if status < 0:
        return Death("killed", f"signal {signal.Signals(-status).name}")
    last = console.strip().rpartition("\n")[2].strip()
    return Death("exited", f"exit status {status}" + (f", its last words: {last}" if last else ""))
