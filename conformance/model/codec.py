"""Dataclasses to plain JSON values and back, strictly.

One decoder for everything that comes from outside: cases (TOML), trials (into guests) and
traces (out of guests). It refuses unknown keys, missing keys and wrong types, and says
where; it never converts one type into another. Text that stands for a quantity ("8b") is
resolved by the `parse` table that the caller gives, by type.
"""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Callable, Mapping
from functools import cache
from typing import Annotated, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from kernel.calls import CALLS, Call

T = TypeVar("T")

Plain = None | bool | int | float | str | list["Plain"] | dict[str, "Plain"]
"""What JSON can say."""

Parser = Callable[[object], object]
"""Makes a value from what a case says; raises ValueError with what was expected."""


class DecodeError(ValueError):
    """A value is not of its type. `path` leads to it from the outermost value."""

    def __init__(self, path: str, problem: str) -> None:
        self.path, self.problem = path, problem
        super().__init__(f"{path or 'value'}: {problem}")


def encode(value: object) -> Plain:
    """The plain form of a dataclass, or of a container of such."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        plain: dict[str, Plain] = {}
        if isinstance(value, Call):
            plain["do"] = value.do
        tag = getattr(type(value), "EVENT", None)
        if isinstance(tag, str):
            plain["event"] = tag
        for name, default in _defaults(type(value)):
            item = getattr(value, name)
            if item != default:
                plain[name] = encode(item)
        return plain
    if isinstance(value, (tuple, list)):
        return [encode(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): encode(item) for key, item in value.items()}
    raise TypeError(f"cannot encode {type(value).__name__}")


@cache
def _defaults(cls: type) -> tuple[tuple[str, object], ...]:
    """Each field with its default; a required field has a default that equals nothing."""
    found: list[tuple[str, object]] = []
    for item in dataclasses.fields(cls):
        if item.default is not dataclasses.MISSING:
            found.append((item.name, item.default))
        elif item.default_factory is not dataclasses.MISSING:
            found.append((item.name, item.default_factory()))
        else:
            found.append((item.name, _NOTHING))
    return tuple(found)


_NOTHING = object()


@cache
def hints(cls: type) -> dict[str, object]:
    """The resolved annotations of a dataclass's fields, with Annotated kept."""
    resolved = get_type_hints(cls, include_extras=True)
    return {item.name: resolved[item.name] for item in dataclasses.fields(cls)}


def decode(kind: type[T], plain: object, *, path: str = "", parse: Mapping[object, Parser] | None = None) -> T:
    """A value of type `kind`; raises DecodeError."""
    return typing.cast("T", _decode(kind, plain, path, parse or {}))


def _decode(kind: object, plain: object, path: str, parse: Mapping[object, Parser]) -> object:
    parser = parse.get(kind)
    if parser is not None and isinstance(plain, (str, int)) and not isinstance(plain, bool):
        try:
            return parser(plain)
        except ValueError as error:
            raise DecodeError(path, str(error)) from None
    if isinstance(kind, type):
        return _decode_class(kind, plain, path, parse)
    if isinstance(kind, typing.NewType):
        return _decode(kind.__supertype__, plain, path, parse)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _decode(arguments[0], plain, path, parse)
    if origin is Literal:
        if plain in arguments and type(plain) in {type(item) for item in arguments}:
            return plain
        raise DecodeError(path, _not_one_of(plain, [str(item) for item in arguments]))
    if origin is Union or origin is types.UnionType:
        if plain is None and type(None) in arguments:
            return None
        rest = [item for item in arguments if item is not type(None)]
        if len(rest) == 1:
            return _decode(rest[0], plain, path, parse)
        return _decode_union(rest, plain, path, parse)
    if origin is tuple:
        return _decode_tuple(arguments, plain, path, parse)
    if origin in (dict, Mapping) or (isinstance(origin, type) and issubclass(origin, Mapping)):
        if not isinstance(plain, dict):
            raise DecodeError(path, f"expected a table, found {describe(plain)}")
        return {str(key): _decode(arguments[1], item, _join(path, str(key)), parse) for key, item in plain.items()}
    raise TypeError(f"{path}: no way to decode {kind!r}")


def _decode_union(kinds: list[object], plain: object, path: str, parse: Mapping[object, Parser]) -> object:
    """The first type that fits; dataclasses are told apart by their keys, scalars by their type."""
    problems: list[str] = []
    for kind in kinds:
        try:
            return _decode(kind, plain, path, parse)
        except DecodeError as error:
            problems.append(error.problem)
    raise DecodeError(path, "; or ".join(problems))


def _decode_tuple(arguments: tuple[object, ...], plain: object, path: str, parse: Mapping[object, Parser]) -> object:
    if not isinstance(plain, (list, tuple)):
        raise DecodeError(path, f"expected a list, found {describe(plain)}")
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return tuple(_decode(arguments[0], item, f"{path}[{index}]", parse) for index, item in enumerate(plain))
    if len(plain) != len(arguments):
        raise DecodeError(path, f"expected {len(arguments)} values, found {len(plain)}")
    return tuple(
        _decode(kind, item, f"{path}[{index}]", parse)
        for index, (kind, item) in enumerate(zip(arguments, plain, strict=True))
    )


def _decode_class(kind: type, plain: object, path: str, parse: Mapping[object, Parser]) -> object:
    if kind in (str, int, float, bool):
        if type(plain) is kind or (kind is float and type(plain) is int):
            return plain
        raise DecodeError(path, f"expected {_WORDS[kind]}, found {describe(plain)}")
    if kind is type(None):
        if plain is None:
            return None
        raise DecodeError(path, f"expected nothing, found {describe(plain)}")
    if not dataclasses.is_dataclass(kind):
        raise TypeError(f"{path}: no way to decode {kind!r}")
    if not isinstance(plain, dict):
        raise DecodeError(path, f"expected a table, found {describe(plain)}")
    table = dict(plain)
    chosen = _chosen(kind, table, path)
    wanted = hints(chosen)
    for key in table:
        if key not in wanted:
            raise DecodeError(_join(path, str(key)), "unknown key. " + _not_one_of(key, list(wanted)))
    values: dict[str, object] = {}
    for name, default in _defaults(chosen):
        if name in table:
            values[name] = _decode(wanted[name], table[name], _join(path, name), parse)
        elif default is _NOTHING:
            raise DecodeError(path, f"the key {name!r} is missing")
    return chosen(**values)


def _chosen(kind: type, table: dict[object, object], path: str) -> type:
    """The class that a tagged table is of: a call by its word, an event by its name."""
    if kind is Call:
        word = table.pop("do", None)
        found = CALLS.get(word) if isinstance(word, str) else None
        if found is None:
            raise DecodeError(_join(path, "do"), "unknown call. " + _not_one_of(word, list(CALLS)))
        return found
    registry: dict[str, type] | None = getattr(kind, "EVENTS", None)
    if registry is not None:
        word = table.pop("event", None)
        event = registry.get(word) if isinstance(word, str) else None
        if event is None:
            raise DecodeError(_join(path, "event"), "unknown event. " + _not_one_of(word, list(registry)))
        return event
    return kind


_WORDS: dict[type, str] = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


def describe(plain: object) -> str:
    """A value as an error message names it."""
    text = repr(plain)
    return text if len(text) <= 60 else text[:57] + "…"


def _not_one_of(found: object, known: list[str]) -> str:
    near = difflib.get_close_matches(str(found), known, n=2, cutoff=0.6)
    hint = f" (did you mean {' or '.join(near)}?)" if near else ""
    return f"expected one of {', '.join(sorted(known))}; found {describe(found)}{hint}"


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key
