"""Draws steps as a case tells them, and extent maps as bars."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Annotated, get_args, get_origin

from conformance.model.codec import hints
from kernel.calls import Call
from kernel.state import Extent
from kernel.units import WHOLE, ActorName, Bytes, CookieName, FdName, FileName, MapName, NewName, Span

_NAMES = (FdName, FileName, MapName, ActorName, NewName, CookieName)

MARKS = {"hole": ".", "unwritten": "u", "delalloc": "d", "shared": "s", "data": "#", "several": "+"}
"""How a bar shows a block, or the blocks that one character stands for."""


def call_text(call: Call, block: int) -> str:
    """A call as a case has it: "exchange via=swapext target=target donor=donor". Names are told even by default."""
    cls: type = type(call)
    kinds = hints(cls)
    words = [call.do]
    for field in dataclasses.fields(call):
        value = getattr(call, field.name)
        kind = _kind(kinds[field.name])
        required = field.default is dataclasses.MISSING
        if value is None or (value == field.default and not required and kind not in _NAMES):
            continue
        words.append(f"{field.name}={_value_text(value, kind, block)}")
    return " ".join(words)


def _kind(hint: object) -> object:
    """What a field holds, without Annotated and None."""
    inner = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    options = [option for option in get_args(inner) if option is not type(None)]
    return options[0] if len(options) == 1 and type(None) in get_args(inner) else inner


def _value_text(value: object, kind: object, block: int) -> str:
    if isinstance(value, Span):
        if value == WHOLE:
            return "whole"
        return (
            f"{quantity_text(value.offset, block)}+{quantity_text(value.length, block) if value.length >= 0 else 'end'}"
        )
    if isinstance(value, bool):
        return "true" if value else "false"
    if kind is Bytes and isinstance(value, int):
        return quantity_text(value, block)
    if isinstance(value, tuple):
        return ",".join(str(item) for item in value) or "none"
    return str(value)


def quantity_text(size: int, block: int) -> str:
    """Bytes as a case writes them: "8b", "8b+3", "17"."""
    blocks, rest = divmod(size, block)
    if size < block:
        return str(size)
    return f"{blocks}b" + (f"+{rest}" if rest else "")


def bars(before: tuple[Extent, ...], after: tuple[Extent, ...], size: int, block: int, width: int) -> tuple[str, ...]:
    """Two maps of one file as bars of at most `width` characters, and a line that marks where they differ.

    A block that only moved on the device is marked too."""
    until = max([size, *(extent.logical + extent.length for extent in (*before, *after))])
    blocks = -(-until // block)
    if not blocks or width < 1:
        return ()
    scale = -(-blocks // width)
    old, new = _cells(before, blocks, block), _cells(after, blocks, block)
    rows = (_bar((kind for kind, _ in old), scale), _bar((kind for kind, _ in new), scale))
    marks = "".join(
        "^" if old[start : start + scale] != new[start : start + scale] else " " for start in range(0, blocks, scale)
    ).rstrip()
    return (*rows, marks) if marks else rows


def scale_text(size: int, block: int, width: int) -> str:
    """What a character of a bar stands for."""
    blocks = -(-size // block)
    scale = -(-blocks // width) if width > 0 else 1
    what = "a block" if scale <= 1 else f"{scale} blocks"
    legend = ", ".join(f"{mark} {kind}" for kind, mark in MARKS.items() if kind != "several" or scale > 1)
    return f"each character is {what}: {legend}, ^ differs"


def _cells(extents: Iterable[Extent], blocks: int, block: int) -> list[tuple[str, int]]:
    """For each block its kind and its place on the device (-1: none)."""
    cells = [("hole", -1)] * blocks
    for extent in extents:
        kind = next((kind for kind in ("delalloc", "shared", "unwritten") if kind in extent.flags), "data")
        placeless = "delalloc" in extent.flags or "unknown" in extent.flags
        first, last = extent.logical // block, -(-(extent.logical + extent.length) // block)
        for number in range(first, min(last, blocks)):
            cells[number] = (kind, -1 if placeless else extent.physical + (number - first) * block)
    return cells


def _bar(kinds: Iterable[str], scale: int) -> str:
    row = [MARKS[kind] for kind in kinds]
    if scale == 1:
        return "".join(row)
    parts = [set(row[start : start + scale]) for start in range(0, len(row), scale)]
    return "".join(part.pop() if len(part) == 1 else MARKS["several"] for part in parts)
