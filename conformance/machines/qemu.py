"""Runs guests in QEMU: any kernel for PCs, on one or more processors, as an ordinary user.

A guest is a clone: it goes on from a snapshot that was made when the first one's agent said hello
(`template.py`), which takes a tenth of a second. Its memory is a private mapping of the snapshot's,
its scratch disk a sparse file. It has no network and no file of the host but its disk, and QEMU
runs in its own seccomp sandbox.
"""

from __future__ import annotations

import re
import shutil
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from conformance.errors import GuestError, SetupError
from conformance.machines.accelerator import KVM_SECONDS, Accelerator, proved, remember
from conformance.machines.process import spawn
from conformance.machines.processors import Processor, reserve
from conformance.machines.protocol import BootImage, Guest
from conformance.machines.qmp import Monitor
from conformance.machines.sweep import new_run_directory
from conformance.machines.template import IGNORE_SHARED, Snapshot, Started, snapshot

_MIB = 1 << 20
_QEMU = "qemu-system-x86_64"
_TRANSLATED = 64
"""MiB of translated code that QEMU keeps: a gigabyte unless told otherwise."""
BOOT_SECONDS = 120.0
"""From the start of the process to the agent's hello, for a template without KVM on a slow machine."""

_OPTIONS = (
    *("-nodefaults", "-no-user-config", "-nographic", "-vga", "none", "-monitor", "none", "-parallel", "none"),
    "-no-reboot",  # a panic ends the process
    *("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"),
    *("-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"),
    *("-device", "virtio-serial-pci,max_ports=2", "-device", "virtserialport,chardev=agent,nr=1"),
    *("-device", "virtio-blk-pci,drive=scratch"),
)

_KERNEL_OPTIONS = (
    # A panic resets the machine at once, which ends the process.
    *("console=ttyS0", "quiet", "panic=-1", "rdinit=/init"),
    # What takes long under emulation, and is of no use here.
    *("mitigations=off", "random.trust_cpu=on", "init_on_alloc=0", "nokaslr", "cryptomgr.notests", "audit=0"),
    *("8250.nr_uarts=2", "i8042.noaux", "i8042.nokbd", "raid6_pq.benchmark=0"),
    # Emulated clock devices are slow to read.
    *("tsc=reliable", "clocksource=tsc"),
    # No security modules: their warnings at the start would be the only words on a healthy console.
    "lsm=",
    # The watchdogs of processors that do not come back: under emulation on a busy host they bark at nothing.
    "nowatchdog",
    # For the agent, which reads /proc/cmdline.
    *("agent.channel=/dev/vport0p1", "agent.device=/dev/vda"),
)

_ACCELERATORS: dict[Accelerator, str] = {"kvm": "kvm", "tcg": f"tcg,tb-size={_TRANSLATED}"}
_MODELS: dict[Accelerator, str] = {"kvm": "host", "tcg": "Nehalem,+rdrand"}


@dataclass(frozen=True)
class QemuMachine:
    """The machine of `--machine=qemu`."""

    processors: int = 1
    """How many the guest has. Races between two calls need two."""
    memory: int = 384 * _MIB
    """The guest's memory in bytes."""
    scratch: int = 512 * _MIB
    """The size of its scratch disk in bytes."""
    name: str = "qemu"

    def start(self, image: BootImage, tick: Callable[[str], None]) -> Guest:
        """Clones a guest and returns as soon as its process runs. The first time the template is made before.

        Raises SetupError when QEMU is not there or there is no room for the guest's files, and GuestError when the
        kernel does not come up."""
        program = _program()
        accelerator = proved(_identity(program)) or self._try_kvm(program, image, tick)
        template = self._template(program, image, accelerator, BOOT_SECONDS, tick)
        with template.state.open("rb") as state:
            started = _spawn(_Start(program, image, accelerator, self), template, [state.fileno()])
            try:
                started.monitor.tell("qmp_capabilities")
                started.monitor.tell("migrate-set-capabilities", capabilities=IGNORE_SHARED)
                started.monitor.tell("migrate-incoming", uri=f"fd:{state.fileno()}")
            except BaseException:
                started.guest.stop()
                raise
        return started.guest

    def _try_kvm(self, program: Path, image: BootImage, tick: Callable[[str], None]) -> Accelerator:
        tick("trying KVM")
        try:
            self._template(program, image, "kvm", KVM_SECONDS, tick)
        except GuestError:
            tick("/dev/kvm is there, but no guest comes up with it: guests are emulated, which is slower")
            remember(_identity(program), works=False)
            return "tcg"
        remember(_identity(program), works=True)
        return "kvm"

    def _template(
        self, program: Path, image: BootImage, accelerator: Accelerator, seconds: float, tick: Callable[[str], None]
    ) -> Snapshot:
        start = _Start(program, image, accelerator, self)

        def boot() -> Started:
            tick(f"booting {image.kernel_name}")
            return _spawn(start, None)

        return snapshot(start.parts(), boot, self.memory, seconds, tick)


