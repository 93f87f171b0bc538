"""What a run says at its end: failures explained, known deviations and what did not run in short, a table."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from conformance.reports.events import Judged, Started
from conformance.reports.state import OUTCOMES, RED, Outcome, RunState, first_words, outcome
from conformance.reports.words import PLURALS, STYLES, duration

EXPLAINED = 20
"""Failures that are explained in full; the others get a line each."""

Explain = Callable[[Judged, int], str]
"""The explanation of a verdict in rich's markup, for a width."""


def print_summary(console: Console, state: RunState, explain: Explain, where: str) -> None:
    """Prints all of it."""
    for part in _parts(console, state, explain, where):
        console.print(part)


def _parts(console: Console, state: RunState, explain: Explain, where: str) -> Iterator[RenderableType]:
    red = [event for event in state.judged if event.red]
    for number, event in enumerate(red[:EXPLAINED], 1):
        yield Rule(f"{number} of {len(red)}", style=STYLES[outcome(event)])
        yield Text.from_markup(explain(event, console.width))
    if len(red) > EXPLAINED:
        yield Rule(f"{len(red) - EXPLAINED} more", style="bold red")
        for event in red[EXPLAINED:]:
            yield _line(event)
    yield from _noted(state)
    yield from _known(state)
    yield from _not_run(state)
    if state.judged or state.not_run:
        yield ""
        yield _table(state)
    yield from _foot(state, where)


def _line(event: Judged) -> Text:
    kind = outcome(event)
    return Text.assemble((f"{kind:<8}", STYLES[kind]), f"{event.run}: {first_words(event.verdict)}")


def _noted(state: RunState) -> Iterator[RenderableType]:
    noted = [event for event in state.judged if outcome(event) == "noted"]
    if noted:
        yield ""
        yield Text(f"{len(noted)} broken SHOULD (red only with --profile=strict):", "bold")
        for event in noted:
            told = f"{event.rule}  {event.run}: {first_words(event.verdict)}"
            yield Text.assemble(("  noted   ", STYLES["noted"]), told)


def _known(state: RunState) -> Iterator[RenderableType]:
    """Known deviations by their id, declined proposals by their rule, each with how many trials showed it."""
    groups: dict[tuple[str, str], list[Judged]] = defaultdict(list)
    for event in state.judged:
        if outcome(event) == "known":
            groups[(event.known or event.rule, event.verdict.reason)].append(event)
    if groups:
        yield ""
        yield Text("Known deviations:", "bold")
    for (name, reason), events in sorted(groups.items()):
        targets = ", ".join(sorted({event.target for event in events}))
        trials = f"{len(events)} trial{'s' if len(events) > 1 else ''}"
        told = reason.partition(": ")[2] if events[0].known else reason
        yield Text.assemble(("  known   ", STYLES["known"]), (name, "bold"), f" ({trials}; {targets}): {told}")


def _not_run(state: RunState) -> Iterator[RenderableType]:
    """Reasons, each with how many trials or cases it keeps from running."""
    reasons = Counter(item.reason for item in state.not_run)
    if reasons:
        yield ""
        yield Text("Not applicable:", "bold")
    for reason, count in sorted(reasons.items(), key=lambda item: (-item[1], item[0])):
        yield Text(f"  {count:>4}  {reason}", "dim")


def _table(state: RunState) -> Table:
    """Target variants by outcomes."""
    counts: dict[str, Counter[Outcome]] = defaultdict(Counter)
    for event in state.judged:
        counts[event.target][outcome(event)] += 1
    for item in state.not_run:
        counts[item.target]["not applicable"] += 1
    shown = [kind for kind in OUTCOMES if any(row[kind] for row in counts.values()) or kind in ("pass", "fail")]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("file system")
    for kind in shown:
        table.add_column(PLURALS[kind], justify="right")
    for target in sorted(counts):
        table.add_row(target, *(_cell(kind, counts[target][kind]) for kind in shown))
    if len(counts) > 1:
        table.add_section()
        totals: Counter[Outcome] = sum(counts.values(), Counter())
        table.add_row("all", *(_cell(kind, totals[kind]) for kind in shown), style="bold")
    return table


def _cell(kind: Outcome, count: int) -> Text:
    if not count:
        return Text("·", "dim")
    return Text(f"{'!' if kind in RED else ''}{count}", STYLES[kind])


def _foot(state: RunState, where: str) -> Iterator[RenderableType]:
    started, finished = state.started, state.finished
    if started is None:
        return
    yield ""
    took = f" in {duration(finished.at - started.at)}" if finished else ""
    done = len(state.judged)
    all_of = f"{done}" if done == started.trials else f"{done} of {started.trials}"
    yield f"{all_of} trials{took} on {platform(started)}."
    if finished and finished.interrupted:
        yield Text(f"The run ended early: {finished.interrupted}.", "bold yellow")
    if where:
        yield Text(f"Results: {where}", "dim")


def platform(started: Started) -> str:
    """The kernel and the machine in a few words."""
    name = started.kernel.rpartition("/")[2]
    return escape(f"Linux {started.release} ({name}, {started.machine})")
