"""Cases to trials: one for each target variant and combination of the matrix, or the reason why there is none.

Planning looks only at names, tags and needs, because every worker plans every trial; a
trial is built when it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from conformance.corpus.build import build
from conformance.corpus.cases import Case
from conformance.corpus.conditions import Setting, parse_condition, resolve, suffix
from conformance.corpus.files import Table
from conformance.corpus.rules import Rule
from conformance.corpus.targets import Variant
from conformance.corpus.vocabulary import may_need, needs_of, word_fields
from conformance.corpus.words import ABILITIES, IMPLIED_BY_FLAG, IMPLIED_BY_SEGMENT
from conformance.errors import CorpusError
from conformance.model.trial import Trial
from kernel.calls import CALLS


@dataclass(frozen=True, eq=False)
class Planned:
    """A trial that can run."""

    name: str
    """Unique and stable: "move/cookie/write_after_snapshot[via=swapext,bytes=same]@xfs:rmapbt0"."""
    case: Case
    rule: Rule
    setting: Setting

    @property
    def tags(self) -> tuple[str, ...]:
        """Those of the case."""
        return self.case.head.tags

    @property
    def quick(self) -> bool:
        """Whether it belongs to the quick set: cases tagged so, on the first variant of a target."""
        return "quick" in self.tags and self.setting.variant.first

    def trial(self) -> Trial:
        """The trial, complete; raises CorpusErrors with all that is wrong with it."""
        return build(self.case, self.rule, self.setting, self.name)


@dataclass(frozen=True)
class NotApplicable:
    """A trial, or with a name without values a whole case, that a target cannot run."""

    name: str
    reason: str
    rule: str
    """The id of the rule that stays untested there."""
    case: str
    target: str


def plan(case: Case, rule: Rule, variant: Variant, release: str | None) -> tuple[list[Planned], list[NotApplicable]]:
    """The trials of a case on a variant, and what is not applicable there.

    `release` is uname -r, or None when it is not known. Where no trial of a case is
    applicable, that is said once, for the case."""
    planned: list[Planned] = []
    refused: list[NotApplicable] = []
    general = _unfit(case, variant, release)
    if general:
        return [], [NotApplicable(f"{case.name}@{variant.name}", general, rule.id, case.name, variant.name)]
    for names in case.combinations:
        values = {axis: case.matrix[axis][name] for axis, name in names.items()}
        setting = Setting(variant, release, names, values)
        if any(setting.holds(parse_condition(text)) for text in case.head.exclude):
            continue
        name = case.name + suffix(names, variant)
        reason = _reason(case, setting)
        if reason:
            refused.append(NotApplicable(name, reason, rule.id, case.name, variant.name))
        else:
            planned.append(Planned(name, case, rule, setting))
    if refused and not planned:
        reasons = "; ".join(dict.fromkeys(item.reason for item in refused))
        refused = [NotApplicable(f"{case.name}@{variant.name}", reasons, rule.id, case.name, variant.name)]
    return planned, refused


def trials(case: Case, rule: Rule, variant: Variant, release: str | None) -> list[Trial | NotApplicable]:
    """All of them, built; raises CorpusErrors."""
    planned, refused = plan(case, rule, variant, release)
    return [*(item.trial() for item in planned), *refused]


def _unfit(case: Case, variant: Variant, release: str | None) -> str:
    """Why no trial of the case can run on a variant; empty when some may."""
    head = case.head
    if not variant.kernels.holds(release):
        return f"{variant.name} is for kernels {variant.kernels}, this is {release or 'a newer one'}"
    if head.targets and not {variant.name, variant.target, variant.system.kind} & set(head.targets):
        return f"the case is for {', '.join(head.targets)}"
    for ability in head.lacks:
        if variant.offers_at(ability, release):
            return f"the case is about what happens without {ability}, and {variant.name} offers it"
    return _missing(set(head.needs), case, variant, release)


def _missing(needs: set[str], case: Case, variant: Variant, release: str | None) -> str:
    missing = sorted(need for need in needs - set(case.head.lacks) if not variant.offers_at(need, release))
    return "; ".join(variant.why_not(need, release) for need in missing)


def _reason(case: Case, setting: Setting) -> str:
    for text, reason in case.not_applicable.items():
        if setting.holds(parse_condition(text)):
            return reason
    try:
        needs = set(_needs(case, setting))
    except CorpusError:
        return ""  # building the trial says what is wrong
    if not needs <= ABILITIES.keys():
        return ""  # a word that does not exist is no ability that could be missing
    return _missing(needs, case, setting.variant, setting.release)


def _needs(case: Case, setting: Setting) -> Iterator[str]:
    """The abilities that one trial needs."""
    for value in case.files.values():
        yield from _file_needs(resolve(value, setting, ""))
    if case.owners and resolve(case.owners, setting, ""):
        yield "owners"
    for step in case.steps:
        yield from _step_needs(step, setting)
    for actor in case.actors:
        steps = actor.get("steps")
        for step in steps if isinstance(steps, list) else ():
            yield from _step_needs(step, setting)


def _step_needs(step: Table, setting: Setting) -> Iterator[str]:
    do = step.get("do")
    if isinstance(do, str) and "{" in do:
        do = resolve(do, setting, "")
    if not isinstance(do, str) or do not in CALLS:
        return
    counted = "transactions" in step
    if not counted and not may_need(do):
        return
    if "when" in step and not setting.holds(parse_condition(str(step["when"]))):
        return
    chosen = [(field, resolve(step[field], setting, "")) for field in word_fields(do) if field in step]
    yield from needs_of(do, tuple((field, value) for field, value in chosen if isinstance(value, str)))
    if counted and resolve(step["transactions"], setting, "") != "any":
        yield "transactions"


def _file_needs(plain: object) -> Iterator[str]:
    layout, flags = plain, None
    if isinstance(plain, dict):
        layout, flags = plain.get("layout"), plain.get("flags")
        if plain.get("xattr"):
            yield "xattrs"
        if plain.get("beyond_eof"):
            yield "unwritten"
    for flag in flags if isinstance(flags, list) else ():
        if isinstance(flag, str) and flag in IMPLIED_BY_FLAG:
            yield IMPLIED_BY_FLAG[flag]
    for word in layout.split() if isinstance(layout, str) else ():
        kind = word.partition(":")[0]
        if kind in IMPLIED_BY_SEGMENT:
            yield IMPLIED_BY_SEGMENT[kind]
