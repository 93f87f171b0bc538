"""Which trial it is, and what a case says for just this one: conditions, choices, substitution.

    condition   ATOM, then any number of " and ATOM"
    ATOM        SUBJECT OPERATOR VALUE: an axis, fs, target, kernel, block or offers
                "via=move_ext"  "fs!=btrfs"  "target=ext4:1k"  "kernel>=6.12"  "block<4k"  "offers=clone"
    choice      a table whose keys are conditions, and "otherwise": it stands for the value of
                the first key, in the order written, whose condition holds
    "{axis}"    in a text: the value of that axis. A text that is nothing else becomes the value itself

Choices and substitution are possible wherever a value is, and nothing else is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache

from conformance.corpus.kernels import parse_range
from conformance.corpus.quantities import quantity
from conformance.corpus.targets import Variant
from conformance.corpus.words import ABILITIES, CONDITION_SUBJECTS
from conformance.errors import CorpusError, unknown_name

Scalar = str | int
_ATOM = re.compile(r"([a-z][a-z0-9_]*)\s*(!=|>=|<=|=|<|>)\s*(\S+)")
_PLACE = re.compile(r"\{([^{}]*)\}")
_ORDERED = ("kernel", "block")
OTHERWISE = "otherwise"


@dataclass(frozen=True)
class Atom:
    """One comparison."""

    subject: str
    operator: str
    value: str


@dataclass(frozen=True, eq=False)
class Setting:
    """What tells one trial of a case from the others."""

    variant: Variant
    release: str | None
    """uname -r of the kernel, or None when it is not known: newer than all."""
    names: Mapping[str, str]
    """The name of each axis's value, as it stands in the trial's name."""
    values: Mapping[str, Scalar]
    """The values themselves."""
    taken: set[tuple[str, str]] = field(default_factory=set)
    """Choices made: the place and the key that held. For `lint`, which looks for those never made."""

    def holds(self, atoms: tuple[Atom, ...]) -> bool:
        """Whether all of them are true here."""
        return all(self._true(atom) for atom in atoms)

    def _true(self, atom: Atom) -> bool:
        match atom.subject:
            case "kernel":
                return parse_range(atom.operator.replace("!=", "=") + atom.value).holds(self.release) != (
                    atom.operator == "!="
                )
            case "block":
                return _compare(self.variant.system.block, atom.operator, quantity(atom.value, 0))
            case "fs":
                found = atom.value in (self.variant.target, self.variant.system.kind)
            case "target":
                found = atom.value == self.variant.name
            case "offers":
                found = self.variant.offers_at(atom.value, self.release)
            case axis:
                found = self.names[axis] == atom.value
        return found == (atom.operator == "=")


def _compare(left: int, operator: str, right: int) -> bool:
    match operator:
        case "<":
            return left < right
        case ">":
            return left > right
        case "<=":
            return left <= right
        case ">=":
            return left >= right
        case "!=":
            return left != right
    return left == right


@cache
def parse_condition(text: str) -> tuple[Atom, ...]:
    """The comparisons of a condition; raises ValueError."""
    atoms: list[Atom] = []
    for part in text.split(" and "):
        found = _ATOM.fullmatch(part.strip())
        if found is None:
            raise ValueError(f'expected a condition such as "via=swapext and kernel>=6.12", found {text!r}')
        subject, operator, value = found.groups()
        if operator not in ("=", "!=") and subject not in _ORDERED:
            order = "kernel and block alone have an order"
            raise ValueError(f"expected = or != after {subject!r} ({order}), found {text!r}")
        if subject == "kernel":
            parse_range(operator.replace("!=", "=") + value)
        elif subject == "block":
            quantity(value, 0)
        elif subject == "offers" and value not in ABILITIES:
            raise ValueError(unknown_name("ability", value, ABILITIES))
        atoms.append(Atom(subject, operator, value))
    return tuple(atoms)


def check_condition(text: str, axes: Mapping[str, Mapping[str, Scalar]]) -> tuple[Atom, ...]:
    """The same, with the axes that the case has; raises ValueError for another axis or value."""
    atoms = parse_condition(text)
    for atom in atoms:
        if atom.subject in CONDITION_SUBJECTS:
            continue
        if atom.subject not in axes:
            raise ValueError(unknown_name("axis", atom.subject, [*axes, *CONDITION_SUBJECTS]))
        if atom.value not in axes[atom.subject]:
            raise ValueError(unknown_name(f"value of the axis {atom.subject!r}:", atom.value, axes[atom.subject]))
    return atoms


def is_condition(key: str) -> bool:
    """Whether a key of a table is meant as a condition."""
    return key == OTHERWISE or any(sign in key for sign in "=<>")


def is_choice(value: object) -> bool:
    """Whether a value is a table of conditions."""
    return isinstance(value, dict) and bool(value) and any(is_condition(key) for key in value)


def resolve(value: object, setting: Setting, where: str) -> object:
    """The value with its choices made and its axes substituted; raises CorpusError at `where`."""
    if isinstance(value, str):
        return _substitute(value, setting, where) if "{" in value else value
    if isinstance(value, list):
        return [resolve(item, setting, where) for item in value]
    if not isinstance(value, dict):
        return value
    if not is_choice(value):
        return {key: resolve(item, setting, where) for key, item in value.items()}
    for key, item in value.items():
        try:
            if key == OTHERWISE or setting.holds(parse_condition(key)):
                setting.taken.add((where, key))
                return resolve(item, setting, where)
        except (ValueError, KeyError) as error:
            raise CorpusError(where, str(error)) from None
    raise CorpusError(
        where,
        f"no condition of {', '.join(value)} holds for {describe_setting(setting)}; add the key {OTHERWISE!r}",
    )


def _substitute(text: str, setting: Setting, where: str) -> Scalar:
    whole = _PLACE.fullmatch(text)
    try:
        if whole is not None:
            return setting.values[whole[1]]
        return _PLACE.sub(lambda found: str(setting.values[found[1]]), text)
    except KeyError as error:
        raise CorpusError(where, unknown_name("axis", str(error.args[0]), setting.values)) from None


def describe_setting(setting: Setting) -> str:
    """The trial as a message names it: [via=swapext]@xfs:rmapbt0."""
    return suffix(setting.names, setting.variant)


def suffix(names: Mapping[str, str], variant: Variant) -> str:
    """What follows the path of the case in the name of a trial."""
    values = ",".join(f"{axis}={name}" for axis, name in names.items())
    return (f"[{values}]" if values else "") + f"@{variant.name}"


def problems(value: object, axes: Mapping[str, Mapping[str, Scalar]]) -> Iterator[str]:
    """What is wrong with the choices and placeholders anywhere in a value."""
    if isinstance(value, str):
        for found in _PLACE.finditer(value):
            if found[1] not in axes:
                yield unknown_name("axis", found[1], axes)
        if value.count("{") != value.count("}") or _PLACE.sub("", value).strip("{}") != _PLACE.sub("", value):
            yield f'expected "{{axis}}" around an axis and no other braces, found {value!r}'
    elif isinstance(value, list):
        for item in value:
            yield from problems(item, axes)
    elif isinstance(value, dict):
        if is_choice(value):
            yield from _choice_problems(value, axes)
        for item in value.values():
            yield from problems(item, axes)


def _choice_problems(choice: Mapping[str, object], axes: Mapping[str, Mapping[str, Scalar]]) -> Iterator[str]:
    for key in choice:
        if key == OTHERWISE:
            continue
        if not is_condition(key):
            others = ", ".join(filter(is_condition, choice))
            yield f"expected only conditions and {OTHERWISE!r} beside {others}, found {key!r}"
            continue
        try:
            check_condition(key, axes)
        except ValueError as error:
            yield str(error)
    if OTHERWISE in choice and list(choice)[-1] != OTHERWISE:
        yield f"expected {OTHERWISE!r} as the last key of a choice, because the first that holds is taken"
