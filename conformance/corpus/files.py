"""Reads the TOML files of a corpus, and nothing that is not one of them.

A file must lie in the corpus it is listed in: a symbolic link that leads out of it is
refused, and so is a file that is too large to have been written by a person.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from conformance.corpus.words import MAX_TOML
from conformance.errors import CorpusError, unknown_name
from conformance.model.codec import DecodeError, Parser, decode, describe

T = TypeVar("T")
Table = dict[str, object]
_LINE = re.compile(r"(.*) \(at line (\d+), column (\d+)\)", re.DOTALL)


def toml_files(root: Path, folder: str = "") -> list[Path]:
    """All `*.toml` below a folder, sorted by path, so that every process sees them in the same order."""
    return sorted(path for path in (root / folder).rglob("*.toml"))


def read_toml(path: Path, root: Path | None = None) -> Table:
    """The tables of one file; raises CorpusError. `root` is the folder that it must not lead out of."""
    where = label(path)
    try:
        if root is not None and not path.resolve(strict=True).is_relative_to(root.resolve()):
            raise CorpusError(where, f"is a link to {path.resolve()}, outside {label(root)}; copy the file instead")
        if path.stat().st_size > MAX_TOML:
            raise CorpusError(where, f"expected at most {MAX_TOML} bytes, found {path.stat().st_size}")
        return tomllib.loads(path.read_text("utf-8"))
    except tomllib.TOMLDecodeError as error:
        found = _LINE.fullmatch(str(error))
        if found is None:
            raise CorpusError(where, f"not TOML: {error}") from None
        raise CorpusError(f"{where}, line {found[2]}", f"not TOML: {found[1]} (column {found[3]})") from None
    except UnicodeDecodeError as error:
        raise CorpusError(where, f"expected text in UTF-8, found the byte {error.object[error.start]:#04x}") from None
    except OSError as error:
        raise CorpusError(where, f"cannot be read: {error.strerror}") from None


def label(path: Path) -> str:
    """A path as a message names it: below the present directory where it lies there."""
    try:
        return str(path.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def known_keys(table: Mapping[str, object], known: Iterable[str], where: str) -> list[CorpusError]:
    """An error for each key that is not known."""
    names = list(known)
    return [CorpusError(where, unknown_name("key", key, names)) for key in table if key not in names]


def entries(table: Table, key: str, where: str) -> list[Table]:
    """The tables of `[[key]]`; raises CorpusError when something else is there."""
    found = table.get(key, [])
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise CorpusError(where, f"expected tables under [[{key}]], found {describe(found)}")
    return found


def typed(kind: type[T], plain: object, where: str, parse: Mapping[object, Parser] | None = None) -> T:
    """A value of type `kind`; raises CorpusError that names the key."""
    try:
        return decode(kind, plain, parse=parse)
    except DecodeError as error:
        raise CorpusError(f"{where}, key {error.path!r}" if error.path else where, error.problem) from None
