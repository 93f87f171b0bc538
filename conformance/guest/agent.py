"""The agent: PID 1 of a guest. Prepares the guest, says hello, and serves requests until the channel ends."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import gc
import json
import os
import platform
import sys
import termios
import time
import traceback
import tty
from pathlib import Path

from conformance.guest.modules import load_modules
from conformance.guest.protocol import SPEED, Hello, Identity, Request
from conformance.model.codec import decode, encode
from conformance.model.trace import Broke, CheckerRan, Ended, Event, Failed, Settled, Stepping
from conformance.trial import run
from kernel.linux import libc
from kernel.linux.kernel import LinuxKernel, Machine
from kernel.linux.mounts import make_file_system

_MOUNTS = (
    ("proc", "/proc", "proc"),
    ("sysfs", "/sys", "sysfs"),
    ("devtmpfs", "/dev", "devtmpfs"),
    ("tmpfs", "/tmp", "tmpfs"),
    ("tracefs", "/sys/kernel/tracing", "tracefs"),
    ("cgroup2", "/sys/fs/cgroup", "cgroup2"),
)
_SETTINGS = {
    "/sys/fs/cgroup/cgroup.subtree_control": "+memory",
    "/proc/sys/fs/xfs/xfssyncd_centisecs": "720000",  # no background transactions while a trial counts them
    "/proc/sys/kernel/sysrq": "1",
}
_OPTIONAL_SETTINGS = {
    "/proc/sys/kernel/panic_on_oops": "1",  # the rest of such a guest's answers mean nothing
    "/proc/sys/kernel/hung_task_check_interval_secs": "1",
    "/proc/sys/kernel/hung_task_panic": "1",
}
"""What some kernels have, and others do without."""
_HUNG_SECONDS = 4
"""How long a task may sleep uninterruptibly on a guest of speed 1 before a kernel that can tell takes it for hung."""
_RNDRESEEDCRNG = 0x5207
MOUNTPOINT = "/tmp/scratch"
_DEVICE_SECONDS = 30.0
_WORK, _MEASUREMENTS = 20_000, 3
_UNSAID = 1 << 16


def prepare() -> tuple[str, ...]:
    """Mounts what a Linux system has, and sets what trials need; the names of what could not be."""
    lacks: list[str] = []
    for source, where, kind in _MOUNTS:
        try:
            os.makedirs(where, exist_ok=True)
            libc.mount(source.encode(), where.encode(), kind.encode(), 0, b"")
        except OSError as error:
            if error.errno != errno.EBUSY:  # the kernel mounted it already
                lacks.append(kind)
    lacks += load_modules()
    for path, value in _SETTINGS.items():
        try:
            Path(path).write_text(value)
        except OSError:
            lacks.append(path)
    for path, value in _OPTIONAL_SETTINGS.items():
        with contextlib.suppress(OSError):
            Path(path).write_text(value)
    os.makedirs(MOUNTPOINT, exist_ok=True)
    os.environ["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin"
    return tuple(lacks)


def parameters() -> dict[str, str]:
    """The words `agent.NAME=VALUE` of the kernel command line."""
    words = Path("/proc/cmdline").read_text().split()
    return dict(
        word.removeprefix("agent.").split("=", 1) for word in words if word.startswith("agent.") and "=" in word
    )


def speed() -> float:
    """Seconds for a fixed piece of work: the best of some, because a busy host makes a guest wait."""
    return min(_work() for _ in range(_MEASUREMENTS))


def _work() -> float:
    """Some thousand additions and some system calls."""
    began = time.monotonic()
    total = 0
    for number in range(_WORK):
        total += number
        if number % 100 == 0:
            os.stat("/")
    return time.monotonic() - began


def watch_for_hung_tasks(measured: float) -> None:
    """Lets the kernel, where it can, panic with a task's stack when it is hung. `measured` is what `speed` said."""
    with contextlib.suppress(OSError):
        seconds = max(_HUNG_SECONDS, round(_HUNG_SECONDS * measured / SPEED))
        Path("/proc/sys/kernel/hung_task_timeout_secs").write_text(str(seconds))


