"""Loads corpora from their folders: everything that is right, and a list of all that is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from conformance.corpus.cases import Case, read_case
from conformance.corpus.expand import NotApplicable, Planned, plan
from conformance.corpus.files import label, toml_files
from conformance.corpus.known import Known, KnownList, read_known
from conformance.corpus.rules import Rule, read_rules
from conformance.corpus.targets import Target, Variant, read_target
from conformance.errors import CorpusError, CorpusErrors, unknown_name

FOLDERS = ("rules", "targets", "known")
"""Folders of a corpus that hold no cases."""


@dataclass(frozen=True, eq=False)
class Corpus:
    """What was read from one or more folders."""

    rules: Mapping[str, Rule]
    cases: Mapping[str, Case]
    targets: Mapping[str, Target]
    known: KnownList
    errors: tuple[CorpusError, ...]
    """What is wrong, in the order of the files. What it concerns is not among the above."""
    places: Mapping[str, str]
    """Where each rule is written, by its id."""

    def require(self) -> Corpus:
        """The corpus itself; raises CorpusErrors when anything in it is wrong."""
        if self.errors:
            raise CorpusErrors(self.errors)
        return self

    def rule_of(self, case: Case) -> Rule:
        """The rule that a case tests."""
        return self.rules[case.head.rule]

    def plan(
        self, variants: Iterable[Variant], release: str | None = None
    ) -> tuple[list[Planned], list[NotApplicable]]:
        """The trials of all cases on these variants, and what is not applicable there.

        `release` is the kernel's uname -r, or None when it is not known."""
        planned: list[Planned] = []
        refused: list[NotApplicable] = []
        for variant in variants:
            for case in self.cases.values():
                some, others = plan(case, self.rule_of(case), variant, release)
                planned += some
                refused += others
        return planned, refused


def load(roots: Sequence[Path], *, tests_only: bool = False) -> Corpus:
    """The corpora in `roots` as one: the project's own first, then those of `--cases`.

    A root may have rules/, targets/ and known/; every other TOML file below it is a case.
    What is wrong is listed in `errors`. `tests_only` allows calls that are for the suite's own tests."""
    errors: list[CorpusError] = []
    rules: dict[str, Rule] = {}
    places: dict[str, str] = {}
    targets: dict[str, Target] = {}
    known: list[Known] = []
    paths: list[tuple[Path, Path]] = []
    for root in roots:
        if not root.is_dir():
            errors.append(CorpusError(label(root), "expected a folder with cases, found none"))
            continue
        for path in toml_files(root, "rules"):
            for place, rule in read_rules(path, root, errors):
                if rule.id in rules:
                    errors.append(CorpusError(place, f"the id {rule.id} is taken by {places[rule.id]}"))
                else:
                    rules[rule.id], places[rule.id] = rule, place
        for path in toml_files(root, "targets"):
            _add_target(path, root, targets, errors)
        for path in toml_files(root, "known"):
            known += read_known(path, root, errors)
        paths += [(path, root) for path in toml_files(root) if path.relative_to(root).parts[0] not in FOLDERS]
    cases: dict[str, Case] = {}
    for path, root in paths:
        try:
            case = read_case(path, root, tests_only=tests_only)
        except CorpusErrors as error:
            errors += error.errors
            continue
        if case.name in cases:
            errors.append(CorpusError(case.where, f"the name {case.name} is taken by {cases[case.name].where}"))
        elif case.head.rule not in rules:
            errors.append(CorpusError(f"{case.where}, key 'rule'", _unknown_rule(case.head.rule, rules)))
        else:
            cases[case.name] = case
    for number, entry in enumerate(known):
        if any(other.id == entry.id for other in known[:number]):
            errors.append(CorpusError(entry.where, f"the id {entry.id!r} is used twice"))
    return Corpus(rules, cases, targets, KnownList(tuple(known)), tuple(errors), places)


def _add_target(path: Path, root: Path, targets: dict[str, Target], errors: list[CorpusError]) -> None:
    try:
        target = read_target(path, root)
        if target.name in targets:
            raise CorpusError(target.where, f"the name {target.name!r} is taken by {targets[target.name].where}")
        targets[target.name] = target
    except CorpusError as error:
        errors.append(error)


def _unknown_rule(rule: str, rules: Mapping[str, Rule]) -> str:
    """Only near misses: hundreds of rules exist."""
    return unknown_name("rule", rule, rules).partition(" What exists")[0] + " Rules are in rules/*.toml."
