"""Files of a trial as a case describes them: a layout, or a table with one."""

from __future__ import annotations

from dataclasses import replace

from conformance.corpus.claims import octal
from conformance.corpus.quantities import parts, quantity
from conformance.corpus.words import FILE_WORDS, SEGMENT_WORDS
from conformance.errors import unknown_name
from conformance.model.codec import DecodeError, Parser, decode, describe
from kernel.setup import FileSpec, Segment


def file_spec(name: str, plain: object, block: int) -> FileSpec:
    """The file that a case describes; raises ValueError, as DecodeError where it is about one key."""
    if isinstance(plain, str):
        plain = {"layout": plain}
    if not isinstance(plain, dict) or "layout" not in plain:
        raise ValueError(f'expected a layout such as "data:16b", or a table with a layout, found {describe(plain)}')
    for key in plain:
        if key not in FILE_WORDS:
            raise ValueError(unknown_name("key", key, FILE_WORDS))
    fields = {key: item for key, item in plain.items() if key not in ("layout", "mode")}
    lengths: dict[object, Parser] = {int: lambda value: quantity(value, block)}
    spec = decode(FileSpec, {"name": name, "segments": []} | fields, parse=lengths)
    segments = () if plain["layout"] == "empty" else _segments(plain["layout"], block)
    if spec.tail >= block:
        raise DecodeError("tail", f"expected less than a block of {block} bytes, found {spec.tail}")
    blocks = sum(item.length for item in segments if item.kind != "hole") // block
    if spec.fragments > blocks:
        raise DecodeError("fragments", f"expected at most {blocks}, its blocks of data, found {spec.fragments}")
    mode = octal(plain["mode"]) if "mode" in plain else spec.mode
    return replace(spec, segments=segments, mode=mode)


def _segments(layout: object, block: int) -> tuple[Segment, ...]:
    found: list[Segment] = []
    for kind, length in parts(layout, block, tuple(SEGMENT_WORDS), "data:8b hole:8b"):
        unit = block * (2 if kind == "comb" else 1)
        if length % unit:
            raise ValueError(
                f"expected {kind} in multiples of {unit} bytes ({unit // block}b), found {length} bytes; "
                "a part of a block at the end is the key 'tail'"
            )
        found.append(decode(Segment, {"kind": kind, "length": length}))
    return tuple(found)
