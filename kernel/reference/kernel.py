"""ReferenceKernel: answers the calls of a trial with the model."""

from __future__ import annotations

from kernel.calls import Call
from kernel.protocol import ActorBody, Counters, Outcome, OwnersFound
from kernel.reference import (
    calls_data,
    calls_exchange,
    calls_memory,
    calls_mounts,
    calls_move,
    calls_names,
    calls_share,
    calls_swap,
    check,
)
from kernel.reference.contents import Reader
from kernel.reference.core import Clock
from kernel.reference.inode import APPEND, IMMUTABLE
from kernel.reference.observe import Observer
from kernel.reference.personality import Personality, personality_of
from kernel.reference.setup import make_files
from kernel.reference.swap import FileSystem
from kernel.reference.tasks import Deadlock, Scheduler, Task
from kernel.reference.world import HANDLERS, TWIN, Machine, Pen, World, name_of
from kernel.setup import Checked, FileSpec
from kernel.setup import FileSystem as Setup
from kernel.state import Observation

_MODULES = (calls_data, calls_exchange, calls_memory, calls_move, calls_mounts, calls_names, calls_share, calls_swap)
"""Imported for the handlers that they register."""

DEVICE = 512 << 20
"""Bytes of the scratch device."""


class ReferenceKernel:
    """One device in memory, and one trial on it at a time. Implements `kernel.protocol.Kernel`."""

    def __init__(self, personality: Personality | None = None, made_of: type[FileSystem] = FileSystem) -> None:
        """`personality`: how it answers; without it, chosen by the file system of each trial.
        `made_of`: the file system, or a subclass that breaks a promise."""
        self._personality, self._made_of = personality, made_of
        self._trial: _Trial | None = None

    @property
    def trial(self) -> _Trial:
        """The trial that is open."""
        if self._trial is None:
            raise RuntimeError("no trial is open")
        return self._trial

    @property
    def fs(self) -> FileSystem:
        """The file system of the trial that is open."""
        return self.trial.machine.fs

    def open_trial(self, name: str, salt: str, system: Setup, sources: tuple[str, ...]) -> None:
        """Makes a pristine file system, and mounts it."""
        personality = self._personality or personality_of(system)
        known = (*sources, *(source + TWIN for source in sources))
        self._trial = _Trial(personality, self._made_of, system, Reader(salt + name, known))
        self.fs.mount()

    def make_files(self, files: tuple[FileSpec, ...]) -> None:
        """Makes the files and writes them out."""
        make_files(self.trial.main, files)

    def perform(self, call: Call, source: str, version: int = 0) -> Outcome:
        """Makes one call."""
        return self.trial.perform(call, Pen(source, version))

    def observe(self, *, maps: bool) -> Observation:
        """Looks at all files, and with `maps` at all mappings."""
        return self.trial.observer.observe(maps=maps)

    def counters(self) -> Counters:
        """The transactions since the file system was made."""
        if "transactions" not in self.fs.personality.offers:
            return Counters({})
        if not self.fs.frozen:
            self.fs.sync()
        return Counters({"transactions": self.fs.disk.committed})

    def tick(self) -> None:
        """Moves the clock on by a second."""
        self.fs.clock.tick()

    def start_actor(self, name: str, body: ActorBody) -> None:
        """Starts it; it runs until it made a pass, waits, or ends."""
        trial = self.trial
        trial.tasks.start(name, body, prepare=trial.inherit)

    def actor_blocked(self, name: str) -> Outcome:
        """Whether it sleeps inside a call."""
        task = self.trial.tasks.actors.get(name)
        if task is None or task.ended:
            return Outcome("ENDED")
        return Outcome("OK" if task.waiting and not task.ready() else "RUNNING")

    def stop_actor(self, name: str) -> tuple[str, ...]:
        """Waits for its end."""
        trial = self.trial
        task = trial.tasks.actors[name]
        lines = trial.tasks.stop(name)
        trial.bury(task)
        return lines

    def flush(self) -> None:
        """Writes everything out."""
        self.fs.sync()

    def drop_caches(self) -> None:
        """Drops clean pages."""
        self.fs.drop_caches()

    def settle(self) -> tuple[str, ...]:
        """Ends what would keep the file system from being unmounted. Mappings and descriptors stay open."""
        trial, undone = self.trial, []
        if self.fs.frozen:
            calls_mounts.thaw(trial.main)
            undone.append("thawed the file system")
        for name in sorted(trial.tasks.actors):
            task = trial.tasks.actors[name]
            trial.tasks.kill(name)
            trial.bury(task)
            undone.append(f"killed actor {name}")
        for name in sorted(trial.active()):
            calls_swap.swapoff(trial.main, name)
            undone.append(f"swapoff {name}")
        return tuple(undone)

    def remount_files(self) -> None:
        """Unmounts, mounts and opens the files anew."""
        calls_mounts.cycle(self.trial.main)

    def remove_files(self) -> None:
        """Unlinks all files, mounting for it where necessary."""
        main, fs = self.trial.main, self.fs
        if not fs.mounted:
            fs.mount()
            calls_mounts.reopen(main)
        for file in main.machine.files.values():
            if file.observer is None or file.observer.inode is None:
                continue
            inode = file.observer.inode
            inode.flags &= ~(IMMUTABLE | APPEND)
            for path in (file.path, file.path + ".link"):
                if path in fs.names:
                    calls_names.unlink(main, path)
        calls_mounts.close_all(main)
        main.machine.files.clear()
        fs.sync()

    def unmount(self) -> None:
        """Unmounts for good."""
        calls_mounts.unmount(self.trial.main)

    def check(self) -> Checked:
        """Runs the checker."""
        found = check.problems(self.fs)
        return Checked("check", 1 if found else 0, "\n".join(found)[-8192:])

    def btree_owners(self, file: str) -> OwnersFound:
        """The owners in the tree of a file's data fork."""
        home = self.fs.disk.home
        number = self.trial.machine.files[file].number
        if number not in home.inodes:
            return OwnersFound(number, 0)
        blocks = home.inodes[number].data.blocks
        owners = [home.blocks[block].owner for block in blocks]
        return OwnersFound(number, len(blocks), tuple(owner for owner in owners if owner != number))

    def close_trial(self) -> None:
        """Forgets the trial."""
        trial = self._trial
        self._trial = None
        if trial is not None:
            for name in list(trial.tasks.actors):
                trial.tasks.kill(name)

    def console(self) -> tuple[str, ...]:
        """What was printed since this was last asked."""
        lines = tuple(self.trial.machine.lines)
        self.trial.machine.lines.clear()
        return lines


