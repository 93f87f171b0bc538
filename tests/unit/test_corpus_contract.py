"""The contract: README in step with the loader, vocabularies that cover the calls, what explain tells."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from corpus_kit import HEAD, STEPS, corpus
from test_corpus_known import ENTRY

from conformance.corpus import Corpus, load
from conformance.corpus import reference as reference_module
from conformance.corpus.explain import explain
from conformance.corpus.lint import lint
from conformance.corpus.reference import call_text, renew
from conformance.corpus.vocabulary import ENDS, MAKES, RESETS, all_needs, call_fields, numbers_of, words_of
from conformance.corpus.words import (
    ABILITIES,
    CONTRACT,
    ERRNO_ALIASES,
    ERRNOS,
    IMPLIED_BY_CALL,
    IMPLIED_BY_FLAG,
    IMPLIED_BY_SEGMENT,
    STEP_WORDS,
    TAGS,
)
from conformance.errors import CorpusError, UsageError
from kernel.calls import CALLS
from kernel.units import NewName

CASES = Path(__file__).parents[2] / "cases"
README = CASES / "README.md"


@pytest.fixture(scope="module")
def own() -> Corpus:
    return load([CASES]).require()


def test_the_readme_says_what_the_loader_does() -> None:
    text = README.read_text("utf-8")
    assert renew(text, "README") == text, "run: python -m conformance.corpus.reference cases/README.md"


def test_the_readme_names_its_version() -> None:
    text = README.read_text("utf-8")
    assert f"Version {CONTRACT} of the contract." in text
    assert re.search(rf"^\| {CONTRACT} \| ", text, re.MULTILINE)


def test_every_example_in_the_readme_is_toml() -> None:
    examples = re.findall(r"```toml\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    assert len(examples) >= 5
    for example in examples:
        tomllib.loads(example)


def test_the_first_example_is_a_case(tmp_path: Path) -> None:
    case = re.findall(r"```toml\n(.*?)```", README.read_text("utf-8"), re.DOTALL)[0]
    loaded = corpus(tmp_path, case.replace("COOKIE-2", "TEST-1"))
    assert loaded.require().cases["area/case"].head.title in case


@pytest.mark.parametrize("text", ["no markers", "<!-- begin nonsense -->\n<!-- end nonsense -->"])
def test_markers_that_are_missing_or_unknown(text: str) -> None:
    with pytest.raises(CorpusError, match="marker"):
        renew(text, "README")


def test_renewing_writes_the_file(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text(re.sub(r"\| `quick` \|.*\n", "", README.read_text("utf-8")), "utf-8")
    reference_module.main([str(path)])
    assert path.read_text("utf-8") == README.read_text("utf-8")


def test_every_call_is_described() -> None:
    for word in CALLS:
        text = call_text(word)
        for field in call_fields(word):
            assert field.meaning, f"{word}.{field.name} has no meaning"
            assert f"| `{field.name}` |" in text


def test_every_call_that_makes_something_says_what() -> None:
    makers = {word for word in CALLS if any(field.kind is NewName for field in call_fields(word))}
    assert makers == set(MAKES)
    assert set(ENDS) | set(RESETS) <= set(CALLS)


def test_no_field_of_a_call_is_called_like_a_word_of_a_step() -> None:
    for word in CALLS:
        assert not {field.name for field in call_fields(word)} & set(STEP_WORDS), word


def test_abilities_cover_what_calls_need() -> None:
    assert all_needs() <= set(ABILITIES)
    for implied in (IMPLIED_BY_CALL, IMPLIED_BY_FLAG, IMPLIED_BY_SEGMENT):
        assert set(implied.values()) <= set(ABILITIES)
    assert set(IMPLIED_BY_CALL) <= set(CALLS)


def test_results_and_numbers_are_read_from_what_calls_document() -> None:
    assert numbers_of("exchange") == {"moved"}
    assert numbers_of("swapon") == {"pages", "priority"}
    assert numbers_of("swap_load") == {"pages_out", "pages_in", "bad_pages"}
    assert words_of("dedupe") == {"DIFFERS"}
    assert words_of("tamper") == {"NOFIELD"}
    assert words_of("store") == words_of("load") == {"SIGBUS", "SIGSEGV"}
    assert words_of("write") == numbers_of("write") == frozenset()


def test_each_errno_has_one_name() -> None:
    assert {"EBUSY", "EOPNOTSUPP", "EAGAIN", "ETXTBSY"} <= ERRNOS
    assert not set(ERRNO_ALIASES) & ERRNOS
    assert set(ERRNO_ALIASES.values()) <= ERRNOS


# --- the project's own corpus -----------------------------------------------------------------


def test_the_corpus_has_no_problems(own: Corpus) -> None:
    assert [str(problem) for problem in lint(own)] == []


def test_the_targets_of_the_project(own: Corpus) -> None:
    variants = {name: [item.variant for item in target.variants] for name, target in own.targets.items()}
    assert variants["ext4"] == ["4k", "1k", "nojournal", "jdata"]
    assert variants["xfs"] == ["rmapbt0", "rmapbt1", "1k", "exchange"]
    assert variants["btrfs"] == ["default"]


def test_names_of_trials_are_unique(own: Corpus) -> None:
    planned, refused = own.plan(variant for target in own.targets.values() for variant in target.variants)
    names = [item.name for item in planned] + [item.name for item in refused]
    assert len(set(names)) == len(names)


def test_every_target_has_a_quick_set(own: Corpus) -> None:
    for target in own.targets.values():
        assert any(item.quick for item in own.plan(target.variants)[0]), target.name


# --- explain ----------------------------------------------------------------------------------


@pytest.fixture
def small(tmp_path: Path) -> Corpus:
    case = 'why = "Because."\ntags = ["quick"]\n' + HEAD + "[matrix]\nn = [1, 2]\n" + STEPS
    return corpus(tmp_path, case, known__fs=ENTRY.replace("area/other", "area/case"))


def test_explain_a_rule(small: Corpus) -> None:
    (found,) = explain(small, "test-1")
    assert (found.kind, found.name, found.sentence) == ("rule", "TEST-1", "Something must hold.")
    assert ("level", "MUST") in found.facts
    assert ("source", "this test") in found.facts
    assert ("known deviation half-done", "kernels >=6.1,<6.13: It stops half way.") in found.facts
    assert found.cases == ("area/case",)


@pytest.mark.parametrize("name", ["area/case", "case", "area/case.toml", "area/case[n=1]@fs:big"])
def test_explain_a_case(small: Corpus, name: str) -> None:
    (found,) = explain(small, name)
    assert (found.kind, found.name, found.sentence) == ("case", "area/case", "A case")
    facts = dict(found.facts)
    assert facts["rule"] == "TEST-1 (MUST): Something must hold."
    assert facts["why"] == "Because."
    assert facts["matrix"] == "n: 1, 2"
    assert facts["steps"] == "exchange"
    assert facts["known deviations"] == "half-done"


def test_explain_a_case_by_its_path(small: Corpus) -> None:
    where = small.cases["area/case"].where
    assert [item.name for item in explain(small, where)] == ["area/case"]


def test_explain_a_call(small: Corpus) -> None:
    (found,) = explain(small, "exchange")
    assert (found.kind, found.cases) == ("call", ("area/case",))
    assert found.sentence == "Moves or swaps extents between two files."
    assert "`donor_at`" in found.markdown


def test_explain_a_file_system(small: Corpus) -> None:
    (found,) = explain(small, "fs")[:1]
    assert found.kind == "file system"
    assert [label for label, _ in found.facts] == ["fs:big", "fs:small", "written in"]


def test_a_word_can_mean_several_things(small: Corpus) -> None:
    (found,) = explain(small, "shared")
    assert [label for label, _ in found.facts] == ["kind of a segment", "key of a witness"]
    clone, ability = explain(small, "clone")
    assert (clone.kind, ability.kind) == ("call", "word")
    (tag,) = explain(small, "quick")
    assert tag.facts == (("tag", TAGS["quick"]),)
    assert tag.cases == ("area/case",)


def test_explain_says_what_is_near(small: Corpus) -> None:
    with pytest.raises(UsageError, match=r"unknown rule, case or word 'TEST-2'\. Did you mean TEST-1\?"):
        explain(small, "TEST-2")
