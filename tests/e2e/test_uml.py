"""User-mode Linux guests for real: boot, channel, the ways to die, and that nothing is left behind.

The agent here is a stand-in of a few lines: the machine is tested, not the suite's own agent.
"""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from conformance import images
from conformance.errors import GuestDied, ProtocolViolation, SetupError
from conformance.machines import sweep
from conformance.machines.process import ProcessGuest
from conformance.machines.protocol import MAX_CONSOLE, MAX_LINE, BootImage, Guest
from conformance.machines.uml import UmlMachine

AGENT = """
import ctypes, os, sys, termios
libc = ctypes.CDLL(None, use_errno=True)
for what, where in (("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev")):
    libc.mount(what.encode(), where.encode(), what.encode(), 0, None)
words = dict(word.partition("=")[::2] for word in open("/proc/cmdline").read().split())
fd = os.open(words["agent.channel"], os.O_RDWR | os.O_NOCTTY)
mode = termios.tcgetattr(fd)
mode[0] = mode[1] = mode[3] = 0
termios.tcsetattr(fd, termios.TCSANOW, mode)
pipe = os.fdopen(fd, "rb", buffering=0)
os.write(fd, b"hello\\n")
rest = b""
while data := os.read(fd, 65536):
    *lines, rest = (rest + data).split(b"\\n")
    for line in lines:
        if line.startswith(b"!"):
            try:
                answer = repr(eval(line[1:]))
            except Exception as error:
                answer = repr(repr(error))
            line = answer.encode()
        view = memoryview(line + b"\\n")
        while view:
            view = view[os.write(fd, view):]
"""

BOOT_SECONDS = 60.0
ANSWER_SECONDS = 60.0


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> BootImage:
    directory = tmp_path_factory.mktemp("agent")
    package = directory / "conformance" / "guest"
    package.mkdir(parents=True)
    (directory / "conformance" / "__init__.py").touch()
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(AGENT)
    return images.boot_image("uml-6.1", print, agent_directory=directory)


def quiet(said: str) -> None:
    """Takes progress and drops it."""


@pytest.fixture
def start(image: BootImage) -> Iterator[Callable[[], ProcessGuest]]:
    guests: list[ProcessGuest] = []

    def start_one() -> ProcessGuest:
        guest = UmlMachine().start(image, quiet)
        assert isinstance(guest, ProcessGuest)
        guests.append(guest)
        assert guest.receive(BOOT_SECONDS) == b"hello", guest.console()
        return guest

    yield start_one
    for guest in guests:
        guest.stop()


@pytest.fixture
def guest(start: Callable[[], ProcessGuest]) -> ProcessGuest:
    return start()


def ask(guest: Guest, expression: str) -> object:
    guest.send(b"!" + expression.encode())
    answer = guest.receive(ANSWER_SECONDS)
    assert answer is not None, guest.console()
    return ast.literal_eval(answer.decode())


def run_directory(guest: ProcessGuest) -> Path:
    return guest.scratch.parent


def is_gone(run: Path) -> bool:
    return not run.exists() and not sweep.processes_of(run)


def test_lines_go_there_and_back_whole(guest: ProcessGuest) -> None:
    for line in (b"", b"x", b"\xff\x00\x03\x04\x11\x13\x1a\x7f\r", bytes(range(11, 256)) * 1000):
        guest.send(line)
        assert guest.receive(ANSWER_SECONDS) == line
    assert guest.death() is None
    assert guest.receive(0) is None


def test_the_scratch_disk_is_the_file(guest: ProcessGuest) -> None:
    assert guest.scratch.stat().st_size == 512 << 20
    with guest.scratch.open("r+b") as file:
        file.seek(1 << 20)
        file.write(b"from the host")
    opened = "d := os.open('/dev/ubda', os.O_RDWR | os.O_DSYNC)"
    assert ask(guest, f"({opened}, os.pread(d, 13, 1 << 20))[1]") == b"from the host"
    assert ask(guest, "os.pwrite(d, b'guest', 0)") == 5
    with guest.scratch.open("rb") as file:
        assert file.read(5) == b"guest"


def test_the_guest_cannot_reach_files_of_the_host(guest: ProcessGuest) -> None:
    mount = "libc.mount(b'none', b'/mnt', b'hostfs', 0, b'/')"
    assert ask(guest, f"({mount}, os.strerror(ctypes.get_errno()))") == (-1, "No such device")
    assert "hostfs" not in str(ask(guest, "open('/proc/filesystems').read()"))
    assert "xfs" in str(ask(guest, "open('/proc/filesystems').read()"))


