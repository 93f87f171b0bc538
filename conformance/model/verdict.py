"""A verdict: what the judge says of a trial, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from conformance.model.trial import Level

Kind = Literal["pass", "fail", "crash", "hang", "vacuous", "not applicable", "known", "error"]

GREEN: frozenset[str] = frozenset({"pass", "known", "not applicable"})
"""Verdicts that do not make a run red."""

_STRONGEST_FIRST: tuple[Level, ...] = ("MUST", "SHOULD", "MAY")


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it must be."""

    what: str
    """Which check found it: "outcome", "content", "mtime", "checker", "transactions", "console", …"""
    step: int
    """The step at which it showed, 0 for the time after the last one."""
    subject: str
    """The file, mapping or actor."""
    expected: str
    observed: str
    because: str
    """Where the expectation comes from: the case, a standing invariant, the rule."""
    level: Level = "MUST"
    """That of the rule where the case wrote the expectation; standing invariants are always a MUST."""
    since: str = ""
    """The moment that it was compared with, as `Observed.at` names it; empty where no two moments were compared."""
    at: str = ""
    """The moment at which it was observed, as `Observed.at` names it; empty where it is not about a moment."""


@dataclass(frozen=True)
class Verdict:
    """What the judge says of one trial."""

    trial: str
    kind: Kind
    findings: tuple[Finding, ...] = ()
    reason: str = ""
    """One sentence for kinds that have no findings: why it is not applicable, which witness was missing,
    which known deviation it is."""
    console: tuple[str, ...] = ()
    """What the kernel printed around it."""
    seconds: float = 0.0

    @property
    def level(self) -> Level | None:
        """The strongest level among its findings; None without any.

        A failure whose level is SHOULD is reported and makes a run red only with the strict profile.
        Findings of level MAY alone do not make a failure: they record which way the kernel went.
        """
        levels = {finding.level for finding in self.findings}
        for level in _STRONGEST_FIRST:
            if level in levels:
                return level
        return None

    def red(self, *, strict: bool) -> bool:
        """Whether it makes a run red. What `strict` means for proposed rules is decided where they become known."""
        if self.kind == "fail" and self.level in ("SHOULD", "MAY"):
            return strict
        return self.kind not in GREEN
