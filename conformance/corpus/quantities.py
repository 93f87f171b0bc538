"""Quantities, ranges, layouts and pieces as cases write them, to bytes.

    quantity  TERM, then any number of "+TERM" or "-TERM"            "8b"  "2p"  "4k"  "17"  "8b+3"  "2p-1"
    TERM      digits and a unit: b (blocks of the file system), p (pages of 4096 bytes),
              k, m (KiB, MiB), byte or bytes, or nothing, which is bytes too
    range     FIRST+COUNT, or "all", or FIRST+rest                   "0+1b"  "1b+28"  "8b-1+2"  "8b+rest"
              The first "+" separates. A FIRST without unit takes that of COUNT, so "2+1b" begins at block 2.
    layout    KIND:QUANTITY, separated by spaces                     "data:8b hole:4b unwritten:4b"
    pieces    SOURCE:RANGE, or zero, any, swap_header with :QUANTITY "donor:0+4b step2:4b+1b zero:2b any:4b"
              ACTOR.last:RANGE is what the actor wrote in its last pass

All functions raise ValueError with what was expected and what was found.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from functools import lru_cache

from conformance.corpus.words import NAME
from conformance.model.codec import describe
from conformance.model.trial import Piece
from kernel.units import PAGE, WHOLE, Span

_TERM = re.compile(r"(\d+)([a-z]*)")
_UNITS = {"": 1, "byte": 1, "bytes": 1, "p": PAGE, "k": 1 << 10, "m": 1 << 20, "b": 0}
PLACELESS = ("zero", "any", "swap_header")
"""Sources of pieces that are the same wherever they are."""
LAST = ".last"
"""Behind the name of an actor: what it wrote in its last pass."""
MAX = (1 << 63) - 1
"""The last position that a file can have."""


def quantity(value: object, block: int) -> int:
    """A quantity in bytes. `block` is the size of a block of the file system, in bytes."""
    if isinstance(value, int) and not isinstance(value, bool):
        if value < 0:
            raise ValueError(f"expected a quantity that is not negative, found {value}")
        return value
    if not isinstance(value, str):
        raise ValueError(f'expected a quantity such as "8b", "2p" or "17", found {describe(value)}')
    return _sum(value, block)


@lru_cache(maxsize=4096)
def _sum(text: str, block: int) -> int:
    total, sign, rest = 0, 1, text.strip()
    while True:
        found = _TERM.match(rest)
        if found is None or found[2] not in _UNITS:
            raise ValueError(
                f'expected a quantity such as "8b", "2p", "4k" or "8b+3" (units: b, p, k, m, bytes), found {text!r}'
            )
        total += sign * int(found[1]) * (_UNITS[found[2]] or block)
        rest = rest[found.end() :].lstrip()
        if not rest:
            break
        if rest[0] not in "+-":
            raise ValueError(f"expected + or - between the terms of a quantity, found {text!r}")
        sign, rest = (1 if rest[0] == "+" else -1), rest[1:].lstrip()
    if not 0 <= total <= MAX:
        raise ValueError(f"expected a quantity between 0 and 2^63-1, found {text!r}, which is {total}")
    return total


def span(value: object, block: int) -> Span:
    """A range of a file."""
    if not isinstance(value, str):
        raise ValueError(f'expected a range such as "0+1b" or "all", found {describe(value)}')
    return _span(value.strip(), block)


@lru_cache(maxsize=4096)
def _span(text: str, block: int) -> Span:
    if text == "all":
        return WHOLE
    first, plus, count = text.partition("+")
    if not plus or not first.strip() or not count.strip():
        raise ValueError(f'expected a range FIRST+COUNT such as "0+1b", or "all", found {text!r}')
    first, count = first.strip(), count.strip()
    if count == "rest":
        return Span(_sum(first, block), -1)
    if first.isdigit() and (unit := _TERM.match(count)):
        first += unit[2]
    result = Span(_sum(first, block), _sum(count, block))
    if result.end > MAX:
        raise ValueError(f"expected a range that ends before 2^63, found {text!r}, which overflows")
    return result


def parts(text: object, block: int, kinds: Collection[str], example: str) -> list[tuple[str, int]]:
    """The parts of a layout: (kind, length in bytes), none of them empty."""
    if not isinstance(text, str) or not text.split():
        raise ValueError(f'expected a layout such as "{example}", found {describe(text)}')
    found: list[tuple[str, int]] = []
    for word in text.split():
        kind, colon, length = word.partition(":")
        if not colon or kind not in kinds:
            raise ValueError(f"expected KIND:LENGTH with one of {', '.join(kinds)}, found {word!r}")
        bytes_ = _sum(length, block)
        if bytes_ == 0:
            raise ValueError(f"expected a length above 0, found {word!r}")
        found.append((kind, bytes_))
    return found


def pieces(text: str, block: int, check: Callable[[str], None]) -> tuple[Piece, ...]:
    """What a content is made of. `check` is told every source, and raises ValueError for an unknown one."""
    found: list[Piece] = []
    for word in text.split():
        source, colon, where = word.partition(":")
        if not colon or not NAME.fullmatch(source.removesuffix(LAST)):
            raise ValueError(f'expected pieces such as "donor:0+4b zero:2b", found {word!r}')
        if source in PLACELESS:
            found.append(Piece(source, 0, _sum(where, block)))
        else:
            check(source)
            at = _span(where, block)
            if at.length < 0:
                raise ValueError(f"expected a range with an end, found {word!r}")
            found.append(Piece(source.removesuffix(LAST), at.offset, at.length, source.endswith(LAST)))
        if found[-1].length == 0:
            raise ValueError(f"expected a piece longer than 0, found {word!r}")
    if not found:
        raise ValueError("expected pieces, found nothing")
    return tuple(found)
