"""Known deviations: what a stock kernel is known to do wrong, with its evidence, so that only new ones are red."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from conformance.corpus.files import entries, known_keys, label, read_toml, typed
from conformance.corpus.kernels import KernelRange, parse_range
from conformance.errors import CorpusError
from conformance.model.verdict import Finding, Verdict

_FINDING = re.compile(r"(?P<what>[a-z][a-z_ ]*)(?::(?P<subject>[^@]+))?(?:@(?P<step>\d+))?")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


@dataclass(frozen=True)
class Known:
    """One deviation as `[[known]]` gives it."""

    id: str
    rule: str
    """The id of the rule that is broken."""
    trials: tuple[str, ...]
    """Names of trials, with * for anything."""
    kernel: str
    """The range of kernels that show it."""
    verdict: Literal["fail", "crash", "hang"]
    """What the verdict would be."""
    shows: Literal["always", "sometimes"]
    evidence: str
    """What was seen, how often, on which kernels."""
    control: tuple[str, ...]
    """Names of trials, with * for anything, that pass there and show that the case is right."""
    reason: str
    """What in the kernel does it."""
    since: str
    """The day on which it was recorded, as 2026-01-31."""
    findings: tuple[str, ...] = ()
    """The findings that it consists of, each WHAT, WHAT:SUBJECT or WHAT:SUBJECT@STEP."""
    rate: float | None = None
    """The share of runs that showed it, for one that shows sometimes."""
    machine: str = ""
    """The only machine that shows it; empty for every one."""
    where: str = ""
    """Its place in the corpus; not written there."""

    @cached_property
    def range(self) -> KernelRange:
        """The kernels that show it."""
        return parse_range(self.kernel)

    def covers(self, trial: str, release: str | None, machine: str = "") -> bool:
        """Whether it speaks of this trial on this kernel and machine (an empty text: any)."""
        return (
            self.machine in ("", machine or self.machine)
            and self.range.holds(release)
            and any(matches(pattern, trial) for pattern in self.trials)
        )

    def explains(self, verdict: Verdict) -> bool:
        """Whether a verdict is this deviation and nothing else.

        Every finding must be one that is listed; one that shows always must show all that are listed."""
        if verdict.kind != self.verdict:
            return False
        if not all(any(_is(pattern, finding) for pattern in self.findings) for finding in verdict.findings):
            return False
        return self.shows == "sometimes" or all(
            any(_is(pattern, finding) for finding in verdict.findings) for pattern in self.findings
        )


@dataclass(frozen=True)
class KnownList:
    """All known deviations."""

    entries: tuple[Known, ...] = ()

    def match(self, trial: str, release: str | None, verdict: Verdict, machine: str = "") -> Known | None:
        """The deviation that a red verdict is, or None when it is a new one."""
        found = (item for item in self.entries if item.covers(trial, release, machine) and item.explains(verdict))
        return next(found, None)

    def expected(self, trial: str, release: str | None, machine: str = "") -> Known | None:
        """The deviation that must show in this trial: when it passes, something has changed, and that is red."""
        found = (item for item in self.entries if item.shows == "always" and item.covers(trial, release, machine))
        return next(found, None)


def matches(pattern: str, name: str) -> bool:
    """Whether a name fits a pattern, in which * stands for anything, and brackets for themselves."""
    return re.fullmatch(".*".join(re.escape(part) for part in pattern.split("*")), name) is not None


def any_match(patterns: Iterable[str], names: Iterable[str]) -> bool:
    """Whether one of the names fits one of the patterns."""
    listed = list(patterns)
    return any(matches(pattern, name) for name in names for pattern in listed)


def _is(pattern: str, finding: Finding) -> bool:
    found = _FINDING.fullmatch(pattern)
    return (
        found is not None
        and found["what"] == finding.what
        and found["subject"] in (None, finding.subject)
        and found["step"] in (None, str(finding.step))
    )


def read_known(path: Path, root: Path, errors: list[CorpusError]) -> list[Known]:
    """The deviations of one file; what is wrong is added to `errors`."""
    where = label(path)
    found: list[Known] = []
    try:
        table = read_toml(path, root)
        errors += known_keys(table, ["known"], where)
        listed = entries(table, "known", where)
    except CorpusError as error:
        errors.append(error)
        return found
    for number, entry in enumerate(listed, 1):
        place = f"{where}: known {entry.get('id', number)}"
        try:
            if "where" in entry:
                raise CorpusError(place, "unknown key 'where'")
            known = typed(Known, entry | {"where": place}, place)
            _check(known)
            found.append(known)
        except CorpusError as error:
            errors.append(error)
    return found


def _check(known: Known) -> None:
    def fail(key: str, problem: str) -> CorpusError:
        return CorpusError(f"{known.where}, key {key!r}", problem)

    try:
        parse_range(known.kernel)
    except ValueError as error:
        raise fail("kernel", str(error)) from None
    if not known.kernel.strip():
        raise fail("kernel", 'expected the kernels that were seen to show it, such as "6.1", found nothing')
    for key in ("evidence", "reason"):
        if not getattr(known, key).strip():
            raise fail(key, "expected what was seen, found nothing")
    for key in ("trials", "control"):
        if not getattr(known, key):
            raise fail(key, "expected at least one name of a trial, found none")
    if not _DATE.fullmatch(known.since):
        raise fail("since", f"expected a day such as 2026-01-31, found {known.since!r}")
    if (known.shows == "sometimes") != (known.rate is not None):
        raise fail("rate", 'expected the measured rate with shows = "sometimes", and with nothing else')
    if known.rate is not None and not 0 < known.rate < 1:
        raise fail("rate", f"expected a share between 0 and 1, found {known.rate}")
    if known.verdict == "fail" and not known.findings:
        raise fail("findings", "expected what fails, found none")
    for finding in known.findings:
        if not _FINDING.fullmatch(finding):
            raise fail("findings", f"expected WHAT, WHAT:SUBJECT or WHAT:SUBJECT@STEP, found {finding!r}")
