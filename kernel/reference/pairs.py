"""The two files of a call that moves or swaps extents: what is refused before anything is looked at closely."""

from __future__ import annotations

from kernel.reference.inode import APPEND, IMMUTABLE, Inode
from kernel.reference.world import Descriptor, World, refuse


def pair(
    world: World, via: str, target: str, donor: str, *, donor_reads: bool = True
) -> tuple[Descriptor, Inode, Descriptor, Inode]:
    """The two files of a call, if their descriptors and kinds allow it."""
    one, two = world.fd(target), world.fd(donor)
    if one is None or one.path or two is None or two.path:
        refuse(world, via, bad_fd=True)
    assert one is not None
    assert two is not None
    kinds = {one.kind, two.kind}
    refuse(
        world,
        via,
        not_writable=not (one.readable and one.writable and two.writable) and "directory" not in kinds,
        not_readable=donor_reads and not two.readable,
        append_fd=one.append or two.append,
    )
    refuse(
        world,
        via,
        is_directory="directory" in kinds,
        other_fs="tmpfs_file" in kinds or (via in ("exchange_range", "commit_range") and kinds != {"file"}),
    )
    refuse(world, via, not_regular=kinds != {"file"})
    refuse(world, via, not_writable=not (one.writable and two.writable))
    assert one.inode is not None
    assert two.inode is not None
    return one, one.inode, two, two.inode


def refuse_states(world: World, via: str, target: Inode, donor: Inode) -> None:
    """What no exchange may touch."""
    flags = target.flags | donor.flags
    refuse(
        world,
        via,
        read_only=world.fs.read_only,
        shut_down=world.fs.shut,
        swapfile=target.swapfile or donor.swapfile,
        immutable=bool(flags & IMMUTABLE),
        append_only=bool(flags & APPEND),
        mapped=via in world.fs.personality.refuses_mapped and bool(target.maps or donor.maps),
    )
