"""Explains a verdict in a terminal: which rule, at which step, expected and observed side by side, what follows.

Plain text of a given width, or the same with styles for a terminal. Nothing is read but the
arguments: the trace, where it is at hand, adds the results of the steps and the extent maps.
"""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator
from itertools import zip_longest
from typing import NamedTuple

from rich.text import Text

from conformance.model.trace import Observed, Stepped, Stepping, Trace
from conformance.model.trial import Actor, Step, Trial
from conformance.model.verdict import Finding, Verdict
from conformance.reports.sketch import bars, call_text, scale_text
from kernel.state import FileState

MIN_WIDTH = 40
"""The narrowest that is told in; a line is longer than asked for where nothing can be folded."""
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


class Line(NamedTuple):
    """One line, and rich's name for how it looks."""

    text: str
    style: str = ""


def explain(
    trial: Trial,
    verdict: Verdict,
    *,
    trace: Trace | None = None,
    repeat: str = "",
    width: int = 80,
    markup: bool = False,
) -> str:
    """The explanation as plain text, or in rich's markup, without a newline at its end.

    `width` in characters; `repeat` is the command that makes just this trial again.
    """
    if markup:
        return explain_styled(trial, verdict, trace=trace, repeat=repeat, width=width).markup
    page = _Page(trial, verdict, trace, repeat, max(width, MIN_WIDTH))
    return "\n".join(line.text for line in page.lines())


def explain_styled(
    trial: Trial, verdict: Verdict, *, trace: Trace | None = None, repeat: str = "", width: int = 80
) -> Text:
    """The same for rich's console, with what matters set off; nothing that it quotes is taken for a tag."""
    page = _Page(trial, verdict, trace, repeat, max(width, MIN_WIDTH))
    return Text("\n").join(Text(line.text, style=line.style) for line in page.lines())


