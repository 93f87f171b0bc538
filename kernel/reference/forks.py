"""Extents, and the forks of an inode that hold them.

A fork is local (a few bytes in the inode), a list of extents in the inode, or a B+tree, whose blocks
say which inode they belong to, their level, and what they hold. The data fork and the attribute fork
share the literal area of the inode: what one of them takes, the other one lacks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from kernel.reference.spans import Image, Spans

WRITTEN, UNWRITTEN, DELAYED = "written", "unwritten", "delayed"

Mapped = tuple[int, str]
"""The block of the device, and the state. A delayed stretch has no block: -1."""
NOWHERE: Mapped = (-1, DELAYED)


class Extents(Spans[Mapped]):
    """Blocks of the device and their states by block of the file."""

    def advanced(self, value: Mapped, by: int) -> Mapped:
        """See `Spans.advanced`."""
        return value if value[0] < 0 else (value[0] + by, value[1])

    def allocated(self, start: int = 0, end: int | None = None) -> list[tuple[int, int, Mapped]]:
        """What has blocks of the device."""
        return [each for each in self.within(start, self.end if end is None else end) if each[2][0] >= 0]

    def blocks(self) -> int:
        """How many blocks are mapped, delayed ones included."""
        return sum(end - start for start, end in zip(self._starts, self._ends, strict=True))

    def delayed(self, start: int, end: int) -> int:
        """How many blocks of a range are delayed."""
        return sum(last - first for first, last, value in self.within(start, end) if value[0] < 0)

    def durable(self) -> Image[Mapped]:
        """All that is not delayed, as a value."""
        if NOWHERE not in self._values:
            return self.image()
        kept = self.allocated()
        return tuple(e[0] for e in kept), tuple(e[1] for e in kept), tuple(e[2] for e in kept)


Record = tuple[int, ...] | tuple[int, int, int, str]
"""Of a leaf: first block of the file, the one behind the last, block of the device, state. Of a node: a child."""


class TreeBlock(NamedTuple):
    """A block of a B+tree, as it is on the device."""

    owner: int
    """The inode whose fork it belongs to."""
    level: int
    """0 for a leaf."""
    records: tuple[Record, ...]


class ForkImage(NamedTuple):
    """A fork on the device."""

    extents: Image[Mapped]
    roots: tuple[int, ...]
    """Blocks of the highest level of its tree; empty for a list."""
    blocks: tuple[int, ...]
    """All blocks of its tree, leaves first."""


@dataclass
class Fork:
    """A fork in memory."""

    extents: Extents = field(default_factory=Extents)
    roots: tuple[int, ...] = ()
    blocks: tuple[int, ...] = ()
    shaped: tuple[int, int] = (-1, -1)
    """The change of the extents, and the room in the inode, that it got its form for."""

    @property
    def tree(self) -> bool:
        """Whether it is a B+tree."""
        return bool(self.blocks)

    def image(self) -> ForkImage:
        """As it is on the device."""
        return ForkImage(self.extents.durable(), self.roots, self.blocks)

    @classmethod
    def of(cls, image: ForkImage) -> Fork:
        """From what is on the device."""
        fork = cls(roots=image.roots, blocks=image.blocks)
        fork.extents.load(image.extents)
        return fork


def levels(image: Image[Mapped], per_leaf: int, per_node: int, per_root: int) -> list[int]:
    """How many blocks each level of a tree has that holds these extents, leaves first."""
    counts = [-(-len(image[0]) // per_leaf)]
    while counts[-1] > per_root:
        counts.append(-(-counts[-1] // per_node))
    return counts


def build(
    image: Image[Mapped], numbers: tuple[int, ...], counts: list[int], per_leaf: int, per_node: int, owner: int
) -> tuple[dict[int, TreeBlock], tuple[int, ...]]:
    """The blocks of a tree in the places `numbers`, and those of its highest level."""
    records: list[Record] = [(start, end, value[0], value[1]) for start, end, value in zip(*image, strict=True)]
    made: dict[int, TreeBlock] = {}
    used, width, roots = 0, per_leaf, numbers[: counts[0]]
    for level, count in enumerate(counts):
        roots = numbers[used : used + count]
        for index, number in enumerate(roots):
            made[number] = TreeBlock(owner, level, tuple(records[index * width : (index + 1) * width]))
        records = [(number,) for number in roots]
        used, width = used + count, per_node
    return made, roots


def walk(roots: tuple[int, ...], blocks: dict[int, TreeBlock]) -> tuple[list[int], list[Record]]:
    """The blocks of a tree from its roots down, and the records of its leaves in order. Raises KeyError."""
    seen: list[int] = []
    found: list[Record] = []
    for number in roots:
        block = blocks[number]
        seen.append(number)
        if block.level == 0:
            found.extend(block.records)
        else:
            below, records = walk(tuple(int(record[0]) for record in block.records), blocks)
            seen += below
            found += records
    return seen, found
