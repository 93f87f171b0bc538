"""What a verdict means for a run: known deviations, those that vanished, proposed rules, the profile."""

from __future__ import annotations

from dataclasses import replace

import pytest

from conformance.corpus import Known, KnownList
from conformance.model.trial import RuleText, Trial
from conformance.model.verdict import Finding, Kind, Verdict
from conformance.runner.settings import Profile
from conformance.runner.weigh import Weighed, weigh
from kernel.setup import FileSystem

SYSTEM = FileSystem("xfs", 4096, ("mkfs", "{device}"), ("fsck", "{device}"))
RULE = RuleText("MUST-1", "MUST", "Something must hold.", "a mail")
TRIAL = Trial("move/one@xfs:default", "move/one", "One", RULE, "xfs:default", SYSTEM, (), ())
WRITTEN = Finding("outcome", 3, "exchange", "EBUSY", "OK", "the case")
STANDING = Finding("checker", 0, "xfs_repair", "status 0", "status 1", "the unmounted file system is consistent")
ALWAYS = Known(
    id="one-is-accepted", rule="MUST-1", trials=("move/one@xfs:*",), kernel="6.1", verdict="fail", shows="always",
    evidence="seen", control=("move/two@*",), reason="it is not compared", since="2026-01-31", findings=("outcome@3",),
    where="known/one.toml",
)  # fmt: skip
SOMETIMES = replace(ALWAYS, shows="sometimes", rate=0.25)


def weighed(
    kind: Kind, *findings: Finding, known: tuple[Known, ...] = (), profile: Profile = "stock", rule: RuleText = RULE
) -> Weighed:
    trial = replace(TRIAL, rule=rule)
    return weigh(trial, Verdict(trial.name, kind, findings), KnownList(known), "6.1.176", "uml", profile)


@pytest.mark.parametrize(
    ("kind", "red"),
    [("pass", False), ("fail", True), ("crash", True), ("hang", True), ("vacuous", True), ("error", True)],
)
def test_without_known_deviations_the_verdict_stands(kind: Kind, red: bool) -> None:
    found = weighed(kind, WRITTEN) if kind != "pass" else weighed(kind)
    assert (found.verdict.kind, found.red, found.known) == (kind, red, "")


def test_a_known_deviation_is_known_with_its_id_and_reason() -> None:
    found = weighed("fail", WRITTEN, known=(ALWAYS,))
    assert (found.verdict.kind, found.red, found.known) == ("known", False, "one-is-accepted")
    assert found.verdict.reason == "known deviation one-is-accepted: it is not compared"
    assert found.verdict.findings == (WRITTEN,)


def test_more_than_the_known_deviation_is_red() -> None:
    assert weighed("fail", WRITTEN, STANDING, known=(ALWAYS,)).red


@pytest.mark.parametrize("kind", ["crash", "hang", "vacuous", "error"])
def test_another_verdict_than_the_known_one_is_red(kind: Kind) -> None:
    assert weighed(kind, WRITTEN, known=(ALWAYS,)).red


def test_a_deviation_that_always_shows_and_did_not_is_red() -> None:
    found = weighed("pass", known=(ALWAYS,))
    assert (found.verdict.kind, found.red, found.known) == ("fail", True, "one-is-accepted")
    assert found.verdict.findings[0].subject == "one-is-accepted"
    assert "known/one.toml says that it always shows on kernels 6.1" in found.verdict.findings[0].because


def test_a_deviation_that_shows_sometimes_may_stay_away() -> None:
    assert weighed("pass", known=(SOMETIMES,)) == Weighed(Verdict(TRIAL.name, "pass"), False)
    assert "It shows in about 25% of the runs." in weighed("fail", WRITTEN, known=(SOMETIMES,)).verdict.reason


def test_known_deviations_of_other_kernels_and_machines_do_not_count() -> None:
    assert weighed("fail", WRITTEN, known=(replace(ALWAYS, kernel=">=6.5"),)).red
    assert weighed("fail", WRITTEN, known=(replace(ALWAYS, machine="qemu"),)).red
    assert not weighed("pass", known=(replace(ALWAYS, kernel=">=6.5"),)).red


@pytest.mark.parametrize(("profile", "red"), [("stock", False), ("strict", True)])
def test_a_broken_should_is_red_with_the_strict_profile_only(profile: Profile, red: bool) -> None:
    should = replace(RULE, level="SHOULD")
    assert weighed("fail", replace(WRITTEN, level="SHOULD"), rule=should, profile=profile).red is red


def test_a_standing_invariant_is_red_whatever_the_level_of_the_rule() -> None:
    should = replace(RULE, level="SHOULD")
    assert weighed("fail", replace(WRITTEN, level="SHOULD"), STANDING, rule=should).red


def test_a_declined_proposal_is_known_and_with_the_strict_profile_a_failure() -> None:
    proposed = replace(RULE, promise="proposed")
    found = weighed("fail", WRITTEN, rule=proposed)
    assert (found.verdict.kind, found.red) == ("known", False)
    assert "declines MUST-1" in found.verdict.reason
    found = weighed("fail", WRITTEN, rule=proposed, profile="strict")
    assert (found.verdict.kind, found.red) == ("fail", True)


def test_a_declined_proposal_that_breaks_a_standing_invariant_is_red() -> None:
    found = weighed("fail", WRITTEN, STANDING, rule=replace(RULE, promise="proposed"))
    assert (found.verdict.kind, found.red) == ("fail", True)


def test_the_strict_profile_minds_recorded_shoulds_and_proposals_but_not_recorded_musts() -> None:
    assert not weighed("fail", WRITTEN, known=(ALWAYS,), profile="strict").red
    should = replace(RULE, level="SHOULD")
    assert weighed("fail", replace(WRITTEN, level="SHOULD"), rule=should, known=(ALWAYS,), profile="strict").red
    assert weighed("fail", WRITTEN, rule=replace(RULE, promise="proposed"), known=(ALWAYS,), profile="strict").red
