"""Extent maps: derives layouts from them, compares them, and tells them in blocks.

Kernels may tell one extent as two or two as one; maps are compared place by place.

What writeback does to a map is not a change made by a call. A place may therefore become
something else, where the map before had
- a delayed allocation: anything that is mapped, or nothing behind the end of the file;
- and the file may have had dirty pages: an unwritten or shared place becomes data, and on a
  file system that never writes in place (btrfs), or beside a shared extent (xfs), any mapped place becomes another;
- and another file may have had dirty pages, or lost its last name: a shared place becomes its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from conformance.judge.content import SHOWN, span_text
from conformance.model.trial import Layout
from kernel.state import Extent

HOLE, UNWRITTEN, DATA, SHARED, DELALLOC = "hole", "unwritten", "data", "shared", "delalloc"

_PLACELESS = frozenset({"delalloc", "unknown"})
"""Flags of extents whose physical address means nothing."""


@dataclass(frozen=True)
class Place:
    """A stretch of a file that is mapped in one way. Bytes; `physical` is None where there is none."""

    at: int
    length: int
    kind: str
    physical: int | None = None
    flags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tolerance:
    """What may have changed between two observations without any call having changed it."""

    dirty: bool = False
    """The file may have had dirty pages."""
    in_place: bool = True
    """The file system overwrites written data where it is."""
    unshared: bool = False
    """Other owners of its extents may be gone."""
    physical: bool = True
    """Places on the device are compared too."""
    until: int | None = None
    """Only so many bytes are compared."""
    size: int = 0
    """Of the file, in bytes: what is delayed behind it may vanish."""


STRICT = Tolerance()


@dataclass(frozen=True)
class MapDifference:
    """A stretch that two maps have differently."""

    before: Place
    after: Place


def kind_of(extent: Extent) -> str:
    """In which way an extent is mapped."""
    for kind in (DELALLOC, SHARED, UNWRITTEN):
        if kind in extent.flags:
            return kind
    return DATA


def places(extents: Iterable[Extent], until: int) -> tuple[Place, ...]:
    """All of a file from 0 to `until`, holes included."""
    found: list[Place] = []
    position = 0
    for extent in sorted(extents, key=lambda item: item.logical):
        if extent.logical >= until:
            break
        if extent.logical > position:
            found.append(Place(position, extent.logical - position, HOLE))
        length = min(extent.length, until - extent.logical)
        physical = None if _PLACELESS & set(extent.flags) else extent.physical
        found.append(Place(extent.logical, length, kind_of(extent), physical, extent.flags))
        position = extent.logical + length
    if position < until:
        found.append(Place(position, until - position, HOLE))
    return tuple(found)


def end_of(extents: Iterable[Extent]) -> int:
    """The first byte behind the last extent."""
    return max((extent.logical + extent.length for extent in extents), default=0)


def compare(
    before: tuple[Extent, ...], after: tuple[Extent, ...], tolerance: Tolerance = STRICT
) -> tuple[MapDifference, ...]:
    """Where two maps differ beyond what is tolerated."""
    if before == after:
        return ()
    until = max(end_of(before), end_of(after)) if tolerance.until is None else tolerance.until
    left, right = places(before, until), places(after, until)
    found: list[MapDifference] = []
    i = j = 0
    position = 0
    while position < until:
        a, b = left[i], right[j]
        stop = min(a.at + a.length, b.at + b.length)
        part_a, part_b = _part(a, position, stop), _part(b, position, stop)
        if not _tolerated(part_a, part_b, tolerance):
            found.append(MapDifference(part_a, part_b))
        position = stop
        i += a.at + a.length == stop
        j += b.at + b.length == stop
    return _joined(found)


def identical(before: tuple[Extent, ...], after: tuple[Extent, ...]) -> bool:
    """Whether two maps are the same in everything, delayed allocations included."""
    until = max(end_of(before), end_of(after))
    return _merged(places(before, until), whole=True) == _merged(places(after, until), whole=True)


def _part(place: Place, start: int, stop: int) -> Place:
    physical = None if place.physical is None else place.physical + start - place.at
    return Place(start, stop - start, place.kind, physical, place.flags)


def _tolerated(before: Place, after: Place, tolerance: Tolerance) -> bool:
    if before.kind == DELALLOC:
        return after.kind != HOLE or before.at >= tolerance.size
    rewritten = before.kind in (UNWRITTEN, SHARED) or (before.kind != HOLE and not tolerance.in_place)
    if tolerance.dirty and rewritten and after.kind in (DATA, DELALLOC):
        return True
    unshared = tolerance.unshared and before.kind == SHARED and after.kind in (DATA, UNWRITTEN)
    if before.kind != after.kind and not unshared:
        return False
    if tolerance.physical and before.physical != after.physical:
        return False
    if unshared:
        return set(before.flags) - {SHARED} == set(after.flags) - {SHARED}
    return before.flags == after.flags


def _joined(found: list[MapDifference]) -> tuple[MapDifference, ...]:
    joint: list[MapDifference] = []
    for item in found:
        if joint and _follows(joint[-1].before, item.before) and _follows(joint[-1].after, item.after):
            last = joint[-1]
            joint[-1] = MapDifference(_longer(last.before, item.before), _longer(last.after, item.after))
        else:
            joint.append(item)
    return tuple(joint)


def _follows(first: Place, second: Place) -> bool:
    if first.at + first.length != second.at or (first.kind, first.flags) != (second.kind, second.flags):
        return False
    if first.physical is None or second.physical is None:
        return first.physical is second.physical
    return first.physical + first.length == second.physical


def _alike(first: Place, second: Place) -> bool:
    return (first.kind, first.flags) == (second.kind, second.flags)


def _longer(first: Place, second: Place) -> Place:
    return Place(first.at, first.length + second.length, first.kind, first.physical, first.flags)


def layout_differences(
    layout: tuple[Layout, ...], extents: tuple[Extent, ...], size: int
) -> list[tuple[Layout, Place]]:
    """The stretches of a file that are not mapped as a layout says. Delayed allocations count as data.

    A layout speaks of whole blocks: its last part may reach behind the end of the file."""
    found: list[tuple[Layout, Place]] = []
    at = 0
    for part in layout:
        stop = min(at + part.length, max(size, at))
        for place in places(extents, stop) if part.kind != "any" else ():
            first = max(place.at, at)
            kind = DATA if place.kind == DELALLOC else place.kind
            if first < place.at + place.length and kind != part.kind:
                found.append((part, _part(place, first, place.at + place.length)))
        at += part.length
    return found


def fragments(extents: Iterable[Extent]) -> int:
    """Extents that do not touch the one before them on the device."""
    count, behind = 0, -1
    for extent in sorted(extents, key=lambda item: item.logical):
        if not _PLACELESS & set(extent.flags):
            count += extent.physical != behind
            behind = extent.physical + extent.length
    return count


# --- for people -------------------------------------------------------------------------------


def place_text(place: Place, block: int, *, physical: bool = False) -> str:
    """ "4-7: unwritten", with `physical` "4-7: unwritten on device blocks 1200-1203"."""
    words = [place.kind, *(flag for flag in place.flags if flag not in (place.kind, "unknown"))]
    text = f"{span_text(place.at, place.length, block)}: {' '.join(words)}"
    if physical and place.physical is not None:
        text += f" on device blocks {span_text(place.physical, place.length, block)}"
    return text


def map_text(extents: tuple[Extent, ...], size: int, block: int) -> str:
    """A whole map: "0-3: data, 4-7: hole"."""
    until = max(size, end_of(extents))
    return _listed([place_text(place, block) for place in _merged(places(extents, until))]) or "nothing"


def difference_texts(found: Iterable[MapDifference], block: int) -> tuple[str, str]:
    """What was expected and what was observed, only where they differ; with places on the device where these matter."""
    before: list[str] = []
    after: list[str] = []
    for item in found:
        moved = item.before.kind == item.after.kind and item.before.flags == item.after.flags
        before.append(place_text(item.before, block, physical=moved))
        after.append(place_text(item.after, block, physical=moved))
    return _listed(before), _listed(after)


def _merged(found: Iterable[Place], *, whole: bool = False) -> list[Place]:
    """Places that are mapped in one way made one; with `whole` only where they touch on the device."""
    joint: list[Place] = []
    for place in found:
        if joint and (_follows if whole else _alike)(joint[-1], place):
            joint[-1] = _longer(joint[-1], place)
        else:
            joint.append(place)
    return joint


def _listed(parts: list[str]) -> str:
    if len(parts) > SHOWN:
        return ", ".join(parts[:SHOWN]) + f", … ({len(parts) - SHOWN} more)"
    return ", ".join(parts)
