"""Explains a verdict in a terminal: which rule, at which step, expected and observed side by side, what follows.

Plain text of a given width; with `markup` the same text with rich's tags. Nothing is read but the
arguments: the trace, where it is at hand, adds the results of the steps and the extent maps.
"""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator

from rich.markup import escape

from conformance.model.trace import Observed, Stepped, Stepping, Trace
from conformance.model.trial import Step, Trial
from conformance.model.verdict import Finding, Verdict
from conformance.reports.sketch import bars, scale_text, step_text
from kernel.state import Extent, FileState

NARROW = 60
"""Below this width expected and observed are told one under the other."""
FINDINGS = 10
"""Findings that are told in full; the rest is counted."""
CONSOLE = 25
"""Lines of the console that are shown."""
AROUND = 4
"""Steps that are shown before and after one with a finding, where a trial has many."""
ALL_STEPS = 16
"""A trial of at most so many steps is shown whole."""

_STYLES = {
    "fail": "bold red",
    "crash": "bold red",
    "hang": "bold red",
    "error": "bold magenta",
    "vacuous": "bold yellow",
}
_MEANING = {
    "fail": "a promise was broken",
    "crash": "the kernel did not survive it",
    "hang": "the kernel did not answer",
    "vacuous": "it passed, but it did not meet its situation: it proves nothing",
    "error": "the harness failed: it says nothing about the kernel",
    "known": "a deviation that is on record",
    "not applicable": "it was not run",
    "pass": "it keeps the rule",
}


def explain(
    trial: Trial,
    verdict: Verdict,
    *,
    trace: Trace | None = None,
    repeat: str = "",
    width: int = 80,
    markup: bool = False,
) -> str:
    """The explanation, without a newline at its end. `repeat` is the command that makes just this trial again."""
    return "\n".join(_Page(trial, verdict, trace, repeat, max(width, 40), markup).lines())