@dataclass(frozen=True)
class _Start:
    """All that decides what a guest is."""

    program: Path
    image: BootImage
    accelerator: Accelerator
    machine: QemuMachine

    def command(self, memory: str, disk: str, agent: int, monitor: int) -> list[str]:
        """QEMU's command line. `memory` is the file of the guest's memory with its options, the numbers descriptors."""
        size = f"{self.machine.memory // _MIB}M"
        return [
            *(str(self.program), "-accel", _ACCELERATORS[self.accelerator], "-cpu", _MODELS[self.accelerator]),
            *("-machine", "q35,sata=off,smbus=off,usb=off,hpet=on,vmport=off,memory-backend=memory"),
            *("-object", f"memory-backend-file,id=memory,size={size},mem-path={memory}"),
            *("-m", size, "-smp", str(self.machine.processors)),
            *("-kernel", str(self.image.kernel), "-initrd", str(self.image.initramfs)),
            *("-append", " ".join(_KERNEL_OPTIONS)),
            *("-drive", f"file={disk},if=none,id=scratch,format=raw,cache=unsafe,discard=unmap,file.locking=off"),
            *("-chardev", f"socket,id=agent,fd={agent}"),
            *("-chardev", f"socket,id=monitor,fd={monitor}", "-mon", "chardev=monitor,mode=control"),
            *_OPTIONS,
        ]

    def parts(self) -> dict[str, str]:
        """What a template is kept under."""
        image = [self.image.kernel, self.image.initramfs]
        host = Path("/proc/cpuinfo").read_text().partition("\n\n")[0] if self.accelerator == "kvm" else ""
        return {
            "qemu": _identity(self.program),
            "image": "\n".join(f"{path} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in image),
            "command": "\n".join(self.command("", "", 0, 0)),
            "host": re.sub(r"(?m)^(cpu MHz|bogomips).*", "", host),
        }


def _spawn(start: _Start, template: Snapshot | None, descriptors: Sequence[int] = ()) -> Started:
    """Starts a guest: a clone of a template, or one that boots. Its process inherits the descriptors."""
    machine = start.machine
    run = new_run_directory(machine.scratch + (0 if template else machine.memory))
    processor = Processor(None, None)
    ours, theirs = socket.socketpair()
    with theirs:
        try:
            disk = run.path / "scratch"
            with disk.open("wb") as file:
                file.truncate(machine.scratch)
            memory = template.memory if template else run.path / "memory"
            if template and machine.processors == 1:
                processor = reserve(run.path.parent)

            def command(agent: int) -> list[str]:
                words = start.command(
                    f"{memory},share={'off' if template else 'on'}", str(disk), agent, theirs.fileno()
                )
                return [*words, "-incoming", "defer"] if template else words

            guest = spawn(
                run,
                disk,
                processor,
                command,
                {},
                descriptors=(theirs.fileno(), *descriptors),
                cloned=template is not None,
            )
        except BaseException as error:
            ours.close()
            processor.release()
            run.remove()
            if isinstance(error, OSError):
                raise SetupError(f"cannot start a guest in {run.path}: {error}. Is there room on its disk?") from error
            raise
    guest.on_stop(ours.close)
    return Started(guest, Monitor(ours), memory)


def _program() -> Path:
    found = shutil.which(_QEMU)
    if found is None:
        raise SetupError(
            f"expected the command {_QEMU} in PATH, found none: --machine=qemu needs it. On Debian it is in the "
            "package qemu-system-x86: apt-get install qemu-system-x86"
        )
    return Path(found).resolve()


def _identity(program: Path) -> str:
    """Which QEMU it is; asking it takes longer than cloning a guest."""
    status = program.stat()
    return f"{program} {status.st_size} {status.st_mtime_ns}"
