"""What a run says at its end: failures explained, known deviations and what did not run in short, a table."""

from __future__ import annotations

import textwrap
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from conformance.reports.events import Judged, Started
from conformance.reports.state import OUTCOMES, RED, Outcome, RunState, first_words, outcome
from conformance.reports.words import PLURALS, STYLES, counted, duration

EXPLAINED = 20
"""Failures that are explained in full; the others get a line each."""
REASONS = 12
"""Reasons why something did not run that are told; all of them are in the run's events, and with pytest's -rs."""

Explain = Callable[[Judged, int], Text]
"""The explanation of a verdict, for a width."""


def print_summary(console: Console, state: RunState, explain: Explain, where: str) -> None:
    """Prints all of it."""
    for number, part in enumerate(_parts(console, state, explain, where)):
        if part == "" and number == 0:
            continue  # a blank line separates what comes from what was before: here pytest made one
        # Explanations keep to the width themselves, but for the command that repeats a trial: that is to be copied.
        console.print(part, soft_wrap=isinstance(part, Text))


def _parts(console: Console, state: RunState, explain: Explain, where: str) -> Iterator[RenderableType]:
    groups = _alike([event for event in state.judged if event.red])
    for number, group in enumerate(groups[:EXPLAINED], 1):
        first, *others = group
        yield ""
        yield Rule(f"{number} of {len(groups)}", style=STYLES[outcome(first)], align="left")
        yield explain(first, console.width)
        if others:
            yield ""
            yield Text("the same in:", "bold")
            yield from (Text(f"  {event.run}") for event in others)
    rest = groups[EXPLAINED:]
    if rest:
        yield ""
        yield Rule(f"{len(rest)} more", style="bold red", align="left")
        told = ((STYLES[outcome(event)], outcome(event), _told(event)) for group in rest for event in group)
        yield from _listed(told, console.width)
    yield from _noted(state, console.width)
    yield from _known(state, console.width)
    yield from _not_run(state, console.width)
    if state.judged or state.not_run:
        yield ""
        yield _table(state)
    if state.started and not state.started.trials:
        what = (
            f"all {len(state.not_run)} that were selected are not applicable" if state.not_run else "none was selected"
        )
        yield ""
        yield Text(f"No trial ran: {what}. `conformance list --fs=...` shows what there is.", "bold yellow")
    yield from _foot(state, where)


def _alike(events: list[Judged]) -> list[list[Judged]]:
    """Red verdicts of one case that found the same at the same steps, together; in the order of their names."""
    groups: dict[object, list[Judged]] = defaultdict(list)
    for event in sorted(events, key=lambda event: event.run):
        found = tuple((finding.what, finding.step, finding.subject) for finding in event.verdict.findings)
        case = event.verdict.trial.partition("@")[0].partition("[")[0]
        groups[(case, event.verdict.kind, found)].append(event)
    return list(groups.values())


def _listed(rows: Iterable[tuple[str, str, str]], width: int) -> Iterator[Text]:
    """Lines of a word in a style and a text, which is folded beside it."""
    listed = list(rows)
    column = max((len(word) for _style, word, _text in listed), default=0)
    for style, word, text in listed:
        lines = textwrap.wrap(text, max(20, width - column - 4), break_on_hyphens=False) or [""]
        yield Text.assemble("  ", (f"{word:<{column}}", style), f"  {lines[0]}")
        yield from (Text(" " * (column + 4) + line) for line in lines[1:])


def _told(event: Judged) -> str:
    return f"{event.run}: {first_words(event.verdict)}"


def _noted(state: RunState, width: int) -> Iterator[RenderableType]:
    """Broken rules that are only a SHOULD, each with how many trials showed it in which way."""
    groups: dict[tuple[str, str], list[Judged]] = defaultdict(list)
    for event in sorted(state.judged, key=lambda event: event.run):
        if outcome(event) == "noted":
            groups[(event.rule, first_words(event.verdict))].append(event)
    if groups:
        yield ""
        yield Text("Broken, but only a SHOULD (red with --profile=strict):", "bold")
        told = ((STYLES["noted"], rule, _example(words, group)) for (rule, words), group in sorted(groups.items()))
        yield from _listed(told, width)


def _example(words: str, events: list[Judged]) -> str:
    targets = _targets(event.target for event in events)
    return f"{counted(len(events), 'trial')} of {targets}, such as {events[0].run}: {words}"


def _known(state: RunState, width: int) -> Iterator[RenderableType]:
    """Known deviations by their id, declined proposals by their rule, each with how many trials showed it."""
    groups: dict[tuple[str, str], list[Judged]] = defaultdict(list)
    for event in state.judged:
        if outcome(event) == "known":
            groups[(event.known or event.rule, event.verdict.reason)].append(event)
    if groups:
        yield ""
        yield Text("Known deviations (`conformance findings` tells more):", "bold")
        told = ((STYLES["known"], name, _shown(reason, group)) for (name, reason), group in sorted(groups.items()))
        yield from _listed(told, width)


def _shown(reason: str, events: list[Judged]) -> str:
    told = reason.partition(": ")[2] if events[0].known else reason
    return f"{counted(len(events), 'trial')} of {_targets(event.target for event in events)}: {told}"


def _not_run(state: RunState, width: int) -> Iterator[RenderableType]:
    """Reasons, each with how many trials or cases it keeps from running, and on which targets."""
    groups: dict[str, list[str]] = defaultdict(list)
    for item in state.not_run:
        for part in dict.fromkeys(item.reason.split("; ")):
            groups[part.removeprefix(f"{item.target} ")].append(item.target)
    if not groups:
        return
    yield ""
    yield Text("Not applicable:", "bold")
    ordered = sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))
    told = (("dim", f"{len(targets):>4}", f"{_targets(targets)}: {reason}") for reason, targets in ordered[:REASONS])
    yield from _listed(told, width)
    if len(ordered) > REASONS:
        yield Text(f"        and {len(ordered) - REASONS} other reasons, which -rs tells", "dim")


def _targets(targets: Iterable[str]) -> str:
    """Names of targets, each once; several variants of one file system behind its name."""
    variants: dict[str, list[str]] = defaultdict(list)
    for target in sorted(set(targets)):
        name, _, variant = target.partition(":")
        variants[name].append(variant)
    return ", ".join(
        f"{name}:{names[0]}" if len(names) == 1 else f"{name} ({', '.join(names)})" for name, names in variants.items()
    )


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
    all_of = "" if done == started.trials else f"{done} of "
    yield f"{all_of}{counted(started.trials, 'trial')}{took} on {platform(started)}."
    if finished and finished.interrupted:
        yield Text(f"The run ended early: {finished.interrupted}.", "bold yellow")
    if where:
        yield Text(f"Results: {where}", "dim")


def platform(started: Started) -> str:
    """The kernel and the machine in a few words."""
    name = started.kernel.rpartition("/")[2]
    return escape(f"Linux {started.release} ({name}, {started.machine})")
