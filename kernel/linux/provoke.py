"""Performs the calls that break things on purpose, for the suite's own tests."""

from __future__ import annotations

import os
import signal
import subprocess

from kernel import calls
from kernel.linux import mounts
from kernel.linux.exchange import reopen
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
    if call.what == "leak":
        with open(f"{world.machine.mountpoint}/leaked", "wb") as file:
            file.write(b"x" * 65536)
        return DONE
    inode = world.files[call.file].inode
    mounts.unmount(world)
    device = world.machine.device
    pointers = mounts.xfs_db(device, f"inode {inode}", "print u3.bmbt.ptrs")
    block = mounts.POINTER.findall(pointers[0][1])[0]
    subprocess.run(
        ["xfs_db", "-x", "-c", f"fsblock {block}", "-c", "type bmapbtd", "-c", "write owner 4711", device],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        check=True,
    )
    mounts.mount(world)
    reopen(world)
    return DONE
