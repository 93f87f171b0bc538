"""LinuxKernel: answers the calls of a trial with the kernel that this process runs on."""

from __future__ import annotations

import os
import time

from kernel import abi
from kernel.calls import Call
from kernel.linux import aio, exchange, files, mounts, provoke, swap
from kernel.linux import observe as observing
from kernel.linux.actors import Actor
from kernel.linux.console import KernelLog
from kernel.linux.files import drop_caches
from kernel.linux.layout import TWIN, make_files
from kernel.linux.libc import errno_name, ioctl_word, syncfs
from kernel.linux.memory import catch_faults
from kernel.linux.world import HANDLERS, Machine, Pen, World
from kernel.pattern import Palette
from kernel.protocol import ActorBody, Counters, Outcome, OwnersFound
from kernel.setup import Checked, FileSpec, FileSystem
from kernel.state import Observation

__all__ = ["LinuxKernel", "Machine"]

_MODULES = (aio, exchange, files, mounts, provoke, swap)
"""Imported for the handlers that they register."""


class LinuxKernel:
    """One scratch device, and one trial on it at a time. Implements `kernel.protocol.Kernel`."""

    def __init__(self, machine: Machine, *, own_clock: bool) -> None:
        """`own_clock`: this machine's clock may be set, because nobody else uses it."""
        self._machine = machine
        self._own_clock = own_clock
        self._world: World | None = None
        self._actors: dict[str, Actor] = {}
        self._log = KernelLog()
        catch_faults()

    @property
    def world(self) -> World:
        """The trial that is open."""
        if self._world is None:
            raise RuntimeError("no trial is open")
        return self._world

    def open_trial(self, name: str, salt: str, system: FileSystem, sources: tuple[str, ...]) -> None:
        """Mounts the scratch device."""
        self._log.new_lines()
        known = [*sources, *(source + suffix for source in sources for suffix in (TWIN, "_filler"))]
        self._world = World(self._machine, system, Palette(salt + name, known))
        mounts.mount(self._world)
        self._world.make_root()

    def make_files(self, files: tuple[FileSpec, ...]) -> None:
        """Makes the files and writes them out."""
        make_files(self.world, files)

    def perform(self, call: Call, source: str, version: int = 0) -> Outcome:
        """Makes one call."""
        try:
            return HANDLERS[type(call)](self.world, call, Pen(source, version))
        except OSError as error:
            return Outcome(errno_name(error.errno or 0))

    def observe(self, *, maps: bool) -> Observation:
        """Looks at all files, and with `maps` at all mappings."""
        return observing.observe(self.world, maps=maps)

    def counters(self) -> Counters:
        """The transaction counters."""
        return Counters(mounts.counters(self.world))

    def tick(self) -> None:
        """Sets a clock of our own one second ahead; else waits until the coarse clock moved."""
        if self._own_clock:
            time.clock_settime(time.CLOCK_REALTIME, time.clock_gettime(time.CLOCK_REALTIME) + 1)
            return
        coarse = 5  # CLOCK_REALTIME_COARSE: what file times are taken from
        before = time.clock_gettime_ns(coarse)
        while time.clock_gettime_ns(coarse) == before:
            os.sched_yield()

    def start_actor(self, name: str, body: ActorBody) -> None:
        """Forks a process for it."""
        self._actors[name] = Actor.start(body)

    def actor_blocked(self, name: str) -> Outcome:
        """Whether it sleeps inside a call."""
        return self._actors[name].blocked() if name in self._actors else Outcome("ENDED")

    def stop_actor(self, name: str) -> tuple[str, ...]:
        """Waits for its end."""
        return self._actors.pop(name).finish()

    def flush(self) -> None:
        """syncfs(2)."""
        syncfs(self.world.root)

    def drop_caches(self) -> None:
        """Drops clean pages."""
        drop_caches()

    def settle(self) -> tuple[str, ...]:
        """Ends what would keep the file system from being unmounted. Mappings and descriptors stay open."""
        world = self.world
        undone: list[str] = []
        if world.frozen:
            ioctl_word(world.root, abi.FITHAW, 0)
            world.frozen = False
            undone.append("thawed the file system")
        for name in sorted(self._actors):
            self._actors.pop(name).kill()
            undone.append(f"killed actor {name}")
        for name in sorted(world.swapped):
            swap.deactivate(world, name)
            undone.append(f"swapoff {name}")
        return tuple(undone)

    def remount_files(self) -> None:
        """Unmounts, mounts and opens the files anew."""
        mounts.cycle(self.world)

    def remove_files(self) -> None:
        """Unlinks all files, mounting for it where necessary, and waits until their space is given back."""
        world = self.world
        if not world.mounted:
            mounts.mount(world)
            exchange.reopen(world)
        for file in world.files.values():
            for path in (file.path, file.path + ".link"):
                fd = file.observer
                if fd >= 0 and os.path.lexists(path):
                    flags = files.get_flags(fd)
                    if flags & 0x30:
                        files.set_flags(fd, flags & ~0x30)
                    os.unlink(path)
        world.cookies.clear()
        mounts.close_all(world)
        world.files.clear()
        world.make_root()
        # A freeze flushes what the file system still frees in the background (XFS inodegc, jbd2 commits).
        ioctl_word(world.root, abi.FIFREEZE, 0)
        ioctl_word(world.root, abi.FITHAW, 0)

    def unmount(self) -> None:
        """Unmounts for good."""
        mounts.unmount(self.world)

    def check(self) -> Checked:
        """Runs the checker."""
        system = self.world.system
        return mounts.run_tools((*system.before_check, system.check), self._machine.device)

    def btree_owners(self, file: str) -> OwnersFound:
        """Walks the bmap btree of a file with xfs_db."""
        return mounts.btree_owners(self._machine.device, self.world.files[file].inode)

    def close_trial(self) -> None:
        """Unmounts, by force where the trial left something that is in the way."""
        world = self._world
        self._world = None
        if world is None:
            return
        for actor in self._actors.values():
            actor.kill()
        self._actors.clear()
        for name in sorted(world.swapped):
            swap.deactivate(world, name)
        if world.frozen:
            ioctl_word(world.root, abi.FITHAW, 0)
        mounts.unmount(world)

    def console(self) -> tuple[str, ...]:
        """New lines of the kernel log."""
        return self._log.new_lines()
