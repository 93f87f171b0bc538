"""Lint: everything in a corpus that is wrong, and everything that is there for nothing.

Every trial of every case is built, for every target, what it cannot show yet included, and
on both sides of every kernel release that the corpus speaks of.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from conformance.corpus.cases import Case
from conformance.corpus.conditions import OTHERWISE, is_choice, parse_condition
from conformance.corpus.expand import plan
from conformance.corpus.known import any_match
from conformance.corpus.load import Corpus
from conformance.corpus.targets import Variant
from conformance.errors import CorpusErrors, unknown_name
from conformance.model.trial import RuleText, Trial
from kernel.calls import SwapLoad
from kernel.setup import FileSystem


@dataclass(frozen=True, order=True)
class Problem:
    """One thing to mend."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


OLDEST = "0.1"
"""A kernel before all that a corpus can speak of."""


def lint(corpus: Corpus) -> list[Problem]:
    """All that is wrong, sorted by place. An empty list means that the corpus can be used."""
    found = {Problem(error.where, error.problem) for error in corpus.errors}
    variants = [variant.with_awaited() for target in corpus.targets.values() for variant in target.variants]
    releases = _releases(corpus)
    names: dict[str, str] = {}
    """Trials that can run, and the rule of each."""
    for case in corpus.cases.values():
        found.update(_case(corpus, case, variants, releases, names))
    found.update(_titles(corpus))
    found.update(_rules(corpus))
    found.update(_known(corpus, names))
    return sorted(found)


# --- cases ------------------------------------------------------------------------------------


def _case(
    corpus: Corpus, case: Case, variants: list[Variant], releases: list[str | None], names: dict[str, str]
) -> Iterator[Problem]:
    yield from (Problem(f"{case.where}, key 'targets'", text) for text in _unknown_targets(case, variants))
    yield from (Problem(case.where, text) for text in _condition_targets(case, variants))
    built: dict[tuple[tuple[str, str], ...], list[tuple[str, Trial]]] = {}
    applicable: dict[str, set[str]] = {axis: set() for axis in case.matrix}
    taken: set[tuple[str, str]] = set()
    broken = False
    everywhere = _says_kernel(case)
    for variant in variants:
        for release in reversed(releases):
            for planned in plan(case, corpus.rule_of(case), variant, release)[0]:
                for axis, name in planned.setting.names.items():
                    applicable[axis].add(name)
                if planned.name in names and not everywhere:
                    continue
                names[planned.name] = case.head.rule
                try:
                    trial = planned.trial()
                except CorpusErrors as error:
                    broken = True
                    yield from _once(error)
                    continue
                taken |= planned.setting.taken
                combination = tuple(planned.setting.names.items())
                built.setdefault(combination, []).append((f"{variant.name} {release}", trial))
                yield from (Problem(case.where, text) for text in _vacuous(case, trial))
    for axis, values in applicable.items():
        for name in case.matrix[axis]:
            if name not in values and variants:
                yield Problem(f"{case.where}: axis {axis!r}", f"the value {name!r} is not applicable on any target")
    if broken:
        return
    if variants and not built and not case.matrix:
        yield Problem(case.where, "is not applicable on any target")
    yield from _useless_values(case, built)
    if built:
        yield from (Problem(place, f"the choice {key!r} is never made") for place, key in _choices(case) - taken)


def _once(error: CorpusErrors) -> Iterator[Problem]:
    """The errors of one trial without the trial's name, so that each is told once for the case."""
    for item in error.errors:
        problem, _, setting = item.problem.rpartition(" (in ")
        yield Problem(item.where, problem if setting.endswith(")") else item.problem)


def _says_kernel(case: Case) -> bool:
    """Whether kernels decide anything in it."""
    return any(atom.subject in ("kernel", "offers") for key in _conditions(case) for atom in parse_condition(key))


def _unknown_targets(case: Case, variants: list[Variant]) -> Iterator[str]:
    known = {name for item in variants for name in (item.name, item.target, item.system.kind)}
    for name in case.head.targets:
        if name not in known:
            yield unknown_name("file system", name, known)


