"""Cases as they are written: checked for everything that does not depend on a target or an axis's value.

What is left (quantities, names that steps make, limits) is checked when a trial is built.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from conformance.corpus.conditions import Scalar, check_condition, problems
from conformance.corpus.files import Table, entries, known_keys, label, read_toml, typed
from conformance.corpus.vocabulary import call_fields
from conformance.corpus.words import (
    ABILITIES,
    ACTOR_STEP_WORDS,
    ACTOR_WORDS,
    CASE_WORDS,
    CONDITION_SUBJECTS,
    CONTRACT,
    FILE_WORDS,
    MAX_SECONDS,
    MAX_STEPS,
    MAX_TRIALS,
    NAME,
    RESERVED,
    STEP_WORDS,
    TAGS,
)
from conformance.errors import CorpusError, CorpusErrors, unknown_name
from conformance.model.codec import describe
from kernel.calls import CALLS

_VALUE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:+-]*")
_FOLDER = re.compile(r"[a-z0-9][a-z0-9_]*")
_SCALARS = (str, int)


@dataclass(frozen=True)
class Head:
    """The keys of a case that say what it is."""

    rule: str
    title: str
    format: int = CONTRACT
    why: str = ""
    tags: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    seconds: float = 30.0


@dataclass(frozen=True, eq=False)
class Case:
    """One case, its choices not yet made."""

    name: str
    """Its path below the corpus, without .toml."""
    where: str
    """Its file, as messages name it."""
    head: Head
    matrix: Mapping[str, Mapping[str, Scalar]]
    """Axes: the value by its name, in the order written."""
    not_applicable: Mapping[str, str]
    """Reasons by condition."""
    files: Table
    steps: tuple[Table, ...]
    actors: tuple[Table, ...]
    after: Table
    witness: Table
    owners: object

    @property
    def loops(self) -> bool:
        """Whether an actor of it runs freely."""
        return any(actor.get("loop") is True for actor in self.actors)

    @cached_property
    def combinations(self) -> tuple[dict[str, str], ...]:
        """One name of a value for each axis, for each combination of the matrix."""
        axes = list(self.matrix)
        return tuple(dict(zip(axes, names, strict=True)) for names in itertools.product(*self.matrix.values()))


def read_case(path: Path, root: Path, *, tests_only: bool = False) -> Case:
    """The case of one file; raises CorpusErrors with all that is wrong.

    `tests_only` allows the calls that are there for the suite's own tests."""
    where = label(path)
    name = path.relative_to(root).with_suffix("").as_posix()
    bad = [part for part in name.split("/") if not _FOLDER.fullmatch(part)]
    if bad:
        raise CorpusErrors([CorpusError(where, f"expected a path of small letters, digits and _, found {bad[0]!r}")])
    try:
        table = read_toml(path, root)
    except CorpusError as error:
        raise CorpusErrors([error]) from None
    errors = known_keys(table, CASE_WORDS, where)
    errors += [
        CorpusError(f"{where}, key {key!r}", f"expected a table [{key}], found {describe(table[key])}")
        for key in ("matrix", "files", "after", "witness", "not_applicable")
        if not isinstance(table.get(key, {}), dict)
    ]
    if errors:
        raise CorpusErrors(errors)
    head = _head(table, where, errors)
    axes = _matrix(_table(table, "matrix"), where, errors)
    reasons = _conditions(table, axes, where, errors)
    files = _table(table, "files")
    for file, value in files.items():
        errors += _name_errors(file, f"{where}: file {file!r}")
        if isinstance(value, dict) and "layout" in value:
            errors += known_keys(value, FILE_WORDS, f"{where}: file {file!r}")
    steps = _listed(table, "steps", where, errors)
    if not steps and not errors:
        errors.append(CorpusError(where, "expected at least one step under [[steps]]"))
    for number, step in enumerate(steps, 1):
        errors += _step_errors(step, f"{where}: step {number}", STEP_WORDS, axes, tests_only, actor=False)
    actors = _listed(table, "actors", where, errors)
    errors += _actor_errors(actors, files, where, axes, tests_only)
    for key in ("files", "after", "witness", "owners"):
        errors += [CorpusError(f"{where}, key {key!r}", problem) for problem in problems(table.get(key), axes)]
    count = len(steps) + sum(len(_steps_of(actor)) for actor in actors)
    if count > MAX_STEPS:
        errors.append(CorpusError(where, f"expected at most {MAX_STEPS} steps, found {count}"))
    if errors or head is None:
        raise CorpusErrors(errors)
    return Case(
        name, where, head, axes, reasons, files, tuple(steps), tuple(actors),
        _table(table, "after"), _table(table, "witness"), table.get("owners", []),
    )  # fmt: skip


