"""Inodes, their names, and the form of their forks."""

from __future__ import annotations

import errno

from kernel.reference.core import Core
from kernel.reference.forks import WRITTEN, Fork, TreeBlock, build, levels
from kernel.reference.inode import Inode
from kernel.reference.log import Transaction

ROOT_SLOTS = 8
"""Children that the root of a tree, in the inode, can have."""


class Inodes(Core):
    """A file system that has files."""

    # --- forks --------------------------------------------------------------------------------

    def attribute_bytes(self, inode: Inode) -> int:
        """What the attributes take: in the inode if they fit beside the smallest data fork."""
        if not inode.xattrs:
            return 0
        return 4 + sum(len(name) + len(value) + 3 for name, value in inode.xattrs.items())

    def attributes_inside(self, inode: Inode) -> bool:
        """Whether the attributes fit into the inode."""
        room = self.personality.literal - (
            48 if self.personality.data_slots is None else self.personality.data_slots * 12
        )
        return self.attribute_bytes(inode) <= room

    def slots(self, inode: Inode) -> int:
        """Extents that the data fork can hold in the inode."""
        inside = self.attributes_inside(inode)
        return self.personality.slots(self.attribute_bytes(inode) if inside else 16 if inode.xattrs else 0)

    def shape(self, into: Transaction, inode: Inode) -> None:
        """Gives the forks the form that they need: attributes inside or in blocks, extents in a list or a tree."""
        wanted = 0 if self.attributes_inside(inode) else -(-self.attribute_bytes(inode) // (self.block - 64))
        attributes = inode.attr.extents
        present = attributes.blocks()
        if present > wanted:
            for first, last, (start, _) in attributes.allocated(wanted, present):
                self.release(into, start, last - first)
            attributes.drop(wanted, present)
        elif present < wanted:
            for start, count in self.allocate(into, wanted - present, "attribute block"):
                attributes.put(present, present + count, (start, WRITTEN))
                present += count
        form = (inode.data.extents.changes, self.slots(inode))
        if self.personality.tree and inode.data.shaped != form:
            self._shape_tree(into, inode, inode.data)
            inode.data.shaped = form

    def _shape_tree(self, into: Transaction, inode: Inode, fork: Fork) -> None:
        """Makes a fork a list or a tree, with as many blocks as it takes."""
        image = fork.extents.durable()
        if len(image[0]) <= self.slots(inode):
            if fork.blocks:
                self._tree_blocks(into, fork, 0)
                fork.roots = ()
            return
        per_block = self.personality.per_block(self.block)
        counts = levels(image, per_block, per_block, ROOT_SLOTS)
        self._tree_blocks(into, fork, sum(counts))
        made, fork.roots = build(image, fork.blocks, counts, per_block, per_block, inode.number)
        for number, block in made.items():
            if self.metadata.get(number) != block:
                self.log_block(into, number, block)

    def _tree_blocks(self, into: Transaction, fork: Fork, wanted: int) -> None:
        for number in fork.blocks[wanted:]:
            self.release(into, number, 1)
            self.log_block(into, number, None)
        fork.blocks = fork.blocks[:wanted]
        if len(fork.blocks) < wanted:
            for start, count in self.allocate(into, wanted - len(fork.blocks), "tree block"):
                fork.blocks += tuple(range(start, start + count))

    def log_block(self, into: Transaction, number: int, block: TreeBlock | None) -> None:
        """Changes a block of metadata."""
        into.record.blocks[number] = block
        if block is None:
            self.metadata.pop(number, None)
        else:
            self.metadata[number] = block

    # --- inodes and names ---------------------------------------------------------------------

    def now(self, inode: Inode) -> int:
        """The time to stamp a change with. A change that follows a look in the same tick is told apart from it."""
        now = self.clock.coarse()
        if inode.queried and now <= inode.ctime:
            now = max(self.clock.now, inode.ctime + 1)
        inode.queried = False
        return max(now, inode.ctime)

    def create(self, name: str, mode: int) -> Inode:
        """A new empty file."""
        inode = Inode(self.next_inode, self.next_inode * 7919 & 0xFFFFFFFF, 0o100000 | mode)
        self.next_inode += 1
        inode.atime = inode.mtime = inode.ctime = inode.btime = self.clock.coarse()
        if "extents" not in self.personality.flags:
            inode.flags = 0
        with self.transaction("create", inode) as into:
            self.inodes[inode.number] = inode
            self.set_name(into, name, inode.number)
        return inode

    def set_name(self, into: Transaction, name: str, number: int | None) -> None:
        """Gives a name to an inode, or removes it."""
        into.record.names[name] = number
        if number is None:
            del self.names[name]
        else:
            self.names[name] = number

    def lookup(self, name: str) -> Inode:
        """The file of that name; raises ENOENT."""
        if name not in self.names:
            raise OSError(errno.ENOENT, name)
        return self.inodes[self.names[name]]

    def put(self, inode: Inode) -> None:
        """One descriptor or mapping less. A file without names ends with its last one."""
        inode.opens -= 1
        if inode.opens == 0 and inode.links == 0 and self.mounted and not self.shut and inode.number in self.inodes:
            self.evict(inode)

    def evict(self, inode: Inode) -> None:
        """Frees a file that has no names."""
        self.space.unreserve(inode.data.extents.delayed(0, inode.data.extents.end) + self.cow_blocks(inode))
        with self.transaction("evict", inode) as into:
            for fork in (inode.data, inode.attr):
                for first, last, (start, _) in fork.extents.allocated():
                    self.release(into, start, last - first)
                self._tree_blocks(into, fork, 0)
            del self.inodes[inode.number]

    def cow_blocks(self, inode: Inode) -> int:
        """Blocks that are reserved for new places of data."""
        return sum(last - first for first, last, _ in inode.cow)

    def sectors(self, inode: Inode) -> int:
        """st_blocks: data, delayed or not, trees and attributes, in units of 512 bytes."""
        blocks = inode.data.extents.blocks() + inode.attr.extents.blocks()
        return (blocks + len(inode.data.blocks)) * (self.block // 512)
