"""Runs guests in User-mode Linux: a Linux kernel that is an ordinary program of an ordinary user.

It boots in under a second, needs no privilege and no /dev/kvm, and has one CPU. The agent's
channel is the kernel's second console on a socket, its scratch disk a sparse file, its memory a
file in shared memory. It has no network and sees no file of the host but its disk.
"""

from __future__ import annotations

import contextlib
import os
import re
import resource
import signal
import socket
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from conformance.errors import SetupError
from conformance.machines.channel import FLOOD, Channel
from conformance.machines.processors import Processor, reserve
from conformance.machines.protocol import BootImage, Death, Guest
from conformance.machines.sweep import RunDirectory, end_processes, new_run_directory

_MIB = 1 << 20

_ARGUMENTS = (
    # The consoles: the kernel's on standard output, the agent's on a socket, no others.
    "con=null",
    "con0=null,fd:1",
    "ssl=null",
    "quiet",
    "rdinit=/init",
    # A panic ends the process at once.
    "panic=-1",
    # init_hostfs: its file system would show the guest all that this user can read, and write it; its option
    # to show one directory only does not stop "..".
    # raid6_select_algo: 0.85 s of the boot went into measuring which RAID 6 code is fastest. Without that
    # RAID 6 does not work; it takes at least three disks, and a guest has one.
    "initcall_blacklist=init_hostfs,raid6_select_algo",
    # 0.25 s went into 256 terminals of the old kind, 0.08 s into measuring a delay loop.
    "pty.legacy_count=0",
    "lpj=30000000",
    # No security modules: their warnings at the start would be the only words on a healthy console.
    "lsm=",
    # For the agent, which reads /proc/cmdline. Before the dashes "con" would be taken for a console.
    "--",
    "agent.channel=/dev/tty1",
    "agent.device=/dev/ubda",
)

_GUARDIAN = 'trap "" HUP INT TERM; read -r _; rm -rf -- "$1"; kill -KILL 0'
"""Waits until its standard input ends, which is when the runner does, and removes the guest with all its processes."""

_EXIT_SECONDS = 5.0
"""Between the end of the channel and that of the process, which prints its panic in between."""

_OOPS = re.compile(
    r"^.*(?:\bBUG:|kernel BUG at|\bOops\b|Kernel mode (?:signal|fault)|general protection fault).*$", re.MULTILINE
)
_PANIC = re.compile(r"^.*Kernel panic.*$", re.MULTILINE)


@dataclass(frozen=True)
class UmlMachine:
    """The machine of `--machine=uml`."""

    memory: int = 512 * _MIB
    """The guest's memory in bytes."""
    scratch: int = 512 * _MIB
    """The size of its scratch disk in bytes."""
    name: str = "uml"

    def start(self, image: BootImage, tick: Callable[[str], None]) -> Guest:
        """Boots a guest and returns as soon as its process runs.

        Raises SetupError when the kernel cannot be run or there is no room for the guest's files."""
        tick("making room for a guest")
        run = new_run_directory(self.memory + self.scratch)
        processor = Processor(None, None)
        try:
            processor = reserve(run.path.parent)
            disk = run.path / "scratch"
            with disk.open("wb") as file:
                file.truncate(self.scratch)
            tick(f"booting {image.kernel_name}")
            return UmlGuest(run, disk, processor, *_spawn(image, run.path, disk, self.memory, processor))
        except BaseException as error:
            processor.release()
            run.remove()
            if isinstance(error, OSError):
                raise SetupError(f"cannot start a guest in {run.path}: {error}. {_advice(error, image)}") from error
            raise


class UmlGuest:
    """One running User-mode Linux; `UmlMachine.start` makes them."""

    def __init__(
        self,
        run: RunDirectory,
        scratch: Path,
        processor: Processor,
        process: subprocess.Popen[bytes],
        guardian: subprocess.Popen[bytes],
        channel: Channel,
    ) -> None:
        self.scratch = scratch
        self._processor = processor
        self._run, self._process, self._guardian, self._channel = run, process, guardian, channel
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
                self._death = Death("flood", f"its console printed more than {FLOOD // _MIB} MiB")
            elif (status := self._exit_status()) is not None:
                self._death = _death(status, self._channel.console(), self._stopped_by_us)
        return self._death

    def stop(self) -> None:
        """Ends the guest at once and removes its files. Harmless when repeated."""
        if not self._gone:
            self.death()
            self._stopped_by_us = self._death is None
            self._end()
            self.death()
            self._channel.close()
            self._processor.release()
            self._run.remove()
            self._gone = True

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


def _spawn(
    image: BootImage, run: Path, disk: Path, memory: int, processor: Processor
) -> tuple[subprocess.Popen[bytes], subprocess.Popen[bytes], Channel]:
    ours, theirs = socket.socketpair()
    console, console_end = os.pipe()
    with ours, theirs, contextlib.ExitStack() as stack:
        stack.callback(os.close, console_end)
        on_failure = stack.enter_context(contextlib.ExitStack())
        on_failure.callback(os.close, console)
        command = [
            str(image.kernel),
            f"mem={memory // _MIB}M",
            "umid=guest",
            f"uml_dir={run}/",
            # "t": no discard and no write-zeroes, which shared memory refuses, with a console line each time.
            f"ubdat={disk}",
            f"initrd={image.initramfs}",
            f"con1=fd:{theirs.fileno()}",
            *_ARGUMENTS,
        ]
        # A User-mode Linux of newer sources panics when the C library registers restartable sequences.
        environment = {"TMPDIR": str(run), "GLIBC_TUNABLES": "glibc.pthread.rseq=0"}
        with processor.inherited():
            process = subprocess.Popen(
                command,
                cwd=run,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=console_end,
                stderr=console_end,
                pass_fds=(theirs.fileno(),),
                process_group=0,
            )
        on_failure.callback(process.wait)
        on_failure.callback(process.kill)
        # A panic aborts: no core of half a gigabyte is wanted.
        resource.prlimit(process.pid, resource.RLIMIT_CORE, (0, 0))
        guardian = subprocess.Popen(
            ["/bin/sh", "-c", _GUARDIAN, "guardian", f"{run}/"],
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=process.pid,
        )
        channel = Channel(ours.dup(), console, os.pidfd_open(process.pid))
        on_failure.pop_all()
        return process, guardian, channel


def _death(status: int, console: str, stopped_by_us: bool) -> Death:
    """Tells from the exit status and the console how a guest ended."""
    if stopped_by_us:
        return Death("killed", "it was stopped by the suite")
    oops, panic = _OOPS.search(console), _PANIC.search(console)
    if oops:
        return Death("oops", oops.group().strip())
    if panic:
        return Death("panic", panic.group().strip())
    if status < 0:
        return Death("killed", f"signal {signal.Signals(-status).name}")
    last = console.strip().rpartition("\n")[2].strip()
    return Death("exited", f"exit status {status}" + (f", its last words: {last}" if last else ""))


def _advice(error: OSError, image: BootImage) -> str:
    if isinstance(error, PermissionError):
        return f"Is {image.kernel} executable, and its file system not mounted noexec?"
    if error.filename == str(image.kernel):
        return "The kernel's file is gone or damaged; start again, and it is made anew."
    return "Is there room on its disk?"