def _condition_targets(case: Case, variants: list[Variant]) -> Iterator[str]:
    known = {
        "fs": {name for item in variants for name in (item.target, item.system.kind)},
        "target": {item.name for item in variants},
    }
    for key in _conditions(case):
        for atom in parse_condition(key):
            if atom.subject in known and atom.value not in known[atom.subject]:
                yield f"{key!r}: " + unknown_name(
                    "file system" if atom.subject == "fs" else "target", atom.value, known[atom.subject]
                )


def _parts(case: Case) -> Iterator[tuple[str, object]]:
    """Every value of a case that can hold a choice, with the place that messages give it."""
    for file, value in case.files.items():
        yield f"{case.where}: file {file!r}", value
    for number, step in enumerate(case.steps, 1):
        for key, value in step.items():
            yield f"{case.where}: step {number}, key {key!r}", value
    for actor in case.actors:
        steps = actor["steps"]
        for number, step in enumerate(steps if isinstance(steps, list) else [], 1):
            for key, value in step.items():
                yield f"{case.where}: actor {actor['name']!r}, step {number}, key {key!r}", value
    for file, value in case.after.items():
        yield f"{case.where}: [after], file {file!r}", value
    yield f"{case.where}: [witness]", case.witness
    yield f"{case.where}, key 'owners'", case.owners


def _choices(case: Case) -> set[tuple[str, str]]:
    """The places and keys of choices that these targets must decide.

    One about what a target offers is for targets of others, too, so that not every key needs to be taken here."""
    return {
        (place, key)
        for place, value in _parts(case)
        for choice in _tables(value)
        if not any(atom.subject == "offers" for key in choice if key != OTHERWISE for atom in parse_condition(key))
        for key in choice
    }


def _tables(value: object) -> Iterator[Mapping[str, object]]:
    """All choices in a value."""
    if isinstance(value, list):
        for item in value:
            yield from _tables(item)
    elif isinstance(value, dict):
        if is_choice(value):
            yield value
        for item in value.values():
            yield from _tables(item)


def _conditions(case: Case) -> set[str]:
    """All conditions of a case."""
    found = {key for _, value in _parts(case) for choice in _tables(value) for key in choice if key != OTHERWISE}
    found |= {str(step["when"]) for step in case.steps if "when" in step}
    return found | set(case.not_applicable)


def _useless_values(
    case: Case, built: Mapping[tuple[tuple[str, str], ...], list[tuple[str, Trial]]]
) -> Iterator[Problem]:
    """Values of an axis that make the same trials as another value of it."""
    bare = {key: {place: _bare(trial) for place, trial in trials} for key, trials in built.items()}
    for axis, values in case.matrix.items():
        listed = list(values)
        same: list[tuple[str, str]] = []
        for number, name in enumerate(listed):
            for other in listed[:number]:
                pairs = [
                    (trials[place], twin[place])
                    for key, trials in bare.items()
                    if (axis, name) in key
                    and (twin := bare.get(tuple((a, other if a == axis else v) for a, v in key))) is not None
                    for place in trials.keys() & twin.keys()
                ]
                if pairs and all(left == right for left, right in pairs):
                    same.append((other, name))
        where = f"{case.where}: axis {axis!r}"
        if same and len(same) == len(listed) * (len(listed) - 1) // 2:
            yield Problem(where, "has no use: all its values make the same trial")
        else:
            yield from (Problem(where, f"the values {one!r} and {two!r} make the same trial") for one, two in same)


_NO_SYSTEM = FileSystem("", 0, (), ())
_NO_RULE = RuleText("", "MUST", "", "")


def _bare(trial: Trial) -> Trial:
    """A trial without what tells it from another one that does the same."""
    return replace(trial, name="", salt="", system=_NO_SYSTEM, rule=_NO_RULE)


