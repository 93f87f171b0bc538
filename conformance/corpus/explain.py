"""What `conformance explain` tells of a rule, a case or a word of the contract."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from conformance.corpus.cases import Case
from conformance.corpus.conditions import Scalar
from conformance.corpus.known import any_match
from conformance.corpus.load import Corpus
from conformance.corpus.reference import call_text
from conformance.corpus.rules import Rule
from conformance.corpus.targets import Target
from conformance.corpus.words import (
    ABILITIES,
    ACTOR_WORDS,
    CASE_WORDS,
    CLAIM_WORDS,
    CONDITION_SUBJECTS,
    FILE_WORDS,
    SEGMENT_WORDS,
    STEP_WORDS,
    TAGS,
    WITNESS_WORDS,
)
from conformance.errors import UsageError, unknown_name
from kernel.calls import CALLS

Kind = Literal["rule", "case", "call", "word", "file system"]

_WORDS: dict[str, Mapping[str, str]] = {
    "key of a case": CASE_WORDS,
    "key of a file": FILE_WORDS,
    "kind of a segment": SEGMENT_WORDS,
    "key of a step": STEP_WORDS,
    "key of an actor": ACTOR_WORDS,
    "key of a claim": CLAIM_WORDS,
    "key of a witness": WITNESS_WORDS,
    "subject of a condition": CONDITION_SUBJECTS,
    "tag": TAGS,
    "ability": ABILITIES,
}


@dataclass(frozen=True)
class Explanation:
    """What is known of one name."""

    kind: Kind
    name: str
    sentence: str
    """The rule's sentence, the case's title, what the call does."""
    facts: tuple[tuple[str, str], ...] = ()
    """Labels with texts, in the order in which they are to be shown."""
    cases: tuple[str, ...] = ()
    """Names of the cases that test it or use it."""
    markdown: str = ""
    """For a call: its fields."""


def explain(corpus: Corpus, name: str) -> tuple[Explanation, ...]:
    """All that is known of a name, which may be several things; raises UsageError.

    A case may be named by the end of its path, and a trial by its full name."""
    found: list[Explanation] = []
    if name.upper() in corpus.rules:
        found.append(_rule(corpus, corpus.rules[name.upper()]))
    case = name.removesuffix(".toml").partition("[")[0].partition("@")[0]
    found += [
        _case(corpus, item)
        for item in corpus.cases.values()
        if case in (item.name, item.where.removesuffix(".toml")) or item.name.endswith(f"/{case}")
    ]
    if name in corpus.targets:
        found.append(_target(corpus.targets[name]))
    if name in CALLS:
        found.append(_call(corpus, name))
    facts = tuple((label, words[name]) for label, words in _WORDS.items() if name in words)
    if facts:
        tagged = tuple(item.name for item in corpus.cases.values() if name in item.head.tags)
        found.append(Explanation("word", name, "A word of the case format.", facts, tagged))
    if not found:
        words = [word for listed in _WORDS.values() for word in listed]
        near = unknown_name("rule, case or word", name, [*corpus.rules, *corpus.cases, *corpus.targets, *CALLS, *words])
        raise UsageError(
            near.partition(" What exists")[0]
            + " Expected the id of a rule, the name of a case, a file system, or a word of cases/README.md."
        )
    return tuple(found)


def _rule(corpus: Corpus, rule: Rule) -> Explanation:
    cases = tuple(case.name for case in corpus.cases.values() if case.head.rule == rule.id)
    known = [entry for entry in corpus.known.entries if entry.rule == rule.id]
    facts = [
        ("level", rule.level),
        (
            "promised by",
            {"mainline": "mainline kernels", "proposed": "a proposal that no kernel has to keep"}[rule.promise],
        ),
        ("source", rule.source),
        ("when broken", rule.consequence),
        ("xfstests", ", ".join(rule.xfstests)),
        ("untested because", rule.untested),
        ("written in", corpus.places[rule.id].partition(":")[0]),
        *((f"known deviation {entry.id}", f"kernels {entry.range}: {entry.reason}") for entry in known),
    ]
    return Explanation("rule", rule.id, rule.sentence, _said(facts), cases)


def _case(corpus: Corpus, case: Case) -> Explanation:
    rule = corpus.rule_of(case)
    known = [
        entry.id
        for entry in corpus.known.entries
        if entry.rule == rule.id
        and any_match((pattern.partition("[")[0].partition("@")[0] for pattern in entry.trials), [case.name])
    ]
    facts = [
        ("rule", f"{rule.id} ({rule.level}): {rule.sentence}"),
        ("source", rule.source),
        ("why", case.head.why),
        ("tags", ", ".join(case.head.tags)),
        ("only for", ", ".join(case.head.targets)),
        (
            "matrix",
            "; ".join(
                f"{axis}: {', '.join(_value(*item) for item in values.items())}" for axis, values in case.matrix.items()
            ),
        ),
        ("steps", ", ".join(str(step["do"]) for step in case.steps)),
        ("known deviations", ", ".join(known)),
        ("written in", case.where),
    ]
    return Explanation("case", case.name, case.head.title, _said(facts))


def _value(name: str, value: Scalar) -> str:
    return name if name == str(value) else f"{name} ({value})"


def _target(target: Target) -> Explanation:
    facts = [(variant.name, f"{variant.title}: {' '.join(variant.system.mkfs)}") for variant in target.variants]
    return Explanation("file system", target.name, target.title, _said([*facts, ("written in", target.where)]))


def _call(corpus: Corpus, word: str) -> Explanation:
    cases = tuple(case.name for case in corpus.cases.values() if any(step.get("do") == word for step in case.steps))
    sentence = inspect.cleandoc(CALLS[word].__doc__ or "").partition("\n\n")[0].replace("\n", " ")
    return Explanation("call", word, sentence, (), cases, call_text(word))


def _said(facts: list[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple((label, text) for label, text in facts if text)
