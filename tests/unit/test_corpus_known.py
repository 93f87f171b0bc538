"""Known deviations: what they cover, which verdicts they explain, what is wrong with an entry."""

from __future__ import annotations

from pathlib import Path

import pytest
from corpus_kit import corpus, write

from conformance.corpus import KnownList, load
from conformance.corpus.known import matches
from conformance.model.verdict import Finding, Kind, Verdict

TRIAL = "area/case@fs:big"
ENTRY = """
[[known]]
id = "half-done"
rule = "TEST-1"
trials = ["area/case*@fs:*"]
kernel = ">=6.1,<6.13"
verdict = "fail"
findings = ["content:target", "outcome@1"]
shows = "always"
evidence = "20 of 20 runs"
control = ["area/other@fs:*"]
reason = "It stops half way."
since = "2026-01-31"
"""
SOMETIMES = ENTRY.replace('shows = "always"', 'shows = "sometimes"\nrate = 0.2')


def known(root: Path, text: str = ENTRY) -> KnownList:
    return corpus(root, known__fs=text).require().known


def finding(what: str, subject: str = "target", step: int = 1) -> Finding:
    return Finding(what, step, subject, "this", "that", "the case")


def verdict(*findings: Finding, kind: Kind = "fail") -> Verdict:
    return Verdict(TRIAL, kind, findings)


BOTH = (finding("content"), finding("outcome"))


def test_a_deviation_is_recognised(tmp_path: Path) -> None:
    found = known(tmp_path).match(TRIAL, "6.1.192", verdict(*BOTH))
    assert found is not None
    assert (found.id, found.rule, found.shows) == ("half-done", "TEST-1", "always")


@pytest.mark.parametrize(
    ("trial", "release", "said"),
    [
        ("area/case@xfs:big", "6.1.192", verdict(*BOTH)),
        ("area/other@fs:big", "6.1.192", verdict(*BOTH)),
        (TRIAL, "6.13.0", verdict(*BOTH)),
        (TRIAL, "5.15.0", verdict(*BOTH)),
        (TRIAL, "6.1.192", verdict(kind="crash")),
        (TRIAL, "6.1.192", verdict(*BOTH, finding("mtime"))),
        (TRIAL, "6.1.192", verdict(finding("content", "donor"), finding("outcome"))),
        (TRIAL, "6.1.192", verdict(finding("content"), finding("outcome", step=2))),
        (TRIAL, "6.1.192", verdict(finding("content"))),
        (TRIAL, "6.1.192", verdict(kind="pass")),
    ],
)
def test_anything_else_is_new(tmp_path: Path, trial: str, release: str, said: Verdict) -> None:
    assert known(tmp_path).match(trial, release, said) is None


def test_one_that_shows_sometimes_may_show_in_part(tmp_path: Path) -> None:
    listed = known(tmp_path, SOMETIMES)
    assert listed.match(TRIAL, "6.1.192", verdict(finding("content"))) is not None
    assert listed.match(TRIAL, "6.1.192", verdict(finding("content"), finding("size"))) is None


def test_only_one_that_shows_always_is_expected(tmp_path: Path) -> None:
    assert known(tmp_path / "a").expected(TRIAL, "6.12.1") is not None
    assert known(tmp_path / "a").expected(TRIAL, "6.13.1") is None
    assert known(tmp_path / "b", SOMETIMES).expected(TRIAL, "6.12.1") is None


def test_a_deviation_of_one_machine(tmp_path: Path) -> None:
    listed = known(tmp_path, ENTRY.replace("kernel = ", 'machine = "uml"\nkernel = '))
    assert listed.match(TRIAL, "6.1.192", verdict(*BOTH), "uml") is not None
    assert listed.match(TRIAL, "6.1.192", verdict(*BOTH), "qemu") is None
    assert listed.expected(TRIAL, "6.1.192", "qemu") is None


def test_a_crash_needs_no_findings(tmp_path: Path) -> None:
    text = ENTRY.replace('"fail"', '"crash"').replace('["content:target", "outcome@1"]', "[]")
    assert known(tmp_path, text).match(TRIAL, "6.1.192", verdict(kind="crash")) is not None


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("a[via=x]@fs:big", "a[via=x]@fs:big", True),
        ("a[via=x]@fs:big", "av@fs:big", False),
        ("a[*]@fs:*", "a[via=x,n=1]@fs:small", True),
        ("a*", "a/b/c@fs:big", True),
        ("*@fs:big", "a@fs:small", False),
        ("a?", "ab", False),
    ],
)
def test_patterns(pattern: str, name: str, expected: bool) -> None:
    assert matches(pattern, name) is expected


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('rule = "TEST-1"', "", "the key 'rule' is missing"),
        ("reason =", "reasons =", "unknown key"),
        ('"half-done"', "5", "key 'id': expected text, found 5"),
        ('">=6.1,<6.13"', '"new"', "key 'kernel': expected a range of kernels"),
        ('">=6.1,<6.13"', '""', "key 'kernel': expected the kernels that were seen to show it"),
        ('"fail"', '"vacuous"', "key 'verdict': expected one of crash, fail, hang; found 'vacuous'"),
        ('"always"', '"often"', "key 'shows': expected one of always, sometimes; found 'often'"),
        ('"always"', '"sometimes"', "key 'rate': expected the measured rate"),
        ('"always"', '"always"\nrate = 0.5', "key 'rate': expected the measured rate"),
        ('"always"', '"sometimes"\nrate = 1.0', "key 'rate': expected a share between 0 and 1, found 1.0"),
        ('"20 of 20 runs"', '" "', "key 'evidence': expected what was seen, found nothing"),
        ('["area/other@fs:*"]', "[]", "key 'control': expected at least one name of a trial, found none"),
        ('["area/case*@fs:*"]', "[]", "key 'trials': expected at least one name of a trial, found none"),
        ('["content:target", "outcome@1"]', "[]", "key 'findings': expected what fails, found none"),
        ('"outcome@1"', '"outcome@x"', "key 'findings': expected WHAT, WHAT:SUBJECT or WHAT:SUBJECT@STEP"),
        ('"2026-01-31"', '"yesterday"', "key 'since': expected a day such as 2026-01-31, found 'yesterday'"),
        ("[[known]]", "[[konwn]]", "unknown key 'konwn'. Did you mean known?"),
        ('since = "2026-01-31"', 'since = "2026-01-31"\nwhere = "here"', "unknown key 'where'"),
    ],
)
def test_what_is_wrong_with_an_entry_is_told(tmp_path: Path, old: str, new: str, problem: str) -> None:
    assert old in ENTRY
    loaded = load([write(tmp_path, known__fs=ENTRY.replace(old, new, 1))])
    assert any(problem in str(error) for error in loaded.errors), loaded.errors


def test_ids_are_used_once(tmp_path: Path) -> None:
    assert "the id 'half-done' is used twice" in str(load([write(tmp_path, known__fs=ENTRY + ENTRY)]).errors[0])