class _Page:
    """One explanation in the making."""

    def __init__(
        self, trial: Trial, verdict: Verdict, trace: Trace | None, repeat: str, width: int, markup: bool
    ) -> None:
        self.trial, self.verdict, self.trace, self.repeat = trial, verdict, trace, repeat
        self.width, self.markup = width, markup
        self.block = trial.system.block
        events = trace.events if trace else ()
        self.states = {event.at: event.state for event in events if isinstance(event, Observed)}
        self.begun = {event.step for event in events if isinstance(event, Stepping)}
        self.results = {
            event.step: event.outcome.result for event in events if isinstance(event, Stepped) and not event.actor
        }
        self.passes = [event for event in events if isinstance(event, Stepped) and event.actor]

    def lines(self) -> Iterator[str]:
        """All of it."""
        yield from self.head()
        yield ""
        yield from self.steps()
        for number, finding in enumerate(self.verdict.findings[:FINDINGS], 1):
            yield ""
            yield from self.finding(number, finding)
        if len(self.verdict.findings) > FINDINGS:
            yield ""
            yield f"… and {len(self.verdict.findings) - FINDINGS} more findings, which the trace and the report have."
        yield from self.console()
        if self.repeat:
            yield ""
            yield self.style("repeat just this trial:", "bold")
            yield "  " + self.plain(self.repeat)

    # --- the head -------------------------------------------------------------------------------

    def head(self) -> Iterator[str]:
        """The verdict, the rule, and what it means."""
        rule, verdict = self.trial.rule, self.verdict
        level = verdict.level if verdict.findings else None
        told = verdict.kind.upper() + (
            f" ({level})" if verdict.kind == "fail" and level and level != rule.level else ""
        )
        yield self.style(told, _STYLES.get(verdict.kind, "bold")) + f": {_MEANING[verdict.kind]}"
        yield from self.labelled("trial", self.trial.name)
        yield from self.labelled("title", self.trial.title)
        promise = "" if rule.promise == "mainline" else ", only proposed"
        yield from self.labelled("rule", f"{rule.id} ({rule.level}{promise}): {rule.sentence}")
        yield from self.labelled("source", rule.source)
        if rule.consequence:
            yield from self.labelled("means", rule.consequence)
        if self.trace and (self.trace.kernel or self.trace.machine):
            where = " on ".join(filter(None, (self.trace.kernel, self.trace.machine)))
            yield from self.labelled("kernel", f"{where}, {self.trace.seconds:.2f} s")
        if verdict.reason:
            yield from self.labelled("reason", verdict.reason)

    def labelled(self, label: str, text: str) -> Iterator[str]:
        """A label, and text that is folded behind it."""
        folded = self.fold(text, self.width - 10)
        for number, line in enumerate(folded):
            yield (f"{label:<8}  " if number == 0 else " " * 10) + self.plain(line)

    # --- the steps ------------------------------------------------------------------------------

    def steps(self) -> Iterator[str]:
        """The steps, with a mark at those that something was found at."""
        marked = {finding.step for finding in self.verdict.findings if finding.step}
        shown = self.shown(marked)
        skipped = 0
        for step in self.trial.steps:
            if step.number not in shown:
                skipped += 1
                continue
            if skipped:
                yield f"       … {skipped} more"
                skipped = 0
            yield from self.step(step, step.number in marked)
        if skipped:
            yield f"       … {skipped} more"
        for actor in self.trial.actors:
            passes = [done for done in self.passes if done.actor == actor.name]
            turns = len({done.turn for done in passes})
            told = f", {turns} passes" if self.trace else ""
            yield self.plain(f"  actor {actor.name}{' (loops)' if actor.loop else ''}{told}:")
            for step in actor.steps:
                results = Counter(done.outcome.result for done in passes if done.step == step.number)
                tail = ", ".join(f"{result} x{count}" for result, count in results.most_common())
                yield self.plain(
                    f"    {step.number:>3}. {step_text(step, self.block)}" + (f" -> {tail}" if tail else "")
                )

    def shown(self, marked: set[int]) -> set[int]:
        """The steps that are told: all, or those around the marked ones where there are many."""
        numbers = [step.number for step in self.trial.steps]
        if len(numbers) <= ALL_STEPS:
            return set(numbers)
        centres = [index for index, number in enumerate(numbers) if number in marked] or [len(numbers) - 1]
        near = {
            index
            for centre in centres
            for index in range(max(0, centre - AROUND), min(len(numbers), centre + AROUND + 1))
        }
        return {numbers[index] for index in near}

    def step(self, step: Step, marked: bool) -> Iterator[str]:
        """One step with its result."""
        result = self.results.get(step.number)
        expected = " or ".join(step.expect)
        if result is None:
            tail = (
                "" if not self.trace else " -> did not return" if step.number in self.begun else " -> was not reached"
            )
        elif "any" in step.expect or result in step.expect:
            tail = f" -> {result}"
        else:
            tail = f" -> {result} (expected {expected})"
        text = f"{step.number:>3}. {step_text(step, self.block)}{tail}"
        folded = textwrap.wrap(text, self.width - 2, subsequent_indent=" " * 7, break_long_words=False) or [text]
        for number, line in enumerate(folded):
            begin = "> " if marked and number == 0 else "  "
            yield self.style(begin + line, "bold") if marked else begin + self.plain(line)

    # --- findings -------------------------------------------------------------------------------

    def finding(self, number: int, finding: Finding) -> Iterator[str]:
        """One finding: where, expected and observed, and why it is expected."""
        where = f"step {finding.step}" if finding.step else _WHEN.get(finding.at, "in the end")
        level = "" if finding.level == "MUST" else f" ({finding.level})"
        title = f"{number}. {where}: {finding.what} of {finding.subject}{level}"
        for line in self.fold(title, self.width):
            yield self.style(line, "bold")
        yield from self.side_by_side(finding.expected, finding.observed)
        yield from self.bars(finding)
        for line in self.fold(f"because: {finding.because}", self.width - 3):
            yield "   " + self.plain(line)

    def side_by_side(self, expected: str, observed: str) -> Iterator[str]:
        """Two columns, or one under the other where there is no room."""
        if self.width < NARROW:
            for label, text in (("expected", expected), ("observed", observed)):
                yield f"   {label}:"
                for line in self.fold(text, self.width - 5):
                    yield "     " + self.plain(line)
            return
        column = (self.width - 6) // 2
        left, right = self.fold(expected, column), self.fold(observed, column)
        yield f"   {'expected':<{column}}   observed"
        for index in range(max(len(left), len(right))):
            first = left[index] if index < len(left) else ""
            second = right[index] if index < len(right) else ""
            padding = " " * (column - len(first))
            yield ("   " + self.plain(first) + padding + "   " + self.plain(second)).rstrip()

    def bars(self, finding: Finding) -> Iterator[str]:
        """The extent map before and after, where it is what differs."""
        pair = self.maps(finding) if finding.what in ("extents", "layout") else None
        if pair is None:
            return
        before, after = pair
        width = self.width - 14
        until = max([after.size, before.size, *map(_end, (*before.extents, *after.extents))])
        drawn = bars(before.extents, after.extents, max(before.size, after.size), self.block, width)
        for label, row in zip(("before", "after", ""), drawn, strict=False):
            yield f"   {label:<7} " + self.plain(row)
        if drawn:
            for line in self.fold(scale_text(until, self.block, width), self.width - 11):
                yield " " * 11 + self.plain(line)

    def maps(self, finding: Finding) -> tuple[FileState, FileState] | None:
        """The two states that were compared."""
        before, after = self.states.get(finding.since), self.states.get(finding.at)
        if before is None or after is None:
            return None
        old, new = before.files.get(finding.subject), after.files.get(finding.subject)
        return (old, new) if old and new else None

    # --- console and text -----------------------------------------------------------------------

    def console(self) -> Iterator[str]:
        """What the kernel printed."""
        lines = self.verdict.console
        if not lines:
            return
        died = self.verdict.kind in ("crash", "hang")
        shown = lines[-CONSOLE:] if died else lines[:CONSOLE]
        yield ""
        left = len(lines) - len(shown)
        told = f" ({left} {'earlier' if died else 'later'} lines left out)" if left else ""
        yield self.style("the kernel printed:", "bold") + told
        for line in shown:
            text = line.rstrip()
            yield "  | " + self.plain(text if len(text) <= self.width - 4 else text[: self.width - 5] + "…")

    def fold(self, text: str, width: int) -> list[str]:
        """Text in lines of at most `width` characters; its own line breaks are kept."""
        folded: list[str] = []
        for part in text.splitlines() or [""]:
            folded += textwrap.wrap(part, max(width, 10), break_on_hyphens=False) or [""]
        return folded

    def plain(self, text: str) -> str:
        """Text that must not be taken for tags."""
        return escape(text) if self.markup else text

    def style(self, text: str, style: str) -> str:
        """Text that stands out."""
        return f"[{style}]{escape(text)}[/]" if self.markup else text


_WHEN = {
    "start": "at the start",
    "end": "at the end",
    "flushed": "when all was written out",
    "dropped": "when all was read anew from the device",
    "remounted": "after a remount",
    "emptied": "when all files were removed",
}


def _end(extent: Extent) -> int:
    return extent.logical + extent.length