class _Trial:
    """One trial: its machine, and the processes on it."""

    def __init__(self, personality: Personality, made_of: type[FileSystem], system: Setup, reader: Reader) -> None:
        self.tasks = Scheduler()
        lines: list[str] = []
        fs = made_of(personality, system.block, DEVICE // system.block, self.tasks, Clock(), lines.append)
        self.machine = Machine(system, fs, reader, lines=lines)
        self.main = World(self.machine)
        self.worlds: dict[Task, World] = {self.tasks.main: self.main}
        self.observer = Observer(self.main)

    def perform(self, call: Call, pen: Pen) -> Outcome:
        """Makes one call of the present task."""
        self.machine.fs.clock.step()
        self.tasks.preempt()
        handler = HANDLERS.get(type(call))
        if handler is None:
            return Outcome("ENOTTY")  # a call that no personality has
        try:
            with self.tasks.inside(call.do):
                return handler(self.worlds[self.tasks.current], call, pen)
        except OSError as error:
            return Outcome(name_of(error))
        except Deadlock as deadlock:
            self.machine.lines += [
                f"INFO: task {self.tasks.current.name} blocked for more than 120 seconds: {deadlock.what}",
                "Call Trace:",
                *(f" {each}" for each in reversed(deadlock.chain)),
            ]
            return Outcome("EDEADLK")

    def inherit(self, task: Task) -> None:
        """Gives a new process what the main one has."""
        self.worlds[task] = self.main.forked()

    def bury(self, task: Task) -> None:
        """Closes what a process had."""
        self.worlds.pop(task).exit()

    def active(self) -> list[str]:
        """The files that are swap areas."""
        numbers = {area.inode.number for area in self.machine.areas}
        return [name for name, file in self.machine.files.items() if file.number in numbers]