def _table(table: Table, key: str) -> Table:
    found = table.get(key, {})
    assert isinstance(found, dict)
    return found


def _listed(table: Table, key: str, where: str, errors: list[CorpusError]) -> list[Table]:
    try:
        return entries(table, key, where)
    except CorpusError as error:
        errors.append(error)
        return []


def _head(table: Table, where: str, errors: list[CorpusError]) -> Head | None:
    try:
        head = typed(Head, {key: item for key, item in table.items() if key in Head.__dataclass_fields__}, where)
    except CorpusError as error:
        errors.append(error)
        return None
    found: list[tuple[str, str]] = []
    if head.format != CONTRACT:
        found.append(("format", f"expected {CONTRACT}, the contract that this version reads, found {head.format}"))
    if not head.title.strip():
        found.append(("title", "expected a sentence, found nothing"))
    if not 0 < head.seconds <= MAX_SECONDS:
        found.append(("seconds", f"expected more than 0 and at most {MAX_SECONDS}, found {head.seconds}"))
    for key, kind, words in (("tags", "tag", TAGS), ("needs", "ability", ABILITIES), ("lacks", "ability", ABILITIES)):
        listed: tuple[str, ...] = getattr(head, key)
        found += [(key, unknown_name(kind, word, words)) for word in listed if word not in words]
        found += [(key, f"{word!r} is listed twice") for word in dict.fromkeys(listed) if listed.count(word) > 1]
    errors += [CorpusError(f"{where}, key {key!r}", problem) for key, problem in found]
    return head


def _matrix(matrix: Table, where: str, errors: list[CorpusError]) -> dict[str, dict[str, Scalar]]:
    axes: dict[str, dict[str, Scalar]] = {}
    trials = 1
    for axis, listed in matrix.items():
        place = f"{where}: axis {axis!r}"
        if not NAME.fullmatch(axis) or axis in RESERVED or axis in CONDITION_SUBJECTS:
            errors.append(CorpusError(place, "expected a name of small letters, digits and _ that means nothing else"))
            continue
        try:
            axes[axis] = _axis(listed)
        except ValueError as error:
            errors.append(CorpusError(place, str(error)))
            continue
        trials *= len(axes[axis])
    if trials > MAX_TRIALS:
        errors.append(CorpusError(f"{where}, key 'matrix'", f"expected at most {MAX_TRIALS} trials, found {trials}"))
        return {}
    return axes


def _axis(listed: object) -> dict[str, Scalar]:
    """The values of an axis by their names. A list names each value by itself, a table gives names."""
    if isinstance(listed, list):
        pairs = [(str(item), item) for item in listed]
        if len(dict(pairs)) < len(pairs):
            raise ValueError(f"expected values that differ, found {listed}")
    elif isinstance(listed, dict):
        pairs = list(listed.items())
    else:
        raise ValueError(f"expected a list of values, or a table of name = value, found {describe(listed)}")
    if not pairs:
        raise ValueError("expected at least one value, found none")
    for name, item in pairs:
        if not isinstance(item, _SCALARS) or isinstance(item, bool):
            raise ValueError(f"expected texts or whole numbers, found {describe(item)}")
        if not _VALUE.fullmatch(name):
            raise ValueError(
                f"expected a value of letters, digits and _.:+- that can stand in the name of a trial, found {name!r}; "
                'give other values a name: axis = {name = "value"}'
            )
    return dict(pairs)


def _conditions(
    table: Table, axes: Mapping[str, Mapping[str, Scalar]], where: str, errors: list[CorpusError]
) -> dict[str, str]:
    reasons: dict[str, str] = {}
    for key, reason in _table(table, "not_applicable").items():
        if not isinstance(reason, str) or not reason.strip():
            errors.append(CorpusError(f"{where}, key 'not_applicable'", f"expected a reason for {key!r}"))
        else:
            reasons[key] = reason
    excluded = table.get("exclude", [])
    listed = excluded if isinstance(excluded, list) else []
    for key, text in [("not_applicable", key) for key in reasons] + [("exclude", text) for text in listed]:
        try:
            atoms = check_condition(str(text), axes)
            if key == "exclude" and any(atom.subject in CONDITION_SUBJECTS for atom in atoms):
                raise ValueError(f"expected only axes (anything else belongs into [not_applicable]), found {text!r}")
        except ValueError as error:
            errors.append(CorpusError(f"{where}, key {key!r}", str(error)))
    return reasons


