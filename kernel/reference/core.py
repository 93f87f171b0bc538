"""The ground of a file system: mounts, inodes and names, transactions, allocation.

Memory is what calls see; `disk` is what a crash leaves. The one becomes the other by
transactions alone, and no transaction may be started by whoever is writing pages out to swap:
it would wait for memory that it is itself to free.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from kernel.reference.forks import TreeBlock
from kernel.reference.inode import Inode
from kernel.reference.log import Disk, Record, Transaction
from kernel.reference.personality import Personality
from kernel.reference.space import Space
from kernel.reference.tasks import Deadlock, Scheduler
from kernel.units import PAGE

SWAP_IO = "swap I/O"
"""The context of whoever moves pages to or from a swap area: reclaim."""
RESERVATION = 64
"""Units of the log that a transaction reserves."""
LOG_CAPACITY = 2048
FIRST_INODE = 131
INODES = 65536


class Crash(Exception):
    """The machine lost its power, because a test said so."""


class Clock:
    """Stamps files: moves by ticks, and stands still within one, as the kernel's coarse clock does."""

    def __init__(self) -> None:
        self.now = 1_700_000_000 * 10**9
        self.granularity = 4_000_000
        """Nanoseconds."""

    def tick(self) -> None:
        """Moves on visibly."""
        self.now += 10**9

    def step(self) -> None:
        """A call takes a microsecond."""
        self.now += 1000

    def coarse(self) -> int:
        """The time that files are stamped with."""
        return self.now - self.now % self.granularity


