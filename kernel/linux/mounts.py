"""Mounts, unmounts and checks the scratch file system, and reads its transaction counters."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

from kernel import calls
from kernel.linux import libc, tracing
from kernel.linux.exchange import reopen
from kernel.linux.world import DONE, Pen, World, performs
from kernel.protocol import Outcome, OwnersFound
from kernel.setup import Checked, FileSystem

_MS_RDONLY, _MS_REMOUNT = 1, 32
_OUTPUT = 8192
_FLAG_OPTIONS = {"ro": 1, "sync": 16, "noatime": 1024, "nodiratime": 2048, "strictatime": 1 << 24, "lazytime": 1 << 25}


def split_options(options: str) -> tuple[int, str]:
    """Mount options as flags for mount(2), and the rest as text for the file system."""
    flags, rest = 0, []
    for option in filter(None, options.split(",")):
        if option in _FLAG_OPTIONS:
            flags |= _FLAG_OPTIONS[option]
        else:
            rest.append(option)
    return flags, ",".join(rest)


def mount(world: World, *, remount: int = 0) -> None:
    """Mounts the scratch device, or remounts it with these flags besides."""
    flags, options = split_options(world.system.mount_options)
    libc.mount(
        world.machine.device.encode(),
        world.machine.mountpoint.encode(),
        world.system.kind.encode(),
        flags | remount,
        options.encode(),
    )
    world.mounted = True


def close_all(world: World) -> None:
    """Closes every mapping and descriptor, the observer's too."""
    for mapping in world.maps.values():
        mapping.unmap()
    world.maps.clear()
    for fd in {*world.fds.values(), *(file.observer for file in world.files.values()), world.root}:
        if fd >= 0:
            os.close(fd)
    world.fds.clear()
    world.owners.clear()
    for file in world.files.values():
        file.observer = -1
    world.root = -1


def unmount(world: World) -> None:
    """Unmounts, everything closed before."""
    close_all(world)
    if world.mounted:
        libc.umount2(world.machine.mountpoint.encode(), 0)
        world.mounted = False


def cycle(world: World) -> None:
    """Unmounts, mounts again and opens the files anew."""
    unmount(world)
    mount(world)
    reopen(world)


@performs(calls.Cycle)
def _cycle(world: World, call: calls.Cycle, pen: Pen) -> Outcome:
    cycle(world)
    return DONE


@performs(calls.Unmount)
def _unmount(world: World, call: calls.Unmount, pen: Pen) -> Outcome:
    try:
        cycle(world)
    except OSError:
        reopen(world)
        raise
    return DONE


@performs(calls.Remount)
def _remount(world: World, call: calls.Remount, pen: Pen) -> Outcome:
    close_all(world)
    try:
        mount(world, remount=_MS_REMOUNT | (_MS_RDONLY if call.access == "read" else 0))
    finally:
        reopen(world)
    return DONE


def run_tool(command: tuple[str, ...], device: str) -> Checked:
    """Runs a tool of the file system on the device."""
    words = [word.replace("{device}", device) for word in command]
    done = subprocess.run(
        words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    return Checked(" ".join(words), done.returncode, done.stdout[-_OUTPUT:].decode(errors="replace"))


def run_tools(commands: Iterable[tuple[str, ...]], device: str) -> Checked:
    """Runs tools in turn until one fails. The answer is that of the last one that ran."""
    done = Checked("", 0, "")
    for command in commands:
        done = run_tool(command, device)
        if done.status:
            break
    return done


def make_file_system(system: FileSystem, device: str) -> Checked:
    """Mkfs, and what comes after it. The answer is that of the first command that fails, or of the last."""
    return run_tools((system.mkfs, *system.after_mkfs), device)


def counters(world: World) -> dict[str, int]:
    """How far transactions have come; nothing where the file system has no journal.

    XFS: /sys/fs/xfs/DEV/stats/stats, line `trans` (started transactions) and `log` (log writes).
    ext4: /proc/fs/jbd2/DEV-8/info, committed transactions. btrfs: commit_stats, commits. And where
    the kernel has tracepoints, those that were seen to start.
    """
    libc.syncfs(world.root)
    found = _file_system_counters(world)
    return found | tracing.transactions(world.system.kind, world.machine.device) if found else {}


def _file_system_counters(world: World) -> dict[str, int]:
    device = os.path.basename(world.machine.device)
    if world.system.kind == "xfs":
        found: dict[str, int] = {}
        for line in Path(f"/sys/fs/xfs/{device}/stats/stats").read_text().splitlines():
            words = line.split()
            if words[0] == "trans":
                found |= zip(
                    ("sync transactions", "async transactions", "empty transactions"), map(int, words[1:4]), strict=True
                )
        return found
    if world.system.kind == "ext4":
        for info in Path("/proc/fs/jbd2").glob(f"{device}-*/info"):
            return {"committed transactions": int(info.read_text().split()[0])}
    if world.system.kind == "btrfs":
        for stats in Path("/sys/fs/btrfs").glob("*/commit_stats"):
            return {"commits": int(stats.read_text().split()[1])}
    return {}


_FIELD = re.compile(r"^(?:\w+\.)*(\w+) = (.*)$")
_POINTER = re.compile(r"(?:\d+:)?(\d+)")


def pointers(text: str) -> list[int]:
    """Block numbers as xfs_db prints an array of them: "1:26 2:33", and a single one without its place: "26"."""
    return [int(number) for number in _POINTER.findall(text)]


def xfs_db(device: str, *commands: str) -> list[tuple[str, str]]:
    """(field, value) of every line that xfs_db prints for these commands."""
    words = ["xfs_db", "-r"]
    for command in commands:
        words += ["-c", command]
    text = subprocess.run([*words, device], stdin=subprocess.DEVNULL, capture_output=True, check=True).stdout.decode()
    return [(m[1], m[2]) for line in text.splitlines() if (m := _FIELD.match(re.sub(r"\[[\d-]+\]", "", line)))]


def btree_owners(device: str, inode: int) -> OwnersFound:
    """Walks the bmap btree of an inode's data fork with xfs_db, level by level."""
    root = xfs_db(device, f"inode {inode}", "print core.format", "print u3.bmbt.level", "print u3.bmbt.ptrs")
    fields = dict(root)
    if "btree" not in fields.get("format", ""):
        return OwnersFound(inode, 0)
    level = int(fields["level"])
    blocks = pointers(fields["ptrs"])
    seen, foreign = 0, []
    while blocks:
        commands: list[str] = []
        for block in blocks:
            commands += [f"fsblock {block}", "type bmapbtd", "print owner"]
            commands += ["print ptrs"] if level > 1 else []
        below: list[int] = []
        for name, value in xfs_db(device, *commands):
            if name == "owner":
                seen += 1
                if int(value) != inode:
                    foreign.append(int(value))
            elif name == "ptrs":
                below += pointers(value)
        blocks, level = below, level - 1
    return OwnersFound(inode, seen, tuple(foreign))