def become(identity: Identity) -> None:
    """Makes this guest another than its twins, which go on from the same snapshot."""
    libc.sethostname(identity.name.encode(), len(identity.name))
    with open("/dev/urandom", "wb", buffering=0) as random:
        random.write(bytes.fromhex(identity.entropy))
        fcntl.ioctl(random, _RNDRESEEDCRNG)


def hello(lacks: tuple[str, ...]) -> Hello:
    """What this guest is."""
    found = platform.uname()
    lines = Path("/proc/filesystems").read_text().splitlines()
    return Hello(
        release=found.release,
        version=found.version,
        processors=os.cpu_count() or 1,
        memory=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        page=os.sysconf("SC_PAGE_SIZE"),
        filesystems=tuple(line.split("\t")[-1] for line in lines),
        speed=speed(),
        lacks=lacks,
    )


class Channel:
    """Lines to and from the host. What is said leaves with the next `flush`: every write costs a round trip."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._buffer = bytearray()
        self._unsaid = bytearray()

    @classmethod
    def open(cls, path: str) -> Channel:
        """Opens the device, as soon as there is one; a terminal is made raw before anything is said."""
        deadline = time.monotonic() + _DEVICE_SECONDS
        while not os.path.exists(path) and time.monotonic() < deadline:
            time.sleep(0.001)  # a port of virtio-serial appears when the host has answered, and nothing tells
        fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        if os.isatty(fd):
            tty.setraw(fd, termios.TCSANOW)
        return cls(fd)

    def say(self, line: str) -> None:
        """One line for the host."""
        self._unsaid += line.encode() + b"\n"
        if len(self._unsaid) > _UNSAID:
            self.flush()

    def flush(self) -> None:
        """Sends all that was said."""
        while self._unsaid:
            del self._unsaid[: os.write(self.fd, self._unsaid)]

    def hear(self) -> bytes | None:
        """The next line from the host; None when there will be no more."""
        searched = 0
        while (end := self._buffer.find(b"\n", searched)) < 0:
            searched = len(self._buffer)
            more = os.read(self.fd, 1 << 16)
            if not more:
                return None
            self._buffer += more
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line


def _tainted() -> int:
    return int(Path("/proc/sys/kernel/tainted").read_text())


def serve(channel: Channel, kernel: LinuxKernel, device: str, said: Hello) -> None:
    """Answers requests until the channel ends. `said` is the hello that was said at the start."""

    def emit(event: Event) -> None:
        channel.say(json.dumps(encode(event), separators=(",", ":")))
        # Should the kernel go down in what comes next, the host knows how far it came.
        if isinstance(event, (Stepping, Settled, Failed)):
            channel.flush()

    while (line := channel.hear()) is not None:
        try:
            request = decode(Request, json.loads(line))
            if request.clock:
                time.clock_settime(time.CLOCK_REALTIME, request.clock)
            if request.identity is not None:
                become(request.identity)
                channel.say(json.dumps(encode(said)))
                channel.flush()
                continue
            if request.mkfs is not None:
                emit(CheckerRan(make_file_system(request.mkfs, device)))
            if request.run is not None:
                run(request.run, kernel, emit)
        except Exception:  # whatever went wrong in here is reported as the harness's fault, and the next request served
            emit(Broke(traceback.format_exc(limit=8)))
        emit(Ended(_tainted()))
        channel.flush()


def main() -> None:
    """Never returns: PID 1 that ends would be a panic."""
    lacks = prepare()
    libc.keep_memory()
    gc.disable()  # a trial leaves no cycles behind that matter, and a page fault is expensive in a guest
    given = parameters()
    channel = Channel.open(given["channel"])
    device = given["device"]
    kernel = LinuxKernel(Machine(device, MOUNTPOINT, "/tmp", channel.fd), own_clock=True)
    said = hello(lacks)
    watch_for_hung_tasks(said.speed)
    channel.say(json.dumps(encode(said)))
    channel.flush()
    try:
        serve(channel, kernel, device, said)
    finally:
        sys.stdout.flush()
        libc.reboot(0x4321FEDC)
