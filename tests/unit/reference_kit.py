"""A reference kernel with a trial open, and a model of its files that is nothing but cells."""

from __future__ import annotations

from kernel import calls
from kernel.calls import Call
from kernel.pattern import ZERO, Run
from kernel.protocol import Outcome
from kernel.reference import Personality, ReferenceKernel, check
from kernel.reference.forks import NOWHERE
from kernel.setup import FileSpec, FileSystem, Segment
from kernel.units import Bytes, CookieName, FdName, FileName, MapName, NewName, Span

CELL = 512
Cell = tuple[str, int] | None
"""Who wrote it, and for which place; None is zeros."""

__all__ = ["Bytes", "CookieName", "FdName", "FileName", "MapName", "NewName", "Span", "calls"]


def data(name: str, blocks: int, block: int = 4096, **more: object) -> FileSpec:
    return FileSpec(name, (Segment("data", blocks * block),) if blocks else (), **more)  # type: ignore[arg-type]  # the fields of FileSpec


class Bench:
    """One trial on the reference."""

    def __init__(self, personality: Personality, *files: FileSpec, block: int = 4096, **more: object) -> None:
        self.kernel = ReferenceKernel(personality, **more)  # type: ignore[arg-type]  # passed through
        self.kernel.open_trial(
            "trial", "salt", FileSystem(personality.name, block, (), ()), tuple(spec.name for spec in files)
        )
        self.kernel.make_files(files)
        self.number = 0

    def do(self, call: Call) -> Outcome:
        """Makes a call, with a source of its own."""
        self.number += 1
        source = f"step{self.number}"
        self.kernel.trial.machine.reader.know(source)
        return self.kernel.perform(call, source)

    def result(self, call: Call) -> str:
        return self.do(call).result

    def cells(self, name: str) -> list[Cell]:
        state = self.kernel.observe(maps=False).files[name]
        assert sum(run.length for run in state.content) == state.size
        return cells_of(state.content)

    def problems(self) -> list[str]:
        """What is wrong in memory, and on the device once it is unmounted."""
        found = memory_problems(self.kernel)
        self.kernel.settle()
        self.kernel.unmount()
        found += check.problems(self.kernel.fs)
        return found


def cells_of(content: tuple[Run, ...]) -> list[Cell]:
    found: list[Cell] = []
    for run in content:
        assert run.length % CELL == 0
        zero = run.source == ZERO
        found += [None if zero else (run.source, run.at + at) for at in range(0, run.length, CELL)]
    return found


def memory_problems(kernel: ReferenceKernel) -> list[str]:
    """Free space adds up: what is free, referenced and reserved."""
    fs = kernel.fs
    found = []
    referenced = sum(last - first for first, last, _ in fs.space.refs)
    if fs.space.free + referenced != fs.space.blocks - fs.space.first:
        found.append(f"{fs.space.free} free and {referenced} referenced blocks are not all")
    promised = 0
    for inode in fs.inodes.values():
        promised += sum(last - first for first, last, mapped in inode.data.extents if mapped == NOWHERE)
        promised += fs.cow_blocks(inode)
    if promised != fs.space.reserved:
        found.append(f"{fs.space.reserved} blocks are reserved, and {promised} are waited for")
    return found
