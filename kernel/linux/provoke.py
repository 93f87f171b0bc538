"""Performs the calls that break things on purpose, for the suite's own tests."""

from __future__ import annotations

import os
import signal
import subprocess

from kernel import calls
from kernel.linux import libc, mounts
from kernel.linux.exchange import reopen
from kernel.linux.files import write_all
from kernel.linux.observe import extents
from kernel.linux.world import DONE, Pen, World, performs
from kernel.protocol import Outcome


@performs(calls.Provoke)
def _provoke(world: World, call: calls.Provoke, pen: Pen) -> Outcome:
    if call.what == "panic":
        with open("/proc/sysrq-trigger", "w") as trigger:
            trigger.write("c")
    elif call.what == "warning":
        with open("/dev/kmsg", "w") as log:
            log.write("<4>WARNING: CPU: 0 PID: 1 at fs/provoked.c:1 provoked+0x0/0x1")
    elif call.what == "hang":
        while True:
            signal.pause()
    elif call.what == "exit":
        os._exit(3)
    elif call.what == "garbage":
        os.write(world.machine.channel, b"\xff\xfe not the protocol {]\n")
    elif call.what == "endless_line":
        while True:
            os.write(world.machine.channel, b"x" * 65536)
    return DONE


@performs(calls.Sabotage)
def _sabotage(world: World, call: calls.Sabotage, pen: Pen) -> Outcome:
    _SABOTAGE[call.what](world, call.file)
    return DONE


def _leak(world: World, file: str) -> None:
    with open(f"{world.machine.mountpoint}/leaked", "wb") as leaked:
        leaked.write(b"x" * 65536)


def _bystander(world: World, file: str) -> None:
    with open(f"{world.machine.mountpoint}/bystander", "r+b") as bystander:
        bystander.write(b"x" * 512)


def _overwrite(world: World, file: str) -> None:
    """Works where FIEMAP tells places on the device: everywhere but on btrfs."""
    libc.syncfs(world.root)
    place = extents(world.files[file].observer)[0].physical
    device = os.open(world.machine.device, os.O_RDWR | os.O_DIRECT | os.O_CLOEXEC)
    try:
        write_all(device, b"sabotage" * 512, place, direct=True)
    finally:
        os.close(device)


def _owner(world: World, file: str) -> None:
    inode = world.files[file].inode
    mounts.unmount(world)
    device = world.machine.device
    found = mounts.xfs_db(device, f"inode {inode}", "print u3.bmbt.ptrs")
    block = mounts.pointers(found[0][1])[0]
    _change(world, ("xfs_db", "-x", "-c", f"fsblock {block}", "-c", "type bmapbtd", "-c", "write owner 4711", device))


def _links(world: World, file: str) -> None:
    inode = world.files[file].inode
    mounts.unmount(world)
    device = world.machine.device
    if world.system.kind == "xfs":
        _change(world, ("xfs_db", "-x", "-c", f"inode {inode}", "-c", "write core.nlinkv2 7", device))
    else:
        _change(world, ("debugfs", "-w", "-R", f"set_inode_field <{inode}> links_count 7", device))


def _change(world: World, command: tuple[str, ...]) -> None:
    """Runs a tool on the unmounted device, and mounts again."""
    subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
    mounts.mount(world)
    reopen(world)


_SABOTAGE = {"owner": _owner, "links": _links, "overwrite": _overwrite, "bystander": _bystander, "leak": _leak}