def _name_errors(name: str, place: str) -> Iterator[CorpusError]:
    if not NAME.fullmatch(name):
        yield CorpusError(place, "expected a name of small letters, digits and _ (a name, not a path)")
    elif name in RESERVED or re.fullmatch(r"step\d+", name):
        yield CorpusError(place, f"{name!r} means something else; choose another name")


def _steps_of(actor: Table) -> list[Table]:
    found = actor.get("steps", [])
    return found if isinstance(found, list) and all(isinstance(item, dict) for item in found) else []


def _actor_errors(
    actors: list[Table], files: Table, where: str, axes: Mapping[str, Mapping[str, Scalar]], tests_only: bool
) -> Iterator[CorpusError]:
    seen: set[str] = set()
    for number, actor in enumerate(actors, 1):
        name = actor.get("name")
        place = f"{where}: actor {name if isinstance(name, str) else number!r}"
        yield from known_keys(actor, ACTOR_WORDS, place)
        if not isinstance(name, str):
            yield CorpusError(f"{place}, key 'name'", f"expected a name, found {describe(name)}")
        else:
            yield from _name_errors(name, place)
            if name in seen or name in files:
                yield CorpusError(place, f"the name {name!r} is taken already")
            seen.add(name)
        if not isinstance(actor.get("loop", False), bool):
            yield CorpusError(f"{place}, key 'loop'", f"expected true or false, found {describe(actor['loop'])}")
        steps = _steps_of(actor)
        if not steps:
            yield CorpusError(f"{place}, key 'steps'", "expected at least one step under [[actors.steps]]")
        for step_number, step in enumerate(steps, 1):
            yield from _step_errors(
                step, f"{place}, step {step_number}", ACTOR_STEP_WORDS, axes, tests_only, actor=True
            )


def _step_errors(
    step: Table,
    place: str,
    words: Collection[str],
    axes: Mapping[str, Mapping[str, Scalar]],
    tests_only: bool,
    *,
    actor: bool,
) -> Iterator[CorpusError]:
    """What is wrong with a step whatever the target and the axes' values are."""
    for key, value in step.items():
        for problem in problems(value, axes):
            yield CorpusError(f"{place}, key {key!r}", problem)
    when = step.get("when")
    if when is not None:
        try:
            if not isinstance(when, str):
                raise ValueError(f'expected a condition such as "via=swapext", found {describe(when)}')
            check_condition(when, axes)
        except ValueError as error:
            yield CorpusError(f"{place}, key 'when'", str(error))
    word = step.get("do")
    if word is None:
        yield CorpusError(place, "the key 'do' is missing: which call is made")
    elif isinstance(word, str) and "{" not in word:
        yield from call_errors(word, set(step) - set(words), place, tests_only, actor=actor)
        if actor:
            for key in sorted(set(step) & set(STEP_WORDS) - set(words)):
                yield CorpusError(f"{place}, key {key!r}", "a step of an actor cannot have it")


def call_errors(word: str, keys: set[str], place: str, tests_only: bool, *, actor: bool) -> Iterator[CorpusError]:
    """What is wrong with a call and the keys that are to be its fields."""
    call = CALLS.get(word)
    if call is None:
        yield CorpusError(f"{place}, key 'do'", unknown_name("call", word, CALLS))
        return
    if call.tests_only and not tests_only:
        yield CorpusError(f"{place}, key 'do'", f"the call {word!r} is for the suite's own tests only")
    if actor and not call.actor_may:
        yield CorpusError(f"{place}, key 'do'", f"an actor cannot make the call {word!r}")
    if not actor and not call.main_may:
        yield CorpusError(f"{place}, key 'do'", f"only an actor can make the call {word!r}")
    fields = {field.name for field in call_fields(word)}
    for key in sorted(keys - fields - (set(STEP_WORDS) if actor else set())):
        yield CorpusError(place, unknown_name(f"key of {word!r}:", key, [*fields, *STEP_WORDS]))