def test_the_guest_has_no_network_but_loopback(guest: ProcessGuest) -> None:
    assert ask(guest, "sorted(os.listdir('/sys/class/net'))") == ["lo"]


def test_every_tool_of_the_recipe_runs(guest: ProcessGuest) -> None:
    commands = ["mkfs.ext4 -V", "mkfs.xfs -V", "xfs_db -V", "xfs_repair -V", "btrfs version", "setfattr --version"]
    ask(guest, "globals().update(run=__import__('subprocess').run)")
    for command in commands:
        assert ask(guest, f"run({command.split()}, capture_output=True).returncode") == 0, command


IMPORT_ALL = """
import importlib, pkgutil, sys
failed = []
places = [path for path in sys.path if path.startswith("/usr/lib/python3")]
for module in pkgutil.iter_modules(places):
    try:
        importlib.import_module(module.name)
    except Exception as error:
        failed.append(f"{module.name}: {error}")
print()
print(failed)
"""


def test_every_module_of_python_that_was_kept_can_be_imported(guest: ProcessGuest) -> None:
    failed = ask(
        guest,
        f"__import__('subprocess').run([sys.executable, '-SsB', '-c', {IMPORT_ALL!r}], "
        "capture_output=True, text=True).stdout.splitlines()[-1]",
    )
    assert failed == "[]"


def test_a_panic_is_told_from_other_ends(guest: ProcessGuest) -> None:
    guest.send(b"!open('/proc/sysrq-trigger', 'w').write('c')")
    with pytest.raises(GuestDied):
        guest.receive(ANSWER_SECONDS)
    death = guest.death()
    assert death is not None
    assert (death.kind, death.detail) == ("panic", "Kernel panic - not syncing: sysrq triggered crash")
    assert "sysrq: Trigger a crash" in guest.console()
    run = run_directory(guest)
    guest.stop()
    assert is_gone(run)
    assert guest.death() == death
    assert "Kernel panic" in guest.console()
    with pytest.raises(GuestDied):
        guest.send(b"anybody there?")


def test_an_agent_that_ends_is_a_panic_of_its_kernel(guest: ProcessGuest) -> None:
    guest.send(b"!os._exit(3)")
    with pytest.raises(GuestDied):
        guest.receive(ANSWER_SECONDS)
    death = guest.death()
    assert death is not None
    assert death.kind == "panic"
    assert "Attempted to kill init" in death.detail


def test_a_guest_that_is_killed_from_outside_is_seen_at_once(guest: ProcessGuest) -> None:
    main = min(sweep.processes_of(run_directory(guest)))
    os.kill(main, signal.SIGKILL)
    with pytest.raises(GuestDied):
        guest.receive(ANSWER_SECONDS)
    death = guest.death()
    assert death is not None
    assert (death.kind, death.detail) == ("killed", "signal SIGKILL")


def test_stop_leaves_nothing_and_may_be_repeated(guest: ProcessGuest) -> None:
    run = run_directory(guest)
    assert len(sweep.processes_of(run)) >= 2
    guest.stop()
    assert is_gone(run)
    guest.stop()
    death = guest.death()
    assert death is not None
    assert death.kind == "killed"


def test_stop_works_when_the_guardian_is_gone(guest: ProcessGuest) -> None:
    run = run_directory(guest)
    for process in sweep.processes_of(run):
        if Path(f"/proc/{process}/exe").readlink().name != "linux.uml":
            os.kill(process, signal.SIGKILL)
    guest.stop()
    assert is_gone(run)


def test_a_console_without_end_is_bounded_and_ended(guest: ProcessGuest) -> None:
    guest.send(b"!(k := os.open('/dev/tty0', os.O_WRONLY), [os.write(k, b'flood' * 800) for _ in iter(int, 1)])")
    with pytest.raises(GuestDied, match="console printed more than 64 MiB"):
        guest.receive(ANSWER_SECONDS)
    death = guest.death()
    assert death is not None
    assert death.kind == "flood"
    assert 0 < len(guest.console()) <= MAX_CONSOLE


def test_a_line_without_end_is_a_violation(guest: ProcessGuest) -> None:
    guest.send(b"![os.write(fd, b'x' * 4000) for _ in iter(int, 1)]")
    with pytest.raises(ProtocolViolation, match=f"a line of more than {MAX_LINE} bytes, which begins with b'xxx"):
        guest.receive(ANSWER_SECONDS)