class Core:
    """A file system that can be mounted."""

    def __init__(
        self,
        personality: Personality,
        block: int,
        blocks: int,
        tasks: Scheduler,
        clock: Clock,
        say: Callable[[str], None],
    ) -> None:
        self.personality, self.block, self.tasks, self.clock, self.say = personality, block, tasks, clock, say
        self.disk = Disk(blocks, block, LOG_CAPACITY)
        self.blocks = blocks
        self.mounted = self.shut = self.frozen = self.read_only = False
        self.inodes: dict[int, Inode] = {}
        self.names: dict[str, int] = {}
        self.metadata: dict[int, TreeBlock] = {}
        self.space = Space(blocks, personality.reserved_blocks, max(1, PAGE // block))
        self.next_inode = FIRST_INODE
        self.transaction_now: Transaction | None = None

    # --- mounts -------------------------------------------------------------------------------

    def mount(self) -> None:
        """Recovers the log, and reads the metadata into memory."""
        self.disk.recover()
        home = self.disk.home
        self.inodes = {number: Inode.of(image) for number, image in home.inodes.items()}
        for inode in self.inodes.values():
            inode.data.shaped = (inode.data.extents.changes, self.slots(inode))
        self.names = dict(home.names)
        self.metadata = dict(home.blocks)
        self.space = Space(self.blocks, self.personality.reserved_blocks, max(1, PAGE // self.block))
        self.space.refs.load(home.references.image())
        self.space.free -= sum(end - start for start, end, _ in self.space.refs)
        self.next_inode = max([FIRST_INODE - 1, *self.inodes]) + 1
        self.mounted, self.shut, self.frozen, self.read_only = True, False, False, False
        for inode in list(self.inodes.values()):
            if inode.links == 0:
                self.evict(inode)

    def unmount(self) -> None:
        """Writes everything home and forgets it. Nothing may be open any more."""
        if any(inode.swapfile for inode in self.inodes.values()):
            raise OSError(errno.EBUSY, "a swap area is active")
        if not self.shut:
            self.sync()
            self.disk.checkpoint()
            if self.space.reserved:
                self.say(f"Assertion failed: {self.space.reserved} blocks are reserved, and nothing is delayed")
        self.mounted = False
        self.inodes, self.names = {}, {}

    def sync(self) -> None:
        """Writes everything out; the layer above knows what that is."""
        raise NotImplementedError

    def shape(self, into: Transaction, inode: Inode) -> None:
        """Gives the forks of an inode the form that they need; the layer above knows forms."""
        raise NotImplementedError

    def evict(self, inode: Inode) -> None:
        """Frees a file that has no names; the layer above knows how."""
        raise NotImplementedError

    def slots(self, inode: Inode) -> int:
        """Extents that the data fork can hold in the inode; the layer above knows forms."""
        raise NotImplementedError

    def check_alive(self) -> None:
        """Raises EIO on a file system that was shut down."""
        if self.shut:
            raise OSError(errno.EIO, "shut down")

    # --- transactions -------------------------------------------------------------------------

    def must_not_reclaim(self, what: str) -> None:
        """Nobody who is writing pages out to swap may do this: it would wait for the memory that it is to free."""
        context = self.tasks.current.context
        if SWAP_IO in context:
            raise Deadlock(what, tuple(context))

    def wait_thawed(self) -> None:
        """Sleeps while the file system is frozen."""
        if self.frozen:
            self.tasks.wait(lambda: not self.frozen, "the thaw")

    @contextmanager
    def transaction(self, label: str, *inodes: Inode) -> Iterator[Transaction]:
        """A change that happens wholly or not at all. Inside of another one it is a part of that."""
        if self.transaction_now is not None:
            self.transaction_now.join(*inodes)
            yield self.transaction_now
            return
        self.must_not_reclaim(f"transaction ({label})")
        self.wait_thawed()
        self.check_alive()
        self.disk.reserve(RESERVATION)
        mine = self.transaction_now = Transaction(Record(label))
        mine.join(*inodes)
        try:
            yield mine
            self._commit(mine)
        except Crash:
            raise
        except BaseException:
            if mine.dirty:
                self.shut = True
                self.say(
                    f"{self.personality.name}: a dirty transaction ({label}) was cancelled. Shutting down filesystem."
                )
            raise
        finally:
            self.transaction_now = None
            self.disk.release(RESERVATION)

    def _commit(self, mine: Transaction) -> None:
        record = mine.record
        for inode in mine.joined.values():
            if inode.number in self.inodes:
                self.shape(mine, inode)
                record.inodes[inode.number] = inode.image()
                mapped = (id(inode.data), inode.data.extents.changes)
                if inode.logged != mapped:
                    inode.logged, inode.pinned = mapped, self.disk.committed + 1
            elif inode.number not in record.inodes:
                record.inodes[inode.number] = None
        self.disk.append(record)
        for start, count in mine.released:
            self.space.busy.put(start, start + count, True)
        if self.disk.committed == self.disk.crash_at:
            raise Crash

    def flush_log(self) -> None:
        """Makes all transactions durable, whereupon freed blocks can be used again."""
        self.disk.flush()
        self.space.busy.clear()

    # --- allocation ---------------------------------------------------------------------------

    def allocate(self, into: Transaction, count: int, why: str) -> list[tuple[int, int]]:
        """Takes blocks: stretches of (first block, length) with `count` blocks in all. Raises ENOSPC."""
        self.must_not_reclaim(f"allocation ({why})")
        if count > self.space.available:
            raise OSError(errno.ENOSPC, "no space left")
        found: list[tuple[int, int]] = []
        while count:
            start, length = self.space.find(count)
            if not length:
                self.flush_log()
                start, length = self.space.find(count)
            self.space.take(start, length)
            into.record.references.append((start, length, 1))
            found.append((start, length))
            count -= length
        return found

    def share(self, into: Transaction, start: int, count: int) -> None:
        """Adds an owner to blocks."""
        self.space.change(start, count, 1)
        into.record.references.append((start, count, 1))

    def release(self, into: Transaction, start: int, count: int) -> None:
        """Takes an owner from blocks, and frees those that have none left. They are busy until that is durable."""
        self.space.change(start, count, -1)
        into.released.append((start, count))
        into.record.references.append((start, count, -1))