def _vacuous(case: Case, trial: Trial) -> Iterator[str]:
    """Situations that a trial is about, and does not prove that it met."""
    witness = trial.witness
    for actor in trial.actors:
        if actor.loop and actor.name not in witness.overlap:
            yield f"the actor {actor.name!r} races with the steps; declare [witness] overlap = {{ {actor.name} = 1 }}"
    for spec in trial.files:
        kinds = {segment.kind for segment in spec.segments}
        if "delalloc" in kinds and spec.name not in witness.delalloc:
            yield f'the file {spec.name!r} is to have delayed allocations; declare [witness] delalloc = ["{spec.name}"]'
        if "shared" in kinds and spec.name not in witness.shared:
            yield f'the file {spec.name!r} is to have shared extents; declare [witness] shared = ["{spec.name}"]'
        if spec.fragments and spec.name not in witness.fragments:
            proof = f"[witness] fragments = {{ {spec.name} = {spec.fragments} }}"
            yield f"the file {spec.name!r} is to be in pieces; declare {proof}"
    for step in trial.steps:
        if isinstance(step.call, SwapLoad):
            missing = [name for name in ("pages_out", "pages_in") if name not in step.at_least]
            if missing:
                yield f"step {step.number} is about swap I/O; say how many pages must have gone in at_least: {missing}"
    if {"quick", "slow"} <= set(case.head.tags):
        yield "the tags 'quick' and 'slow' contradict each other"
    if ("race" in case.head.tags and not case.actors) or (case.loops and "race" not in case.head.tags):
        yield "the tag 'race' belongs to cases with an actor, and to all with one that loops"
    if ("crash" in case.head.tags) != trial.crash:
        yield "the tag 'crash' belongs to cases that shut the file system down, and to no other"


# --- rules and deviations ---------------------------------------------------------------------


def _titles(corpus: Corpus) -> Iterator[Problem]:
    seen: dict[str, str] = {}
    for case in corpus.cases.values():
        title = case.head.title.casefold()
        if title in seen:
            yield Problem(f"{case.where}, key 'title'", f"the title is taken by {seen[title]}")
        seen.setdefault(title, case.where)


def _rules(corpus: Corpus) -> Iterator[Problem]:
    tested = {case.head.rule for case in corpus.cases.values()}
    for rule in corpus.rules.values():
        if rule.id not in tested and not rule.untested:
            yield Problem(corpus.places[rule.id], 'has no case; write one, or say why in untested = "…"')
        if rule.id in tested and rule.untested:
            yield Problem(corpus.places[rule.id], "is said to be untested, but has a case")


def _known(corpus: Corpus, names: Mapping[str, str]) -> Iterator[Problem]:
    for entry in corpus.known.entries:
        if entry.rule not in corpus.rules:
            near = unknown_name("rule", entry.rule, corpus.rules).partition(" What exists")[0]
            yield Problem(f"{entry.where}, key 'rule'", near)
        for key in ("trials", "control"):
            for pattern in getattr(entry, key):
                matched = [name for name in names if any_match([pattern], [name])]
                if not matched:
                    yield Problem(f"{entry.where}, key {key!r}", f"no trial has a name like {pattern!r}")
                for name in matched if key == "trials" else ():
                    if names[name] != entry.rule:
                        yield Problem(f"{entry.where}, key 'trials'", f"{name} tests {names[name]}, not {entry.rule}")
                for name in matched if key == "control" else ():
                    if any_match(entry.trials, [name]):
                        yield Problem(f"{entry.where}, key 'control'", f"{name} is one of its trials, not a control")


def _releases(corpus: Corpus) -> list[str | None]:
    """A kernel in every interval that the corpus can tell apart, the unknown (newest) one last."""
    bounds: set[tuple[int, ...]] = set()
    for target in corpus.targets.values():
        for variant in target.variants:
            bounds |= {bound for kernels in variant.offers.values() for _, bound in kernels.clauses}
    for case in corpus.cases.values():
        for key in _conditions(case):
            for atom in parse_condition(key):
                if atom.subject == "kernel":
                    bounds.add(tuple(int(part) for part in atom.value.split(".")))
    found: set[str] = {OLDEST}
    for major, minor, *patch in bounds:
        found.add(".".join(str(part) for part in (major, minor, *patch)))
        found.add(f"{major}.{minor}.{patch[0] + 1}" if patch else f"{major}.{minor + 1}")
    return [*sorted(found), None]
