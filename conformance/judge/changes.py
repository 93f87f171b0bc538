"""What changed in a file between two observations, field by field."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from conformance.judge import content, extents
from conformance.judge.extents import Tolerance
from kernel.state import FileState

TIMES = ("mtime", "ctime", "btime")
FIELDS = ("content", "size", "mode", "links", "uid", "gid", *TIMES, "flags", "xattrs", "extents", "sectors")
"""All that "unchanged" means; atime is not part of it."""

NOCOMP = 0x400
"""FS_NOCOMP_FL: btrfs sets it by itself, at writeback, where compressing did not pay."""


@dataclass(frozen=True)
class Change:
    """One field that is not what it was."""

    what: str
    expected: str
    observed: str


def readable(state: FileState) -> bool:
    """Whether the content of a file was read. A file whose extents only could not be listed was."""
    return not state.unread or state.unread.startswith("extents:")


def mapped(state: FileState) -> bool:
    """Whether the extents of a file were listed."""
    return not state.unread.startswith("extents:")


def changes(
    before: FileState,
    after: FileState,
    block: int,
    fields: tuple[str, ...] = FIELDS,
    tolerance: Tolerance = extents.STRICT,
) -> Iterator[Change]:
    """The fields that changed. A content that was not read on either side is not compared: an active
    swap area never is. Space is not compared where delayed allocations may have become real."""
    for field in fields:
        change = _SPECIAL[field](before, after, block, tolerance) if field in _SPECIAL else _plain(field, before, after)
        if change is not None:
            yield change


def _plain(field: str, before: FileState, after: FileState) -> Change | None:
    old, new = getattr(before, field), getattr(after, field)
    if old == new:
        return None
    if field in ("atime", *TIMES):
        return Change(field, "unchanged", later(new - old))
    if field in ("mode", "flags"):
        return Change(field, _NUMBER[field](old), _NUMBER[field](new))
    return Change(field, str(old), str(new))


def _content(before: FileState, after: FileState, block: int, _: Tolerance) -> Change | None:
    if not readable(before) or not readable(after):
        return None
    found = content.differences(before.content, after.content)
    return Change("content", *content.difference_texts(found, block)) if found else None


def _extents(before: FileState, after: FileState, block: int, tolerance: Tolerance) -> Change | None:
    if not mapped(before) or not mapped(after):
        return None
    found = extents.compare(before.extents, after.extents, tolerance)
    return Change("extents", *extents.difference_texts(found, block)) if found else None


def _size(before: FileState, after: FileState, block: int, _: Tolerance) -> Change | None:
    if before.size == after.size:
        return None
    return Change("size", size_text(before.size, block), size_text(after.size, block))


def _sectors(before: FileState, after: FileState, _block: int, tolerance: Tolerance) -> Change | None:
    if before.sectors == after.sectors or tolerance.dirty or any("delalloc" in item.flags for item in before.extents):
        return None
    return Change("space", f"{before.sectors} sectors", f"{after.sectors} sectors")


def _xattrs(before: FileState, after: FileState, _block: int, _: Tolerance) -> Change | None:
    old, new = dict(before.xattrs), dict(after.xattrs)
    names = sorted(name for name in {*old, *new} if old.get(name) != new.get(name))
    if not names:
        return None
    return Change("xattrs", _xattr_text(names, old), _xattr_text(names, new))


def _xattr_text(names: list[str], values: dict[str, str]) -> str:
    return ", ".join(f"{name} = {values[name]}" if name in values else f"no {name}" for name in names)


_SPECIAL: dict[str, Callable[[FileState, FileState, int, Tolerance], Change | None]] = {
    "content": _content,
    "extents": _extents,
    "size": _size,
    "sectors": _sectors,
    "xattrs": _xattrs,
}
_NUMBER: dict[str, Callable[[int], str]] = {
    "mode": lambda mode: f"{mode & 0o7777:04o}",
    "flags": lambda flags: f"{flags:#x}",
}


_DAY = 86_400 * 10**9


def later(nanoseconds: int) -> str:
    """A difference of two times: "1.2 s later", "4 ms earlier", "9204 days earlier"."""
    size = abs(nanoseconds)
    if size >= 2 * _DAY:
        return f"{size // _DAY} days {'later' if nanoseconds > 0 else 'earlier'}"
    for unit, name in ((10**9, "s"), (10**6, "ms"), (10**3, "µs"), (1, "ns")):
        if size >= unit:
            return f"{size / unit:.4g} {name} {'later' if nanoseconds > 0 else 'earlier'}"
    return "the same"


def size_text(size: int, block: int) -> str:
    """A size in bytes, and in blocks where it is made of whole ones."""
    return f"{size} bytes" + (f" ({size // block} blocks)" if size and size % block == 0 else "")
