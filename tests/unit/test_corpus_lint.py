"""Lint: what is wrong or useless in a corpus, each kind once."""

from __future__ import annotations

from pathlib import Path

import pytest
from corpus_kit import HEAD, RULE, STEPS, TARGET, corpus
from test_corpus_cases import ACTOR
from test_corpus_known import ENTRY

from conformance.corpus.lint import lint

CASE = HEAD + STEPS
OTHER = CASE.replace("A case", "Another case")


def found(root: Path, case: str = CASE, **files: str) -> list[str]:
    return [str(problem).removeprefix(f"{root}/") for problem in lint(corpus(root, case, **files))]


def test_a_good_corpus_has_no_problems(tmp_path: Path) -> None:
    assert found(tmp_path, area__other=OTHER, known__fs=ENTRY) == []


@pytest.mark.parametrize(
    ("case", "files", "expected"),
    [
        (CASE, {"area__other": CASE}, "area/other.toml, key 'title': the title is taken by"),
        (CASE, {"area__other": CASE.replace("A case", "a CASE")}, "key 'title': the title is taken by"),
        (CASE, {"rules__test": RULE + RULE.replace("TEST-1", "TEST-2")}, "rule TEST-2: has no case; write one"),
        (CASE, {"rules__test": RULE + "untested = 'no way'"}, "rule TEST-1: is said to be untested, but has a case"),
        ('targets = ["xsf"]\n' + CASE, {}, "key 'targets': unknown file system 'xsf'"),
        ('targets = ["fs:huge"]\n' + CASE, {}, "key 'targets': unknown file system 'fs:huge'"),
        ('needs = ["handle"]\n' + CASE, {}, "area/case.toml: is not applicable on any target"),
        (HEAD + "[matrix]\nvia = ['move_ext', 'swapext']\n" + STEPS.replace('"move_ext"', '"{via}"'), {},
         "axis 'via': the value 'swapext' is not applicable on any target"),
        (CASE + "[matrix]\nn = [1, 2]\n", {}, "axis 'n': has no use: all its values make the same trial"),
        (CASE + "expect = { 'n=1' = 'EBUSY', otherwise = 'OK' }\n[matrix]\nn = [1, 2, 3]\n", {},
         "axis 'n': the values '2' and '3' make the same trial"),
        (CASE + "expect = { 'fs=xsf' = 'EBUSY', otherwise = 'OK' }\n", {}, "'fs=xsf': unknown file system 'xsf'"),
        (CASE + "expect = { 'target=fs:x' = 'EBUSY', otherwise = 'OK' }\n", {}, "'target=fs:x': unknown target 'fs:x'"),
        (CASE + "expect = { 'block=2k' = 'EBUSY', otherwise = 'OK' }\n", {},
         "step 1, key 'expect': the choice 'block=2k' is never made"),
        (CASE + "expect = { 'fs=fs' = 'EBUSY', otherwise = 'OK' }\n", {},
         "step 1, key 'expect': the choice 'otherwise' is never made"),
        (CASE + "expect = { 'kernel>=6.5' = 'EBUSY', 'kernel>=6.1' = 'OK' }\n", {},
         "no condition of kernel>=6.5, kernel>=6.1 holds for @fs:big; add the key 'otherwise'"),
        (CASE + ACTOR, {}, "the actor 'writer' races with the steps; declare [witness] overlap = { writer = 1 }"),
        (CASE + ACTOR + "[witness]\noverlap = { writer = 1 }\n", {}, "the tag 'race' belongs to cases with an actor"),
        ('tags = ["race"]\n' + CASE, {}, "the tag 'race' belongs to cases with an actor"),
        ('tags = ["crash"]\n' + CASE, {}, "the tag 'crash' belongs to cases that shut the file system down"),
        ('tags = ["quick", "slow"]\n' + CASE, {}, "the tags 'quick' and 'slow' contradict each other"),
        (CASE.replace('donor = "data:16b"', 'donor = "shared:16b"'), {}, 'declare [witness] shared = ["donor"]'),
        (CASE.replace('donor = "data:16b"', 'donor = "delalloc:16b"'),
         {"targets__fs": TARGET.replace("[offers]", '[offers]\ndelalloc = ""')}, 'delalloc = ["donor"]'),
        (CASE.replace('donor = "data:16b"', 'donor = { layout = "data:16b", fragments = 4 }'), {},
         "declare [witness] fragments = { donor = 4 }"),
        (CASE + '[[steps]]\ndo = "swap_load"\nmemory = "8m"\nlimit = "4m"\nat_least = { pages_out = 1 }\n', {},
         "step 2 is about swap I/O; say how many pages must have gone in at_least: ['pages_in']"),
        (CASE, {"known__fs": ENTRY}, "key 'control': no trial has a name like 'area/other@fs:*'"),
        (CASE, {"area__other": OTHER, "known__fs": ENTRY.replace("area/case*", "area/x*")},
         "key 'trials': no trial has a name like 'area/x*@fs:*'"),
        (CASE, {"area__other": OTHER, "known__fs": ENTRY.replace("TEST-1", "TEST-9")},
         "key 'rule': unknown rule 'TEST-9'. Did you mean TEST-1?"),
        (CASE, {"area__other": OTHER, "known__fs": ENTRY.replace("area/other@fs:*", "area/*")},
         "key 'control': area/case@fs:big is one of its trials, not a control"),
        (CASE, {"area__other": OTHER.replace("TEST-1", "TEST-2"), "known__fs": ENTRY.replace("area/case*", "area/*"),
                "rules__test": RULE + RULE.replace("TEST-1", "TEST-2")},
         "key 'trials': area/other@fs:big tests TEST-2, not TEST-1"),
        (CASE + '[[steps]]\ndo = "fsync"\nfile = "x"\n', {}, "step 2, key 'file': unknown descriptor 'x'"),
        ("rule =", {}, "area/case.toml: not TOML"),
    ],
)  # fmt: skip
def test_problem(tmp_path: Path, case: str, files: dict[str, str], expected: str) -> None:
    problems = found(tmp_path, case, **files)
    assert any(expected in problem for problem in problems), "\n".join(problems) or "no problem was found"


