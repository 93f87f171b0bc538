"""Claims about files: what must hold for one of them, compared with a moment before."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from conformance.corpus.quantities import parts, pieces, quantity
from conformance.corpus.words import CLAIM_WORDS
from conformance.errors import unknown_name
from conformance.model.codec import decode, describe
from conformance.model.trial import Claim, Layout, Piece
from kernel.setup import FileSpec

_SINCE = re.compile(r"unchanged(?: since step (\d+))?")
_MODE = re.compile(r"[0-7]{3,4}")
_CHANGED = ("unchanged", "changed")
_SIMPLE = ("atime", "mtime", "ctime", "btime", "space", "links")
_LAYOUT = ("hole", "unwritten", "data", "shared", "any")


class ClaimReader:
    """Reads the claims of one trial. `moment` turns the number of a step into the moment just after it,
    and raises ValueError where there is no such step; `source` refuses what pieces cannot come from."""

    def __init__(
        self,
        block: int,
        files: Mapping[str, FileSpec],
        moment: Callable[[int], int],
        source: Callable[[str], None],
    ) -> None:
        self._block, self._files, self._moment, self._source = block, files, moment, source

    def read(self, file: str, value: object, since: int | None) -> tuple[Claim, ...]:
        """The claims about one file; raises ValueError. `since` fixes the moment (a step's `then`)."""
        if file not in self._files:
            raise ValueError(unknown_name("file", file, self._files))
        listed = value if isinstance(value, list) else [value]
        if not listed:
            raise ValueError("expected a claim, found an empty list")
        return tuple(self._claim(file, item, since) for item in listed if item != "any")

    def _claim(self, file: str, value: object, since: int | None) -> Claim:
        if isinstance(value, str):
            found = _SINCE.fullmatch(value)
            if found is None:
                raise ValueError(f'expected "unchanged", "unchanged since step N" or a table, found {value!r}')
            if found[1] is not None and since is not None:
                raise ValueError('a claim in `then` is compared with just before the step; write "unchanged"')
            moment = since if since is not None else self._moment(int(found[1])) if found[1] else 0
            return Claim(file, moment, everything="unchanged")
        if not isinstance(value, dict):
            raise ValueError(f'expected "unchanged" or a table, found {describe(value)}')
        for key in value:
            if key not in CLAIM_WORDS:
                raise ValueError(unknown_name("key of a claim", key, CLAIM_WORDS))
        said = {key: item for key, item in value.items() if item != "any"}
        moment = self._since(said, since)
        if not value:
            raise ValueError("expected a claim, found an empty table")
        simple = {key: said[key] for key in _SIMPLE if key in said}
        claim = decode(Claim, {"file": file, "since": moment} | simple, parse={int: _number})
        content, content_of = self._contents(file, said)
        if "mode" in said:
            claim = replace(claim, mode=octal(said["mode"], "mode: "))
        return replace(self._extents(said, self._size(said, claim)), content=content, content_of=content_of)

    def _since(self, said: Mapping[str, object], since: int | None) -> int:
        if "since" not in said:
            return since or 0
        if since is not None:
            raise ValueError("since: a claim in `then` is compared with just before the step")
        step = said["since"]
        if not isinstance(step, int) or isinstance(step, bool):
            raise ValueError(f"since: expected the number of a step, found {describe(step)}")
        return self._moment(step) if step else 0

    def _contents(self, file: str, said: Mapping[str, object]) -> tuple[tuple[tuple[Piece, ...], ...], tuple[str, ...]]:
        if "content" not in said:
            return (), ()
        value = said["content"]
        explicit: list[tuple[Piece, ...]] = []
        whole: list[str] = []
        for item in value if isinstance(value, list) else [value]:
            if not isinstance(item, str):
                raise ValueError(f"content: expected text, found {describe(item)}")
            if item == "unchanged":
                whole.append(file)
            elif ":" in item:
                explicit.append(pieces(item, self._block, self._source))
            elif item in self._files:
                whole.append(item)
            else:
                raise ValueError("content: " + unknown_name("content", item, ["unchanged", *self._files]))
        if not explicit and not whole:
            raise ValueError("content: expected at least one alternative, found none")
        return tuple(explicit), tuple(whole)

    def _size(self, said: Mapping[str, object], claim: Claim) -> Claim:
        value = said.get("size")
        if value is None:
            return claim
        if value in _CHANGED:
            return replace(claim, size_changed=decode(Claim, {"file": claim.file, "size_changed": value}).size_changed)
        try:
            return replace(claim, size=quantity(value, self._block))
        except ValueError as error:
            raise ValueError(f'size: expected "unchanged", "changed" or a quantity: {error}') from None

    def _extents(self, said: Mapping[str, object], claim: Claim) -> Claim:
        value = said.get("extents")
        if value is None:
            return claim
        if value in _CHANGED:
            return replace(claim, extents=decode(Claim, {"file": claim.file, "extents": value}).extents)
        if isinstance(value, str) and value.startswith("of "):
            file = value.removeprefix("of ").strip()
            if file not in self._files:
                raise ValueError("extents: " + unknown_name("file", file, self._files))
            return replace(claim, extents_of=file)
        try:
            found = parts(value, self._block, _LAYOUT, "data:4b hole:4b unwritten:8b")
        except ValueError as error:
            raise ValueError(f'extents: expected "unchanged", "changed", "of FILE" or a layout: {error}') from None
        layout = tuple(decode(Layout, {"kind": kind, "length": length}) for kind, length in found)
        return replace(claim, layout=layout)


def octal(value: object, before: str = "") -> int:
    """Permissions from octal text; raises ValueError."""
    if not isinstance(value, str) or not _MODE.fullmatch(value):
        raise ValueError(f'{before}expected permissions as octal text such as "0640", found {describe(value)}')
    return int(value, 8)


def _number(value: object) -> int:
    if isinstance(value, int) and value >= 0:
        return value
    raise ValueError(f"expected a number from 0 on, found {describe(value)}")
