"""What a verdict means for a run: known deviations, proposed rules, and the profile.

stock    red is what a stock kernel is not known to do: a new deviation, a crash, a hang, a trial without its
         witness, a known deviation that did not show although it always does
strict   red is also every SHOULD that is broken, and every proposed rule that the kernel declines, recorded or not
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from conformance.corpus import Known, KnownList
from conformance.model.trial import Trial
from conformance.model.verdict import Finding, Verdict
from conformance.runner.settings import Profile


@dataclass(frozen=True)
class Weighed:
    """A verdict as it counts in a run."""

    verdict: Verdict
    red: bool
    known: str = ""
    """The id of the known deviation that it is, or that did not show."""


def weigh(trial: Trial, verdict: Verdict, known: KnownList, release: str, machine: str, profile: Profile) -> Weighed:
    """What a verdict by the judge means on this kernel."""
    strict = profile == "strict"
    deviation = known.match(trial.name, release, verdict, machine)
    if deviation is not None and strict and _weak(trial, verdict):
        return Weighed(verdict, True, deviation.id)
    if deviation is not None:
        return Weighed(_known(verdict, deviation), False, deviation.id)
    missed = known.expected(trial.name, release, machine)
    if missed is not None and verdict.kind == "pass":
        return Weighed(_vanished(verdict, missed), True, missed.id)
    if _declined(trial, verdict) and not strict:
        reason = f"this kernel declines {trial.rule.id}, which is proposed and promised by no kernel"
        return Weighed(replace(verdict, kind="known", reason=reason), False)
    return Weighed(verdict, verdict.red(strict=strict))


def _known(verdict: Verdict, deviation: Known) -> Verdict:
    shows = "" if deviation.rate is None else f" It shows in about {deviation.rate:.0%} of the runs."
    return replace(verdict, kind="known", reason=f"known deviation {deviation.id}: {deviation.reason}{shows}")


def _vanished(verdict: Verdict, deviation: Known) -> Verdict:
    """A known deviation that always shows did not: the kernel was mended, or the trial does not test it any more."""
    finding = Finding(
        what="known",
        step=0,
        subject=deviation.id,
        expected=f"{deviation.verdict}: {', '.join(deviation.findings) or deviation.reason}",
        observed="everything as the rule wants it",
        because=f"{deviation.where} says that it always shows on kernels {deviation.kernel}",
    )
    return replace(verdict, kind="fail", findings=(finding, *verdict.findings))


def _weak(trial: Trial, verdict: Verdict) -> bool:
    """Whether only the strict profile minds: no mainline MUST is broken."""
    return verdict.kind == "fail" and (verdict.level in ("SHOULD", "MAY") or _declined(trial, verdict))


def _declined(trial: Trial, verdict: Verdict) -> bool:
    """Whether a proposed rule is all that was broken: no standing invariant is among the findings."""
    return trial.rule.promise == "proposed" and verdict.kind == "fail" and all(map(_written, verdict.findings))


def _written(finding: Finding) -> bool:
    """Whether the expectation stands in the case, as the judge says it of such findings."""
    return finding.because.startswith("the case")
