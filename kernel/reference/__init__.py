"""An executable model of a kernel that keeps every rule, readable as a specification.

    kernel = ReferenceKernel(XFS)          or ReferenceKernel(), which chooses by the file system of the trial

Layers, each of which knows only those above it in this list:

    spans         maps from positions to values, kept as stretches
    contents      bytes by whose they are and for which place they were written
    space         the blocks of the device: free, referenced, reserved
    forks         extents, and the blocks of the trees that hold them
    inode         what a file is, in memory and on the device
    log           transactions, what of them is durable, and recovery
    tasks         who runs: the main process, actors, and what they wait for
    personality   what a file system offers and how it answers, as data
    core          mounts, transactions, allocation        class Core
    inodes        names, and the form of forks            class Inodes(Core)
    data          page cache, writeback                   class Data(Inodes)
    direct        direct I/O                              class Direct(Data)
    ranges        truncate and fallocate                  class Ranges(Direct)
    memory        mappings and page faults                class Memory(Ranges)
    remap         sharing, moving and swapping extents    class Remap(Memory)
    cookies       freshness                               class Cookies(Remap)
    swap          swap areas and their I/O                class FileSystem(Cookies)
    calls_*       the calls, one function each
    kernel        ReferenceKernel

A kernel with a broken promise is a subclass of FileSystem with one method replaced.
"""

from kernel.reference.kernel import ReferenceKernel
from kernel.reference.personality import BTRFS, EXT4, F2FS, FULL, NFS, PERSONALITIES, XFS, Personality

__all__ = [
    "BTRFS",
    "EXT4",
    "F2FS",
    "FULL",
    "NFS",
    "PERSONALITIES",
    "XFS",
    "Personality",
    "ReferenceKernel",
]