class _Page:
    """One explanation in the making."""

    def __init__(self, trial: Trial, verdict: Verdict, trace: Trace | None, repeat: str, width: int) -> None:
        self.trial, self.verdict, self.trace, self.repeat, self.width = trial, verdict, trace, repeat, width
        self.block = trial.system.block
        events = trace.events if trace else ()
        self.states = {event.at: event.state for event in events if isinstance(event, Observed)}
        self.begun = {event.step for event in events if isinstance(event, Stepping)}
        made = [event for event in events if isinstance(event, Stepped)]
        self.results = {event.step: event.outcome.result for event in made if not event.actor}
        self.passes = [event for event in made if event.actor]

    def lines(self) -> Iterator[Line]:
        """All of it."""
        yield from self.head()
        yield Line("")
        yield from self.steps()
        for number, finding in enumerate(self.verdict.findings[:FINDINGS], 1):
            yield Line("")
            yield from self.finding(number, finding)
        left = len(self.verdict.findings) - FINDINGS
        if left > 0:
            yield Line("")
            yield from self.folded(f"… and {left} more findings, which the report has.")
        yield from self.console()
        if self.repeat:
            yield Line("")
            yield Line("repeat just this trial:", "bold")
            yield Line("  " + self.repeat)

    # --- the head -------------------------------------------------------------------------------

    def head(self) -> Iterator[Line]:
        """The verdict, the rule, and what it means."""
        rule, verdict = self.trial.rule, self.verdict
        level = verdict.level if verdict.kind == "fail" else None
        told = verdict.kind.upper() + (f" ({level})" if level and level != rule.level else "")
        yield Line(f"{told}: {_MEANING[verdict.kind]}", _STYLES.get(verdict.kind, "bold"))
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

    def labelled(self, label: str, text: str) -> Iterator[Line]:
        """A label, and text that is folded behind it."""
        for number, line in enumerate(fold(text, self.width - 10)):
            yield Line((f"{label:<8}  " if number == 0 else " " * 10) + line)

    # --- the steps ------------------------------------------------------------------------------

    def steps(self) -> Iterator[Line]:
        """The steps, with a mark at those that something was found at."""
        marked = {finding.step for finding in self.verdict.findings if finding.step}
        shown = self.shown(marked)
        skipped = 0
        for step in self.trial.steps:
            if step.number not in shown:
                skipped += 1
                continue
            if skipped:
                yield Line(f"       … {skipped} more")
                skipped = 0
            yield from self.step(step, step.number in marked)
        if skipped:
            yield Line(f"       … {skipped} more")
        for actor in self.trial.actors:
            yield from self.actor(actor)

    def shown(self, marked: set[int]) -> set[int]:
        """The steps that are told: all, or those around the marked ones where there are many."""
        numbers = [step.number for step in self.trial.steps]
        if len(numbers) <= ALL_STEPS:
            return set(numbers)
        centres = [index for index, number in enumerate(numbers) if number in marked] or [len(numbers) - 1]
        return {numbers[index] for index in range(len(numbers)) if any(abs(index - at) <= AROUND for at in centres)}

    def step(self, step: Step, marked: bool) -> Iterator[Line]:
        """One step with its result."""
        text = f"{step.number:>3}. {call_text(step.call, self.block)}{self.result(step)}"
        for number, line in enumerate(fold(text, self.width - 2, indent=7)):
            begin = "> " if marked and number == 0 else "  "
            yield Line(begin + line, "bold" if marked else "")

    def result(self, step: Step) -> str:
        """How a step ended, with what was expected where that is something else."""
        result = self.results.get(step.number)
        if result is None:
            if self.trace is None:
                return ""
            return " -> did not return" if step.number in self.begun else " -> was not reached"
        if "any" in step.expect or result in step.expect:
            return f" -> {result}"
        return f" -> {result} (expected {' or '.join(step.expect)})"

    def actor(self, actor: Actor) -> Iterator[Line]:
        """The steps of an actor, with how often each result came."""
        passes = [done for done in self.passes if done.actor == actor.name]
        told = f", {len({done.turn for done in passes})} passes" if self.trace else ""
        yield Line(f"  actor {actor.name}{' (loops)' if actor.loop else ''}{told}:")
        for step in actor.steps:
            results = Counter(done.outcome.result for done in passes if done.step == step.number)
            tail = ", ".join(f"{result} x{count}" for result, count in results.most_common())
            text = f"{step.number:>3}. {call_text(step.call, self.block)}" + (f" -> {tail}" if tail else "")
            for line in fold(text, self.width - 4, indent=7):
                yield Line("    " + line)

    # --- findings -------------------------------------------------------------------------------

    def finding(self, number: int, finding: Finding) -> Iterator[Line]:
        """One finding: where, expected and observed, and why it is expected."""
        where = f"step {finding.step}" if finding.step else _WHEN.get(finding.at, "in the end")
        level = "" if finding.level == "MUST" else f" ({finding.level})"
        yield from self.folded(f"{number}. {where}: {finding.what} of {finding.subject}{level}", style="bold")
        yield from self.side_by_side(finding.expected, finding.observed)
        yield from self.bars(finding)
        yield from self.folded(f"because: {finding.because}", 3)

    def side_by_side(self, expected: str, observed: str) -> Iterator[Line]:
        """Two columns, or one under the other where there is no room."""
        if self.width < NARROW:
            for label, text in (("expected", expected), ("observed", observed)):
                yield Line(f"   {label}:")
                yield from self.folded(text, 5)
            return
        column = (self.width - 6) // 2
        yield Line(f"   {'expected':<{column}}   observed")
        for left, right in zip_longest(fold(expected, column), fold(observed, column), fillvalue=""):
            yield Line(f"   {left:<{column}}   {right}".rstrip())

    def bars(self, finding: Finding) -> Iterator[Line]:
        """The extent map before and after, where it is what differs."""
        pair = self.states_of(finding) if finding.what in ("extents", "layout") else None
        if pair is None:
            return
        before, after = pair
        size, width = max(before.size, after.size), self.width - 11
        drawn = bars(before.extents, after.extents, size, self.block, width)
        for label, row in zip(("before", "after", ""), drawn, strict=False):
            yield Line(f"   {label:<7} {row}")
        if drawn:
            until = max([size, *(extent.logical + extent.length for extent in (*before.extents, *after.extents))])
            yield from self.folded(scale_text(until, self.block, width), 11)

    def states_of(self, finding: Finding) -> tuple[FileState, FileState] | None:
        """The two states of a file that were compared."""
        before, after = self.states.get(finding.since), self.states.get(finding.at)
        old = before.files.get(finding.subject) if before else None
        new = after.files.get(finding.subject) if after else None
        return (old, new) if old and new else None

    # --- console and text -----------------------------------------------------------------------

    def console(self) -> Iterator[Line]:
        """What the kernel printed."""
        lines = self.verdict.console
        if not lines:
            return
        died = self.verdict.kind in ("crash", "hang")
        shown = lines[-CONSOLE:] if died else lines[:CONSOLE]
        left = len(lines) - len(shown)
        yield Line("")
        yield Line(
            "the kernel printed:" + (f" ({left} {'earlier' if died else 'later'} lines left out)" if left else ""),
            "bold",
        )
        for line in shown:
            text = printable(line)
            yield Line("  | " + (text if len(text) <= self.width - 4 else text[: self.width - 5] + "…"))

    def folded(self, text: str, indent: int = 0, *, style: str = "") -> Iterator[Line]:
        """Text in lines that begin after `indent` spaces."""
        for line in fold(text, self.width - indent):
            yield Line(" " * indent + line, style)


def fold(text: str, width: int, *, indent: int = 0) -> list[str]:
    """Text in lines of at most `width` characters; its own line breaks are kept, longer words are broken.

    All but the first line of each part begin after `indent` spaces."""
    folded: list[str] = []
    for part in text.splitlines() or [""]:
        wrapped = textwrap.wrap(printable(part), max(width, 10), subsequent_indent=" " * indent, break_on_hyphens=False)
        folded += wrapped or [""]
    return folded


def printable(text: str) -> str:
    """Text without what would move a terminal's cursor or change its colours: guests say what they like."""
    return "".join(char if char.isprintable() else " " if char == "\t" else "\ufffd" for char in text.rstrip())


_WHEN = {
    "start": "at the start",
    "end": "at the end",
    "flushed": "when all was written out",
    "dropped": "when all was read anew from the device",
    "remounted": "after a remount",
    "emptied": "when all files were removed",
}
