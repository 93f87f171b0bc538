"""The checker: looks at an unmounted device, and tells everything that does not agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

from kernel.reference.core import Core
from kernel.reference.forks import ForkImage, walk
from kernel.reference.inode import InodeImage
from kernel.reference.log import Home
from kernel.reference.remap import BOOT_INODE
from kernel.reference.spans import Spans


def problems(fs: Core) -> list[str]:
    """All that is wrong, in sentences; what the log still has is taken as it would be recovered."""
    home = _recovered(fs)
    found = [*_links(home), *_space(fs, home)]
    used: set[int] = set()
    for image in home.inodes.values():
        found += _extents(fs, image)
        for fork in (image.data, image.attr):
            found += _tree(image.number, fork, home)
            used.update(fork.blocks)
        found += _fits(fs, image)
    found += [f"block {number} is a tree block of no inode" for number in sorted(set(home.blocks) - used)]
    if fs.disk.reserved:
        found.append(f"{fs.disk.reserved} units of the log are reserved, and no transaction is under way")
    if fs.space.reserved and not fs.shut:
        found.append(f"{fs.space.reserved} blocks are reserved, and nothing is delayed")
    return found


def _recovered(fs: Core) -> Home:
    """The home as a mount would make it, which the checker itself does not do."""
    home = Home()
    home.inodes, home.names, home.blocks = (
        dict(fs.disk.home.inodes),
        dict(fs.disk.home.names),
        dict(fs.disk.home.blocks),
    )
    home.references.load(fs.disk.home.references.image())
    for record in fs.disk.records[: fs.disk.durable]:
        home.apply(record)
    return home


def _links(home: Home) -> Iterator[str]:
    names = Counter(home.names.values())
    for number in sorted(set(names) - set(home.inodes)):
        yield f"a name leads to inode {number}, which does not exist"
    for number, image in sorted(home.inodes.items()):
        if number != BOOT_INODE and names[number] != image.links:
            yield f"inode {number} counts {image.links} names and has {names[number]}"


def _space(fs: Core, home: Home) -> Iterator[str]:
    """Every block is referenced as often as its count says."""
    counted: Spans[int] = Spans()
    for image in home.inodes.values():
        for fork in (image.data, image.attr):
            stretches = [(v[0], v[0] + e - s) for s, e, v in zip(*fork.extents, strict=True)]
            stretches += [(number, number + 1) for number in fork.blocks]
            for start, end in stretches:
                if not fs.personality.reserved_blocks <= start < end <= fs.blocks:
                    yield f"inode {image.number} has blocks {start} to {end - 1}, which no file may have"
                for a, b, refs in counted.whole(start, end):
                    counted.put(a, b, (refs or 0) + 1)
    edges = sorted({edge for spans in (counted, home.references) for a, b, _ in spans for edge in (a, b)})
    for a, b in pairwise(edges):
        mine, theirs = counted.get(a) or 0, home.references.get(a) or 0
        if mine != theirs:
            yield f"blocks {a} to {b - 1} are referenced {mine} times, and counted {theirs} times"


def _extents(fs: Core, image: InodeImage) -> Iterator[str]:
    shared = "clone" in fs.personality.offers
    seen: Spans[bool] = Spans()
    for start, end, (place, state) in zip(*image.data.extents, strict=True):
        if place < 0:
            yield f"inode {image.number} has a {state} extent on the device"
        elif not shared and seen.within(place, place + end - start):
            yield f"inode {image.number} has block {place} twice"
        seen.put(place, place + end - start, True)


def _tree(number: int, fork: ForkImage, home: Home) -> Iterator[str]:
    if not fork.blocks:
        return
    try:
        seen, records = walk(fork.roots, home.blocks)
    except KeyError as missing:
        yield f"the tree of inode {number} leads to block {missing}, which is none of a tree"
        return
    for block in seen:
        owner = home.blocks[block].owner
        if owner != number:
            yield f"block {block} in the tree of inode {number} names {owner} as its owner"
    if sorted(seen) != sorted(fork.blocks):
        yield f"the tree of inode {number} has {len(seen)} blocks, and counts {len(fork.blocks)}"
    wanted = [(s, e, v[0], v[1]) for s, e, v in zip(*fork.extents, strict=True)]
    if records != wanted:
        yield f"the leaves of the tree of inode {number} do not hold its {len(wanted)} extents"


def _fits(fs: Core, image: InodeImage) -> Iterator[str]:
    if not fs.personality.tree or image.data.blocks:
        return
    bytes_of = 4 + sum(len(name) + len(value) + 3 for name, value in image.xattrs) if image.xattrs else 0
    if image.attr.extents[0]:
        bytes_of = 16
    slots = fs.personality.slots(bytes_of)
    if len(image.data.extents[0]) > slots:
        yield f"inode {image.number} has {len(image.data.extents[0])} extents in a list that holds {slots}"
