"""Runs guests in User-mode Linux: a Linux kernel that is an ordinary program of an ordinary user.

It boots in under a second, needs no privilege and no /dev/kvm, and has one CPU. The agent's
channel is the kernel's second console on a socket, its scratch disk a sparse file, its memory a
file in shared memory. It has no network and sees no file of the host but its disk.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from conformance.errors import SetupError
from conformance.machines.process import spawn
from conformance.machines.processors import Processor, reserve
from conformance.machines.protocol import BootImage, Guest
from conformance.machines.sweep import RunDirectory, new_run_directory

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
            return _spawn(run, disk, processor, image, self.memory)
        except BaseException as error:
            processor.release()
            run.remove()
            if isinstance(error, OSError):
                raise SetupError(f"cannot start a guest in {run.path}: {error}. {_advice(error, image)}") from error
            raise


def _spawn(run: RunDirectory, disk: Path, processor: Processor, image: BootImage, memory: int) -> Guest:
    def command(agent: int) -> list[str]:
        return [
            str(image.kernel),
            f"mem={memory // _MIB}M",
            "umid=guest",
            f"uml_dir={run.path}/",
            # "t": no discard and no write-zeroes, which shared memory refuses, with a console line each time.
            f"ubdat={disk}",
            f"initrd={image.initramfs}",
            f"con1=fd:{agent}",
            *_ARGUMENTS,
        ]

    # A User-mode Linux of newer sources panics when the C library registers restartable sequences.
    environment = {"TMPDIR": str(run.path), "GLIBC_TUNABLES": "glibc.pthread.rseq=0"}
    return spawn(run, disk, processor, command, environment)


def _advice(error: OSError, image: BootImage) -> str:
    if isinstance(error, PermissionError):
        return f"Is {image.kernel} executable, and its file system not mounted noexec?"
    if error.filename == str(image.kernel):
        return "The kernel's file is gone or damaged; start again, and it is made anew."
    return "Is there room on its disk?"
