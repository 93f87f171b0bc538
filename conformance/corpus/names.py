"""The names that the steps of a trial may use, as they come and go: files, descriptors, mappings, cookies, actors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from conformance.corpus.vocabulary import ENDS, MAKES, RESETS, call_fields
from conformance.corpus.words import NAME, RESERVED
from conformance.errors import unknown_name
from kernel.calls import Call
from kernel.units import ActorName, CookieName, FdName, FileName, MapName, NewName

_KINDS: dict[object, str] = {
    FileName: "file",
    FdName: "descriptor",
    MapName: "mapping",
    CookieName: "cookie",
    ActorName: "actor",
}


class Names:
    """What exists at one moment of a trial."""

    def __init__(self, files: Iterable[str], actors: Iterable[str]) -> None:
        self._files = frozenset(files)
        self._known: dict[object, set[str]] = {
            FileName: set(self._files),
            FdName: set(self._files),
            MapName: set(),
            CookieName: set(),
            ActorName: set(actors),
        }
        self._file_behind = {file: file for file in self._files}

    def copy(self) -> Names:
        """The same names, to go on from separately: what an actor inherits."""
        other = Names((), ())
        other._files = self._files
        other._known = {kind: set(names) for kind, names in self._known.items()}
        other._file_behind = dict(self._file_behind)
        return other

    def same_open(self, other: Names) -> bool:
        """Whether both have the same descriptors and mappings."""
        return all(self._known[kind] == other._known[kind] for kind in (FdName, MapName))

    def file_behind(self, name: str) -> str | None:
        """The file that a descriptor or mapping belongs to."""
        return self._file_behind.get(name)

    def use(self, call: Call) -> Iterator[tuple[str, str]]:
        """Takes note of a call; yields (field, problem) for each name that is not right."""
        for item in call_fields(call.do):
            name = getattr(call, item.name)
            if name is None or item.kind not in (*_KINDS, NewName):
                continue
            if item.kind is NewName:
                yield from self._make(call, item.name, name)
            elif name not in self._known[item.kind]:
                yield item.name, unknown_name(_KINDS[item.kind], name, self._known[item.kind])
            elif ENDS.get(call.do) is item.kind:
                self._known[item.kind].discard(name)
        if call.do in RESETS:
            self._known[FdName] = set(self._files)
            self._known[MapName].clear()

    def _make(self, call: Call, field: str, name: str) -> Iterator[tuple[str, str]]:
        kind = MAKES[call.do]
        if not NAME.fullmatch(name) or name in RESERVED:
            yield field, f"expected a name of small letters, digits and _, found {name!r}"
        elif name in self._known[kind]:
            yield field, f"there is a {_KINDS[kind]} {name!r} already; choose another name"
        else:
            self._known[kind].add(name)
            file = self._file_behind.get(getattr(call, "file", ""))
            if file is not None and kind is not CookieName:
                self._file_behind[name] = file
