"""Limits: a case that asks for gigabytes is a mistake, and is told so before anything is done."""

from __future__ import annotations

from conformance.corpus.vocabulary import call_fields
from conformance.corpus.words import MAX_FILES, MAX_MEMORY
from kernel.calls import MAX_SWAP_PAGES, Call, Exchange, Map, Mkswap, SwapLoad
from kernel.units import PAGE, Bytes, Span


def excesses(call: Call) -> list[tuple[str, str]]:
    """Fields of a call that ask for too much, each with what was expected."""
    found: list[tuple[str, str]] = []
    for field in call_fields(call.do):
        value = getattr(call, field.name)
        if isinstance(value, Span):
            last = value.end if value.length >= 0 else value.offset
            if last > MAX_FILES and not isinstance(call, Exchange):
                room = f"in the first {MAX_FILES >> 20} MiB"
                found.append((field.name, f"expected a range {room}, found an end at {mib(last)}"))
            if isinstance(call, Map) and value.offset % PAGE:
                found.append((field.name, f"expected a multiple of a page ({PAGE} bytes), found {value.offset}"))
        elif isinstance(value, int) and not isinstance(value, bool):
            limit = _limit(call, field.name, field.kind)
            if not 0 <= value <= limit:
                shown = f"{limit >> 20} MiB" if field.kind is Bytes else str(limit)
                found.append((field.name, f"expected from 0 to {shown}, found {value}"))
    return found


def _limit(call: Call, field: str, kind: object) -> int:
    if isinstance(call, Exchange):
        return (1 << 63) - 1
    if isinstance(call, SwapLoad):
        return MAX_MEMORY if kind is Bytes else 1000
    if isinstance(call, Mkswap) and field == "pages":
        return MAX_SWAP_PAGES
    return MAX_FILES if kind is Bytes else (1 << 32) - 1


def mib(size: int) -> str:
    """A number of bytes as a message tells it."""
    return f"{size / (1 << 20):.1f} MiB"
