"""Transactions and the log: what a change consists of, what of it is durable, and recovery.

The device has a home for everything; the log has records of what changed since. A record is
durable when it was flushed. A checkpoint writes durable records home. After a crash, recovery
does the same with what was durable, and the rest never happened.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from kernel.reference.forks import TreeBlock
from kernel.reference.inode import Inode, InodeImage
from kernel.reference.space import Device
from kernel.reference.spans import Spans


@dataclass
class Record:
    """One transaction. None stands for what is gone."""

    label: str
    inodes: dict[int, InodeImage | None] = field(default_factory=dict)
    names: dict[str, int | None] = field(default_factory=dict)
    references: list[tuple[int, int, int]] = field(default_factory=list)
    """First block, length, and what is added to the reference counts."""
    blocks: dict[int, TreeBlock | None] = field(default_factory=dict)

    @property
    def weight(self) -> int:
        """Units of the log that it takes."""
        return 1 + len(self.inodes) + len(self.names) + len(self.references) + len(self.blocks)


@dataclass
class Transaction:
    """A change under way: joined inodes are logged as they are at the commit."""

    record: Record
    joined: dict[int, Inode] = field(default_factory=dict)
    released: list[tuple[int, int]] = field(default_factory=list)
    """Blocks that lost an owner."""

    def join(self, *inodes: Inode) -> None:
        """Makes inodes part of it."""
        for inode in inodes:
            self.joined[inode.number] = inode

    @property
    def dirty(self) -> bool:
        """Whether anything was changed that can not be taken back."""
        return bool(self.record.references or self.record.blocks or self.record.names)


class Home:
    """Where everything is on the device, once it is written home."""

    def __init__(self) -> None:
        self.inodes: dict[int, InodeImage] = {}
        self.names: dict[str, int] = {}
        self.references: Spans[int] = Spans()
        self.blocks: dict[int, TreeBlock] = {}

    def apply(self, record: Record) -> None:
        """Writes what a record says."""
        for number, image in record.inodes.items():
            if image is None:
                self.inodes.pop(number, None)
            else:
                self.inodes[number] = image
        for name, inode in record.names.items():
            if inode is None:
                self.names.pop(name, None)
            else:
                self.names[name] = inode
        for start, length, by in record.references:
            for first, last, count in self.references.whole(start, start + length):
                now = (count or 0) + by
                if now:
                    self.references.put(first, last, now)
                else:
                    self.references.drop(first, last)
        for number, block in record.blocks.items():
            if block is None:
                self.blocks.pop(number, None)
            else:
                self.blocks[number] = block


class Disk:
    """All that outlives a crash: the data, the home of metadata, and the durable part of the log."""

    def __init__(self, blocks: int, block: int, capacity: int) -> None:
        self.device = Device(blocks, block)
        self.home = Home()
        self.capacity = capacity
        """Units that the log holds."""
        self.records: list[Record] = []
        self.durable = 0
        """How many of them survive a crash."""
        self.used = 0
        """Units that records take until they are written home."""
        self.reserved = 0
        """Units promised to transactions under way."""
        self.committed = 0
        """Transactions since the file system was made."""
        self.durable_at = 0
        """The last of them that survives a crash."""
        self.crash_at = -1
        """The number of the transaction whose commit is followed by a crash; -1: none."""

    def reserve(self, units: int) -> None:
        """Promises room in the log, made by a checkpoint where there is none."""
        if self.used + self.reserved + units > self.capacity:
            self.checkpoint()
        self.reserved += units

    def release(self, units: int) -> None:
        """Takes a promise back."""
        self.reserved -= units

    def append(self, record: Record) -> None:
        """Commits a record to the log: not durable yet."""
        self.records.append(record)
        self.used += record.weight
        self.committed += 1

    def flush(self) -> None:
        """Makes all records durable."""
        self.durable = len(self.records)
        self.durable_at = self.committed

    def checkpoint(self) -> None:
        """Flushes, writes all records home, and empties the log."""
        self.flush()
        for record in self.records:
            self.home.apply(record)
        self.records.clear()
        self.durable = self.used = 0

    def recover(self) -> None:
        """What a mount does first: what was durable goes home, the rest never happened."""
        del self.records[self.durable :]
        self.reserved = 0
        self.checkpoint()
