"""Performs the calls on the file system as a whole, and those that break things on purpose."""

from __future__ import annotations

from kernel import calls
from kernel.protocol import Outcome
from kernel.reference.inode import APPEND, IMMUTABLE
from kernel.reference.world import DONE, Descriptor, File, Machine, Pen, World, fail, performs


def close_all(world: World) -> None:
    """Closes every mapping and descriptor, the observer's too."""
    world.exit()
    for file in world.machine.files.values():
        if file.observer is not None and file.observer.inode is not None:
            world.fs.put(file.observer.inode)
        file.observer = None


def observe_by(world: World, file: File) -> None:
    """Opens the observer's own descriptor."""
    inode = world.fs.lookup(file.path)
    inode.opens += 1
    file.observer = Descriptor(inode, writable=False, noatime=True)


def reopen(world: World) -> None:
    """Opens every file of the trial anew after a mount: its own descriptor, and the observer's."""
    for name, file in world.machine.files.items():
        if file.path not in world.fs.names:  # unlinked by the trial, or never reached the device before a crash
            continue
        observe_by(world, file)
        assert file.observer is not None
        inode = file.observer.inode
        assert inode is not None
        writable = not world.fs.read_only and not inode.flags & (IMMUTABLE | APPEND)
        world.open(name, name, Descriptor(inode, writable=writable))


def unmount(world: World) -> None:
    """Unmounts, everything closed before; raises EBUSY while a swap area is active."""
    close_all(world)
    if world.fs.mounted:
        world.fs.frozen = False
        world.fs.unmount()


def cycle(world: World) -> None:
    """Unmounts, mounts again and opens the files anew."""
    unmount(world)
    world.fs.mount()
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
        _remount_as(world, call.access == "read")
    finally:
        reopen(world)
    return DONE


def _remount_as(world: World, read_only: bool) -> None:
    fs = world.fs
    if fs.frozen or (read_only and world.machine.areas):
        fail("EBUSY")
    if read_only and not fs.read_only:
        fs.sync()
        fs.disk.checkpoint()
    fs.read_only = read_only


def _root_alone(world: World) -> None:
    if not world.fs.tasks.current.privileged:
        fail("EPERM")


@performs(calls.Freeze)
def _freeze(world: World, call: calls.Freeze, pen: Pen) -> Outcome:
    fs = world.fs
    if "freeze" not in fs.personality.offers:
        fail("EOPNOTSUPP")
    _root_alone(world)
    if fs.frozen:
        fail("EBUSY")
    fs.sync()
    fs.disk.checkpoint()
    fs.frozen = True
    return DONE


@performs(calls.Thaw)
def _thaw(world: World, call: calls.Thaw, pen: Pen) -> Outcome:
    _root_alone(world)
    if not world.fs.frozen:
        fail("EINVAL")
    thaw(world)
    return DONE


def thaw(world: World) -> None:
    """Lets all changes go on, and those who wait for it run."""
    world.fs.frozen = False
    world.fs.tasks.preempt()


@performs(calls.Shutdown)
def _shutdown(world: World, call: calls.Shutdown, pen: Pen) -> Outcome:
    fs = world.fs
    if "shutdown" not in fs.personality.offers:
        fail("ENOTTY")
    if not fs.shut:
        if call.mode == "default":
            fs.sync()
        elif call.mode == "log_flush":
            fs.flush_log()
        fs.shut = True
    return DONE


@performs(calls.Provoke)
def _provoke(world: World, call: calls.Provoke, pen: Pen) -> Outcome:
    if call.what != "warning":
        fail("ENOSYS")  # this kernel has no machine of its own that could die or hang
    world.machine.lines.append("WARNING: CPU: 0 PID: 1 at fs/provoked.c:1 provoked+0x0/0x1")
    return DONE


@performs(calls.Sabotage)
def _sabotage(world: World, call: calls.Sabotage, pen: Pen) -> Outcome:
    _SABOTAGE[call.what](world, call.file)
    return DONE


def _leak(world: World, file: str) -> None:
    leaked = world.fs.create("leaked", 0o600)
    world.fs.write(leaked, 0, [(65536, ("sabotage", 0, 0))])


def _bystander(world: World, file: str) -> None:
    world.fs.write(world.fs.lookup("bystander"), 0, [(512, ("sabotage", 0, 0))])


def _overwrite(world: World, file: str) -> None:
    fs = world.fs
    fs.sync()
    place = fs.lookup(world.machine.files[file].path).data.extents.allocated()[0][2][0]
    fs.disk.device.write(place * fs.block, [(4096, ("sabotage", 0, 0))])


def _owner(world: World, file: str) -> None:
    number = world.machine.files[file].number
    unmount(world)
    home = world.fs.disk.home
    block = home.inodes[number].data.blocks[0]
    home.blocks[block] = home.blocks[block]._replace(owner=4711)
    world.fs.mount()
    reopen(world)


def _links(world: World, file: str) -> None:
    number = world.machine.files[file].number
    unmount(world)
    home = world.fs.disk.home
    home.inodes[number] = home.inodes[number]._replace(links=7)
    world.fs.mount()
    reopen(world)


_SABOTAGE = {"owner": _owner, "links": _links, "overwrite": _overwrite, "bystander": _bystander, "leak": _leak}

__all__ = ["Machine", "close_all", "cycle", "observe_by", "reopen", "thaw", "unmount"]
