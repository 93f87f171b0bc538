"""Contents as runs: cuts them, compares them, matches them with pieces, and tells them in blocks.

A run says whose bytes they are and for which place they were written (`kernel.pattern`). Two
contents agree where both runs of a place have the same source, pass and origin.

Three things cannot be told from runs, and are let pass:
- a part of an unknown run, because its checksum covers all of it;
- fewer than 16 bytes at the very end of a content, which are too few to name their source:
  they are compared with what the expected source would have there;
- the header page of a swap area, which reads as one run through the file and as unknown bytes
  through a mapping.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from conformance.model.trial import Piece
from kernel.pattern import SWAP_HEADER, UNIT, UNKNOWN, ZERO, Palette, Run
from kernel.setup import FileSpec

ANY = "any"
"""The source of a piece that says nothing about its bytes."""
SOME = -1
"""A pass, or a checksum of unknown bytes, that is not known: equal to each."""
SHOWN = 8
"""Runs that a description lists before it counts the rest."""

Runs = tuple[Run, ...]


@dataclass(frozen=True)
class Difference:
    """A stretch of a file on which two contents differ. `at` and `length` in bytes; None: nothing is there."""

    at: int
    length: int
    expected: Run | None
    observed: Run | None


def length_of(runs: Iterable[Run]) -> int:
    """Bytes in all."""
    return sum(run.length for run in runs)


def cut_run(run: Run, start: int, length: int) -> Run:
    """`length` bytes of a run from its byte `start` on."""
    if start == 0 and length == run.length:
        return run
    if run.source == UNKNOWN:
        return Run(UNKNOWN, SOME, 0, length)
    if run.source in (ZERO, ANY):
        return replace(run, length=length)
    return Run(run.source, run.version, run.at + start, length)


def cut(runs: Runs, start: int, length: int) -> Runs:
    """The runs of `length` bytes from byte `start` on; fewer where the content ends before."""
    found: list[Run] = []
    position = 0
    for run in runs:
        first, last = max(start, position), min(start + length, position + run.length)
        if first < last:
            found.append(cut_run(run, first - position, last - first))
        position += run.length
    return tuple(found)


def aligned(left: Runs, right: Runs) -> Iterator[tuple[int, int, Run | None, Run | None]]:
    """Both contents side by side: position, length, and the run of each, cut where either one changes."""
    position, i, j, used_left, used_right = 0, 0, 0, 0, 0
    while i < len(left) or j < len(right):
        rest_left = left[i].length - used_left if i < len(left) else 0
        rest_right = right[j].length - used_right if j < len(right) else 0
        length = min(rest for rest in (rest_left, rest_right) if rest) if rest_left or rest_right else 0
        a = cut_run(left[i], used_left, length) if rest_left else None
        b = cut_run(right[j], used_right, length) if rest_right else None
        if length:
            yield position, length, a, b
        position += length
        if i < len(left):
            used_left += length
            if used_left >= left[i].length:
                i, used_left = i + 1, 0
        if j < len(right):
            used_right += length
            if used_right >= right[j].length:
                j, used_right = j + 1, 0


def same(left: Run, right: Run) -> bool:
    """Whether two runs of one length hold the same bytes, as far as runs can tell."""
    if ANY in (left.source, right.source):
        return True
    if left.source != right.source:
        return False
    if left.source == ZERO:
        return True
    if left.source != UNKNOWN and left.at != right.at:
        return False
    return left.version == right.version or SOME in (left.version, right.version)


def differences(
    expected: Runs, observed: Runs, tail: Callable[[Run, Run], bool] | None = None
) -> tuple[Difference, ...]:
    """Where two contents differ. `tail` decides about a last run too short to name its source."""
    if expected == observed:
        return ()
    found: list[Difference] = []
    total = length_of(observed)
    for at, length, a, b in aligned(expected, observed):
        if a is not None and b is not None:
            if same(a, b):
                continue
            if tail and b.source == UNKNOWN and length < UNIT and at + length == total and tail(a, b):
                continue
        found.append(Difference(at, length, a, b))
    return tuple(found)


def tail_of(palette: Palette) -> Callable[[Run, Run], bool]:
    """Decides whether a short last run is what the expected source has there, by its checksum."""

    def fits(expected: Run, observed: Run) -> bool:
        if expected.source in (ZERO, UNKNOWN) or SOME in (expected.version, observed.version):
            return expected.source not in (ZERO, UNKNOWN)
        data = palette.encode(expected.source, expected.at, expected.length, expected.version)
        return zlib.crc32(data) == observed.version

    return fits


def header_hidden(runs: Runs) -> Runs:
    """The same content, in which the header page of a swap area may be anything."""
    return tuple(Run(ANY, 0, 0, run.length) if run.source == SWAP_HEADER else run for run in runs)


def initial(spec: FileSpec, block: int) -> Runs:
    """What a file holds when it is made, from what it is to be made of. `block` in bytes."""
    runs: list[Run] = []
    at = 0
    for segment in spec.segments:
        if segment.kind == "comb":
            for number, start in enumerate(range(0, segment.length, block)):
                length = min(block, segment.length - start)
                runs.append(Run(ZERO, 0, 0, length) if number % 2 else Run(spec.name, 0, at + start, length))
        elif segment.kind in ("hole", "unwritten"):
            runs.append(Run(ZERO, 0, 0, segment.length))
        else:
            runs.append(Run(spec.name, 0, at, segment.length))
        at += segment.length
    if spec.tail:
        runs.append(Run(spec.name, 0, at, spec.tail))
    return joined(runs)


def from_pieces(pieces: Iterable[Piece], files: Mapping[str, Runs], last: Mapping[str, int] | None = None) -> Runs:
    """The content that pieces describe. A file's name means what it held when it was made, holes as zeros.

    `last` has the last pass in which each actor wrote.
    """
    runs: list[Run] = []
    for piece in pieces:
        if piece.source in (ZERO, ANY):
            runs.append(Run(piece.source, 0, 0, piece.length))
            continue
        held = cut(files.get(piece.source, ()), piece.at, piece.length)
        runs.extend(held)
        rest = piece.length - length_of(held)
        if rest:
            known = (last or {}) if piece.last else {}
            version = 0 if piece.source in files else known.get(piece.source, SOME)
            runs.append(Run(piece.source, version, piece.at + length_of(held), rest))
    return joined(runs)


def joined(runs: Iterable[Run]) -> Runs:
    """The same content with runs that continue each other made one."""
    found: list[Run] = []
    for run in runs:
        if not run.length:
            continue
        last = found[-1] if found else None
        if last is not None and run.source != UNKNOWN and last.version == run.version and _continues(last, run):
            found[-1] = replace(last, length=last.length + run.length)
        else:
            found.append(run)
    return tuple(found)


# --- for people -------------------------------------------------------------------------------


def span_text(at: int, length: int, block: int) -> str:
    """A stretch in blocks ("4-15", "7"), or in bytes where it is not made of whole blocks. The last is included."""
    if at % block == 0 and length % block == 0 and length:
        first, last = at // block, (at + length) // block - 1
        return str(first) if first == last else f"{first}-{last}"
    return f"bytes {at}-{at + length - 1}" if length else f"byte {at}"


def run_text(run: Run | None, place: int, block: int) -> str:
    """Whose bytes a run holds: "target" in its own place, "target 8-19" from elsewhere."""
    if run is None:
        return "nothing"
    if run.source == ZERO:
        return "zeros"
    if run.source == ANY:
        return "anything"
    if run.source == UNKNOWN:
        return "bytes that nobody in this trial wrote"
    if run.source == SWAP_HEADER:
        return "the swap header"
    text = run.source + (f" pass {run.version}" if run.version > 0 else "")
    return text if run.at == place else f"{text} {span_text(run.at, run.length, block)}"


def content_text(runs: Runs, block: int) -> str:
    """A whole content: "0-3: step4, 4-15: target"."""
    parts: list[str] = []
    at = 0
    for run in joined(runs):
        parts.append(f"{span_text(at, run.length, block)}: {run_text(run, at, block)}")
        at += run.length
    return _listed(parts) or "nothing"


def difference_texts(found: Iterable[Difference], block: int) -> tuple[str, str]:
    """What was expected and what was observed, only where they differ."""
    return _side([(d.at, d.length, d.expected) for d in found], block), _side(
        [(d.at, d.length, d.observed) for d in found], block
    )


def _side(parts: list[tuple[int, int, Run | None]], block: int) -> str:
    joint: list[tuple[int, int, Run | None]] = []
    for at, length, run in parts:
        if joint:
            last_at, last_length, last = joint[-1]
            if last_at + last_length == at and _continues(last, run):
                whole = None if last is None else replace(last, length=last_length + length)
                joint[-1] = (last_at, last_length + length, whole)
                continue
        joint.append((at, length, run))
    return _listed([f"{span_text(at, length, block)}: {run_text(run, at, block)}" for at, length, run in joint])


def _continues(last: Run | None, run: Run | None) -> bool:
    if last is None or run is None:
        return last is run
    if last.source != run.source:
        return False
    if run.source in (ZERO, ANY, UNKNOWN):
        return True
    return last.version == run.version and last.at + last.length == run.at


def _listed(parts: list[str]) -> str:
    if len(parts) > SHOWN:
        return ", ".join(parts[:SHOWN]) + f", … ({len(parts) - SHOWN} more)"
    return ", ".join(parts)