def test_two_guests_do_not_meet(start: Callable[[], ProcessGuest]) -> None:
    one, two = start(), start()
    assert one.scratch != two.scratch
    for guest, name in ((one, b"one"), (two, b"two")):
        guest.send(name)
    assert (one.receive(ANSWER_SECONDS), two.receive(ANSWER_SECONDS)) == (b"one", b"two")
    one.stop()
    two.send(b"still here")
    assert two.receive(ANSWER_SECONDS) == b"still here"


RUNNER = """
import sys
from pathlib import Path
from conformance.machines.protocol import BootImage
from conformance.machines.uml import UmlMachine
guest = UmlMachine().start(BootImage(Path(sys.argv[1]), Path(sys.argv[2]), "uml-6.1", ()), lambda said: None)
assert guest.receive(60) == b"hello"
print(guest.scratch.parent, flush=True)
guest.receive(3600)
"""


def start_runner(image: BootImage) -> tuple[subprocess.Popen[str], Path]:
    runner = subprocess.Popen(
        [sys.executable, "-c", RUNNER, image.kernel, image.initramfs], stdout=subprocess.PIPE, text=True
    )
    assert runner.stdout is not None
    run = Path(runner.stdout.readline().strip())
    runner.stdout.close()
    assert run.is_dir()
    assert len(sweep.processes_of(run)) >= 3
    return runner, run


def wait_until_gone(run: Path) -> None:
    deadline = time.monotonic() + 60
    while not is_gone(run) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert is_gone(run)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_guest_ends_with_its_runner(image: BootImage, how: signal.Signals) -> None:
    runner, run = start_runner(image)
    runner.send_signal(how)
    runner.wait()
    wait_until_gone(run)


def test_what_is_left_when_runner_and_guardian_are_killed_is_swept(image: BootImage) -> None:
    runner, run = start_runner(image)
    other_runner, other = start_runner(image)
    try:
        for process in sweep.processes_of(run):
            if Path(f"/proc/{process}/exe").readlink().name != "linux.uml":
                os.kill(process, signal.SIGKILL)
        runner.kill()
        runner.wait()
        assert len(sweep.processes_of(run)) >= 2
        assert run in sweep.sweep()
        assert is_gone(run)
        assert len(sweep.processes_of(other)) >= 3
    finally:
        other_runner.kill()
        other_runner.wait()
    wait_until_gone(other)


def test_a_small_shared_memory_sends_guests_to_the_cache(
    image: BootImage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sweep, "SHARED_MEMORY", tmp_path / "absent")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    guest = UmlMachine().start(image, quiet)
    try:
        assert guest.scratch.is_relative_to(tmp_path / "cache" / "conformance" / "runs")
        assert guest.receive(BOOT_SECONDS) == b"hello"
    finally:
        guest.stop()
    assert not guest.scratch.parent.exists()


def test_a_directory_in_shared_memory_that_is_not_ours_is_not_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "shm").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "shm" / f"conformance-{os.getuid()}").symlink_to(tmp_path / "elsewhere")
    monkeypatch.setattr(sweep, "SHARED_MEMORY", tmp_path / "shm")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    run = sweep.new_run_directory(1 << 20)
    assert run.path.is_relative_to(tmp_path / "cache")
    run.remove()
    run.remove()
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_no_room_for_a_guest_is_told_with_the_numbers(
    image: BootImage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sweep, "SHARED_MEMORY", tmp_path / "absent")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(SetupError, match=r"a guest needs 1099511628288 MiB .* found \d+ MiB free"):
        UmlMachine(scratch=1 << 60).start(image, quiet)


def test_a_kernel_that_cannot_be_run_is_told(image: BootImage, tmp_path: Path) -> None:
    kernel = tmp_path / "linux"
    kernel.write_bytes(image.kernel.read_bytes())
    with pytest.raises(SetupError, match=r"Permission denied.*Is .*/linux executable"):
        UmlMachine().start(BootImage(kernel, image.initramfs, "mine", ()), quiet)
    kernel.unlink()
    with pytest.raises(SetupError, match=r"No such file.*start again, and it is made anew"):
        UmlMachine().start(BootImage(kernel, image.initramfs, "mine", ()), quiet)


def test_a_program_that_is_no_kernel_ends_with_its_last_words(image: BootImage) -> None:
    guest = UmlMachine().start(BootImage(Path("/bin/ls"), image.initramfs, "ls", ()), quiet)
    try:
        with pytest.raises(GuestDied):
            guest.receive(ANSWER_SECONDS)
        death = guest.death()
        assert death is not None
        assert death.kind == "exited"
        assert "exit status 2, its last words: /bin/ls: cannot access" in death.detail
    finally:
        guest.stop()
