"""Contents by whose they are: no byte is kept, only who wrote it in which pass and for which place.

That is what observations tell of contents, so the model needs nothing else. Swap headers, which
are compared bit by bit, are literal: a source that stands for bytes.
"""

from __future__ import annotations

import zlib

from kernel.pattern import SWAP_HEADER, UNKNOWN, ZERO, Palette, Run
from kernel.reference.spans import Spans

Stuff = tuple[str, int, int]
"""Source, its pass, and the offset that the first byte was written for."""
Pieces = list[tuple[int, Stuff]]
"""A content: lengths in bytes, and what they hold."""

ZEROS: Stuff = (ZERO, 0, 0)
GARBAGE: Stuff = (UNKNOWN, 0, 0)
"""What lies in blocks that this trial never wrote: whatever was there before."""
_PLACELESS = (ZERO, UNKNOWN)


def advance(stuff: Stuff, by: int) -> Stuff:
    """What lies `by` bytes further on."""
    return stuff if stuff[0] in _PLACELESS else (stuff[0], stuff[1], stuff[2] + by)


class Tape(Spans[Stuff]):
    """Bytes by position."""

    def __init__(self, blank: Stuff = ZEROS) -> None:
        super().__init__()
        self._blank = blank

    def advanced(self, value: Stuff, by: int) -> Stuff:
        """See `Spans.advanced`."""
        return advance(value, by)

    def read(self, start: int, end: int) -> Pieces:
        """What lies between two positions."""
        return [(last - first, stuff or self._blank) for first, last, stuff in self.whole(start, end)]

    def write(self, start: int, pieces: Pieces) -> None:
        """Puts a content at a position."""
        for length, stuff in pieces:
            self.put(start, start + length, stuff)
            start += length


def length_of(pieces: Pieces) -> int:
    """In bytes."""
    return sum(length for length, _ in pieces)


def cut(pieces: Pieces, start: int, end: int) -> Pieces:
    """The part of a content between two positions."""
    found: Pieces = []
    at = 0
    for length, stuff in pieces:
        first, last = max(start, at), min(end, at + length)
        if first < last:
            found.append((last - first, advance(stuff, first - at)))
        at += length
    return found


def same(left: Pieces, right: Pieces) -> bool:
    """Whether two contents hold the same bytes."""
    return joined(left) == joined(right)


def joined(pieces: Pieces) -> Pieces:
    """The same content with pieces that continue each other made one."""
    found: Pieces = []
    for length, stuff in pieces:
        if found and advance(found[-1][1], found[-1][0]) == stuff:
            found[-1] = (found[-1][0] + length, found[-1][1])
        elif length:
            found.append((length, stuff))
    return found


class Reader:
    """Tells contents as runs, as the suite knows them."""

    def __init__(self, salt: str, sources: tuple[str, ...]) -> None:
        self._palette = Palette(salt, sources)
        self._known = {*sources, ZERO}
        self._literals: dict[str, bytes] = {}

    def know(self, source: str) -> None:
        """Makes a source known."""
        self._known.add(source)

    def literal(self, data: bytes) -> Stuff:
        """The source that stands for these bytes."""
        name = f"literal {zlib.crc32(data):08x} {len(data)}"
        self._literals[name] = data
        return (name, 0, 0)

    def bytes_of(self, stuff: Stuff, length: int) -> bytes | None:
        """The bytes behind a literal source; zeros for zero, and None for all others, which are patterns."""
        if stuff[0] == ZERO:
            return bytes(length)
        data = self._literals.get(stuff[0])
        return data[stuff[2] : stuff[2] + length] if data is not None else None

    def runs(self, pieces: Pieces, header: Stuff | None = None) -> tuple[Run, ...]:
        """A content as runs. `header`: the swap header that the file was given, one run while it is intact."""
        found: list[Run] = []
        for length, (source, version, at) in joined(pieces):
            if source in self._literals:
                whole = self._literals[source]
                if header is not None and source == header[0] and at == 0 and length == len(whole) and not found:
                    found.append(Run(SWAP_HEADER, 0, 0, length))
                else:
                    found.extend(self._palette.decode(whole[at : at + length]))
            elif source == ZERO:
                found.append(Run(ZERO, 0, 0, length))
            elif source in self._known:
                found.append(Run(source, version, at, length))
            else:
                found.append(Run(UNKNOWN, zlib.crc32(source.encode()), 0, length))
        return _merged(found) if self._literals else tuple(found)


def _merged(runs: list[Run]) -> tuple[Run, ...]:
    """Zeros that follow zeros, as they may where a literal ends, made one run."""
    found: list[Run] = []
    for run in runs:
        if found and run.source == ZERO == found[-1].source:
            found[-1] = Run(ZERO, 0, 0, found[-1].length + run.length)
        else:
            found.append(run)
    return tuple(found)