def test_what_is_awaited_counts_as_offered(tmp_path: Path) -> None:
    case = HEAD + "[matrix]\nvia = ['move_ext', 'swapext']\n" + STEPS.replace('"move_ext"', '"{via}"')
    target = TARGET.replace("[offers]", '[awaited]\nswapext = "no tool yet"\n[offers]')
    assert found(tmp_path, case, targets__fs=target) == []
    wrong = case + "expect = { 'via=swapext' = 'EBUZY', otherwise = 'OK' }\n"
    assert any("unknown result 'EBUZY'" in problem for problem in found(tmp_path, wrong, targets__fs=target))


def test_a_choice_about_what_is_offered_is_for_targets_of_others_too(tmp_path: Path) -> None:
    case = CASE + "expect = { 'offers=move_ext' = 'OK', otherwise = 'EOPNOTSUPP' }\n"
    assert found(tmp_path, case) == []


def test_an_error_is_told_once_for_all_trials(tmp_path: Path) -> None:
    case = CASE.replace("data:16b", "data:{n}b", 1) + '[[steps]]\ndo="fsync"\nfile="x"\n[matrix]\nn = [1, 2, 3]\n'
    assert found(tmp_path, case) == [
        "area/case.toml: step 2, key 'file': unknown descriptor 'x'. What exists: donor, target."
    ]


def test_both_sides_of_a_release_are_built(tmp_path: Path) -> None:
    case = CASE + "[after.target]\nsize = { 'kernel>=6.5' = '16b', otherwise = '16x' }\n"
    assert any("size: expected" in problem for problem in found(tmp_path, case))
    case = CASE + "[after.target]\nsize = { 'kernel>=6.5' = '16x', otherwise = '16b' }\n"
    assert any("size: expected" in problem for problem in found(tmp_path, case))


def test_a_value_that_only_an_older_kernel_can_run_is_used(tmp_path: Path) -> None:
    case = HEAD + "[matrix]\nvia = ['move_ext', 'swapext']\n" + STEPS.replace('"move_ext"', '"{via}"')
    target = TARGET.replace("[offers]", '[offers]\nswapext = "<6.5"')
    assert found(tmp_path, case, targets__fs=target) == []
