"""File contents that say whose they are.

Every 16 bytes of what a trial writes name their source: a file's own initial content, a
step, or an actor's nth pass; and the sector of the file for which they were written. So
what is read back can be told as runs ("blocks 0 to 3 hold what donor held at 4"), wherever
a move or a swap put them, and a block from another trial is recognised as foreign.

One unit is `salt[4] source[4] version[4] sector[4]`, little endian; a sector is 32 of them.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

from kernel.units import SECTOR

UNIT = 16
_REPEAT = SECTOR // UNIT
_CHUNK = 1 << 13
_CHUNKS = 1024
_ZERO_CHUNK = bytes(_CHUNK)
_ZERO_UNIT = bytes(UNIT)
_UNIT = struct.Struct("<IIII")

ZERO = "zero"
"""The source of bytes that are zero."""
SWAP_HEADER = "swap_header"
"""The source of the header page that `mkswap` wrote, while it is intact."""
UNKNOWN = "unknown"
"""The source of bytes that no source of this trial has written; `version` is a checksum of them."""


@dataclass(frozen=True)
class Run:
    """`length` bytes that `source` wrote in its pass `version` for offset `at` of its file.

    For `zero` and `unknown`, `at` is 0.
    """

    source: str
    version: int
    at: int
    length: int


class Palette:
    """The sources of one trial: encodes their contents, and decodes what is found."""

    def __init__(self, salt: str, sources: Iterable[str]) -> None:
        self._salt = zlib.crc32(salt.encode()) | 1
        self._salt_bytes = struct.pack("<I", self._salt)
        self._names: dict[int, str] = {}
        self._chunks: dict[tuple[int, int, int], bytes] = {}
        for name in sources:
            self.add(name)

    def add(self, source: str) -> None:
        """Makes a source known."""
        key = zlib.crc32(source.encode())
        if self._names.setdefault(key, source) != source:
            raise ValueError(f"sources {source!r} and {self._names[key]!r} have the same checksum; rename one")

    def encode(self, source: str, offset: int, length: int, version: int = 0) -> bytes:
        """What `source` writes at `offset` for `length` bytes in its pass `version`."""
        key = zlib.crc32(source.encode())
        if key not in self._names:
            self.add(source)
        first = offset // SECTOR
        last = (offset + length + SECTOR - 1) // SECTOR
        pack = _UNIT.pack
        data = b"".join([pack(self._salt, key, version, sector) * _REPEAT for sector in range(first, last)])
        skip = offset - first * SECTOR
        return data if skip == 0 and len(data) == length else data[skip : skip + length]

    def decode(self, data: bytes) -> tuple[Run, ...]:
        """The runs that `data` consists of, from its start to its end. `data` starts on a sector."""
        runs: list[Run] = []
        position, total = 0, len(data)
        while position < total:
            chunk = data[position : position + _CHUNK]
            if chunk == _ZERO_CHUNK[: len(chunk)]:
                _append(runs, ZERO, 0, 0, len(chunk))
            elif not self._continues(chunk, runs):
                for start in range(0, len(chunk), SECTOR):
                    self._sector(chunk[start : start + SECTOR], runs)
            position += len(chunk)
        return tuple(runs)

    def _continues(self, chunk: bytes, runs: list[Run]) -> bool:
        """Whether a whole chunk is what one source wrote from its first sector on: the usual case, made quick."""
        if len(chunk) < _CHUNK:
            return False
        salt, key, version, sector = _UNIT.unpack_from(chunk)
        source = self._names.get(key) if salt == self._salt else None
        if source is None or chunk != self._expected(key, version, sector):
            return False
        _append(runs, source, version, sector * SECTOR, _CHUNK)
        return True

    def _expected(self, key: int, version: int, sector: int) -> bytes:
        known = self._chunks.get((key, version, sector))
        if known is None:
            if len(self._chunks) >= _CHUNKS:
                self._chunks.clear()
            sectors = range(sector, sector + _CHUNK // SECTOR)
            known = b"".join(_UNIT.pack(self._salt, key, version, each) * _REPEAT for each in sectors)
            self._chunks[key, version, sector] = known
        return known

    def _sector(self, sector: bytes, runs: list[Run]) -> None:
        unit = sector[:UNIT]
        length = len(sector)
        if len(unit) == UNIT and (sector == unit * _REPEAT or sector == (unit * _REPEAT)[:length]):
            self._unit(unit, 0, length, runs)
            return
        if length == SECTOR and self._salt_bytes not in sector and _ZERO_UNIT not in sector:
            _append(runs, UNKNOWN, zlib.crc32(sector), 0, length)  # as in a former swap area: made quick
            return
        for start in range(0, length, UNIT):
            self._unit(sector[start : start + UNIT], start, min(UNIT, length - start), runs)

    def _unit(self, unit: bytes, start: int, length: int, runs: list[Run]) -> None:
        """Adds `length` bytes that repeat `unit`, `start` bytes into their sector."""
        if not any(unit):
            _append(runs, ZERO, 0, 0, length)
            return
        if len(unit) == UNIT:
            salt, key, version, number = _UNIT.unpack(unit)
            source = self._names.get(key)
            if salt == self._salt and source is not None:
                _append(runs, source, version, number * SECTOR + start, length)
                return
        else:
            for key, source in self._names.items():  # a file's last few bytes: continue the run before them
                if runs and runs[-1].source == source and runs[-1].at + runs[-1].length >= 0:
                    last = runs[-1]
                    whole = _UNIT.pack(self._salt, key, last.version, (last.at + last.length) // SECTOR)
                    if whole.startswith(unit):
                        _append(runs, source, last.version, last.at + last.length, length)
                        return
        _append(runs, UNKNOWN, zlib.crc32(unit), 0, length)


def _append(runs: list[Run], source: str, version: int, at: int, length: int) -> None:
    """Adds a run, joined to the one before it where it continues that."""
    if runs:
        last = runs[-1]
        if last.source == source:
            if source == ZERO:
                runs[-1] = Run(ZERO, 0, 0, last.length + length)
                return
            if source == UNKNOWN:
                runs[-1] = Run(UNKNOWN, zlib.crc32(struct.pack("<II", last.version, version)), 0, last.length + length)
                return
            if last.version == version and last.at + last.length == at:
                runs[-1] = Run(source, version, last.at, last.length + length)
                return
    runs.append(Run(source, version, at, length))
