"""Whatever a case says, the answer is a trial or an error that names a place: never another exception."""

from __future__ import annotations

import copy
import tomllib
from pathlib import Path

import pytest
from corpus_kit import TARGET, corpus
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_corpus_expand import FULL

from conformance.corpus import cases
from conformance.corpus.expand import Planned, plan
from conformance.corpus.lint import lint
from conformance.corpus.words import CASE_WORDS, STEP_WORDS
from conformance.errors import CorpusError, CorpusErrors

Path_ = list[str | int]
SEED = tomllib.loads(
    FULL.replace('"move_ext"', '"{via}"') + '[matrix]\nvia = ["move_ext", "clone"]\n'
    '[[actors]]\nname = "a"\n[[actors.steps]]\ndo = "sync"\n'
)
WORDS = ["all", "0+1b", "8b", "{via}", "{", "unchanged", "via=move_ext", "otherwise", "target", "zero:1b", "start", ""]
scalars = st.one_of(
    st.sampled_from([*WORDS, *CASE_WORDS, *STEP_WORDS]),
    st.text(max_size=5),
    st.integers(-5, 1 << 70),
    st.booleans(),
    st.floats(),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(WORDS) | st.text(), inner)),
    max_leaves=4,
)


def places(value: object, before: Path_) -> list[Path_]:
    """The way to every value inside a value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [before] + [way for key, item in items for way in places(item, [*before, key])]


WAYS = places(SEED, [])[1:]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(WAYS), values, st.sampled_from(["replace", "remove", "add"])), max_size=3))
def test_any_case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: list[tuple[Path_, object, str]]) -> None:
    table = copy.deepcopy(SEED)
    for way, value, change in changes:
        _change(table, way, value, change)
    with monkeypatch.context() as patched:
        patched.setattr(cases, "read_toml", lambda path, root: copy.deepcopy(table))  # noqa: ARG005
        loaded = corpus(tmp_path, targets__fs=TARGET.replace("[offers]", '[offers]\nxattrs = ""'))
    assert all(isinstance(error, CorpusError) and error.where for error in loaded.errors)
    for case in loaded.cases.values():
        for variant in loaded.targets["fs"].variants:
            for item in plan(case, loaded.rule_of(case), variant, None)[0]:
                found = _outcome(item)
                assert found == item.name or (
                    isinstance(found, CorpusErrors) and all(one.where for one in found.errors)
                )
    assert isinstance(lint(loaded), list)


def _outcome(item: Planned) -> str | CorpusErrors:
    """The name of the trial, or what is wrong with it."""
    try:
        return item.trial().name
    except CorpusErrors as error:
        return error


def _change(table: object, way: Path_, value: object, change: str) -> None:
    """Replaces or removes what is at a place, or adds something beside it; does nothing where it is gone already."""
    holder = table
    for key in way[:-1]:
        if not isinstance(holder, (dict, list)):
            return
        try:
            holder = holder[key]  # type: ignore[index]  # the way was made from such keys
        except (KeyError, IndexError, TypeError):
            return
    last = way[-1]
    if isinstance(holder, dict):
        if change == "remove":
            holder.pop(last, None)
        else:
            holder[f"{last}{'x' if change == 'add' else ''}"] = value
    elif isinstance(holder, list) and isinstance(last, int) and last < len(holder):
        if change == "remove":
            del holder[last]
        else:
            holder[last] = value
