"""A verdict: what the judge says of a trial, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["pass", "fail", "crash", "hang", "vacuous", "not applicable", "known", "error"]

GREEN: frozenset[str] = frozenset({"pass", "known", "not applicable"})
"""Verdicts that do not make a run red."""


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
