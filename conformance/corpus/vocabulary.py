"""What the calls say of themselves: fields, abilities, results and numbers that they document.

Read from `kernel.calls`, so that a call is described in one place only.
"""

from __future__ import annotations

import itertools
import re
import typing
from dataclasses import MISSING, dataclass, fields
from functools import cache
from typing import Annotated, Literal, get_args, get_origin

from conformance.corpus.words import ERRNO_ALIASES, ERRNOS, IMPLIED_BY_CALL
from conformance.errors import unknown_name
from conformance.model.codec import hints
from kernel.calls import CALLS, Call
from kernel.units import ActorName, Bytes, CookieName, FdName, FileName, MapName, NewName, Span

MAKES: dict[str, object] = {
    "open": FdName,
    "open_by_handle": FdName,
    "open_other": FdName,
    "map": MapName,
    "snapshot": CookieName,
}
"""What kind of thing a call gives its NewName to."""
ENDS: dict[str, object] = {"close": FdName, "unmap": MapName}
"""Calls after which the thing they name is gone."""
RESETS = ("cycle", "remount", "unmount")
"""Calls after which every descriptor but the files' own, and every mapping, is gone."""

_ANSWERS = re.compile(r"\b[Aa]nswers? ([^.]*)")
_WORD = re.compile(r"\b([A-Z]{5,})\b")
_NUMBER = re.compile(r"`([a-z_]+)`")
_KINDS: dict[object, str] = {
    str: "text",
    int: "number",
    bool: "true/false",
    Bytes: "quantity",
    Span: "range",
    FileName: "file",
    FdName: "descriptor",
    MapName: "mapping",
    CookieName: "cookie",
    ActorName: "actor",
    NewName: "new name",
}


@dataclass(frozen=True)
class Field:
    """One field of a call."""

    name: str
    kind: object
    """Its type without Annotated and without "or None"."""
    values: tuple[str, ...]
    """Words that it is chosen from, or none."""
    many: bool
    """It is a list."""
    required: bool
    default: object
    meaning: str

    @property
    def kind_text(self) -> str:
        """Its kind as `cases/README.md` tells it."""
        if self.values:
            return ("list of " if self.many else "") + " \\| ".join(self.values)
        return _KINDS[self.kind]


@cache
def call_fields(do: str) -> tuple[Field, ...]:
    """The fields of a call, in order."""
    call: type = CALLS[do]
    found: list[Field] = []
    for item in fields(call):
        hint, meaning = hints(call)[item.name], ""
        if get_origin(hint) is Annotated:
            hint, meaning = get_args(hint)[0], str(get_args(hint)[1])
        kinds = [kind for kind in get_args(hint) if kind is not type(None)] if type(None) in get_args(hint) else [hint]
        kind: object = kinds[0]
        many = get_origin(kind) is tuple
        if many:
            kind = get_args(kind)[0]
        values = tuple(str(value) for value in get_args(kind)) if get_origin(kind) is Literal else ()
        found.append(Field(item.name, kind, values, many, item.default is MISSING, item.default, meaning))
    return tuple(found)


@cache
def words_of(do: str) -> frozenset[str]:
    """Results that the call documents beside OK and errno values: DIFFERS, NOFIELD, SIGBUS, …"""
    text = CALLS[do].__doc__ or ""
    documented = {word for part in _ANSWERS.findall(text) for word in _WORD.findall(part)}
    if {MapName, Span} <= {field.kind for field in call_fields(do)}:
        documented |= {"SIGBUS", "SIGSEGV"}
    return frozenset(documented - ERRNOS)


@cache
def numbers_of(do: str) -> frozenset[str]:
    """Numbers that the call documents that it answers: moved, pages, …"""
    text = (CALLS[do].__doc__ or "").replace("\n", " ")
    return frozenset(name for part in _ANSWERS.findall(text) for name in _NUMBER.findall(part))


def check_result(do: str, result: object) -> str:
    """A result that the call can have, or "any"; raises ValueError."""
    known = {"OK", "any"} | words_of(do)
    if isinstance(result, str):
        if result in known or result in ERRNOS:
            return result
        if result in ERRNO_ALIASES:
            raise ValueError(f"{result} is another name of {ERRNO_ALIASES[result]}; write that")
    near = unknown_name("result", str(result), [*known, *ERRNOS]).partition(" What exists")[0]
    raise ValueError(f"{near} What exists: {', '.join(sorted(known))}, and the names of errno values.")


@cache
def needs_of(do: str, chosen: tuple[tuple[str, str], ...]) -> frozenset[str]:
    """The abilities that a call needs, given those of its fields that are chosen from a list of words."""
    implied = {IMPLIED_BY_CALL[do]} if do in IMPLIED_BY_CALL else set()
    values = {field.name: field.default for field in call_fields(do)} | dict(chosen)
    return frozenset(CALLS[do](**typing.cast("dict[str, typing.Never]", values)).needs()) | implied


@cache
def may_need(do: str) -> bool:
    """Whether a call needs any ability at all."""
    return do in IMPLIED_BY_CALL or CALLS[do].needs is not Call.needs


@cache
def word_fields(do: str) -> tuple[str, ...]:
    """The fields of a call that `needs_of` looks at."""
    return tuple(field.name for field in call_fields(do) if field.values and not field.many)


def all_needs() -> frozenset[str]:
    """Every ability that a call can need."""
    found: set[str] = set()
    for do in CALLS:
        chosen = [item for item in call_fields(do) if item.name in word_fields(do)]
        for combination in itertools.product(*([(item.name, value) for value in item.values] for item in chosen)):
            found |= needs_of(do, combination)
    return frozenset(found)
