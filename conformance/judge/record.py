"""Reads a trace into a record that can be looked things up in, and says what of it is impossible.

What a trace must consist of is written in `conformance.trial.interpreter`. A trace that is not
so says nothing about the kernel: its verdict is "error", unless the guest died meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from conformance.model.trace import (
    Began,
    Broke,
    CheckerRan,
    Console,
    Died,
    Ended,
    Event,
    Failed,
    Observed,
    Owners,
    Settled,
    Stepped,
    Stepping,
    Trace,
)
from conformance.model.trial import FORMAT, Step, Trial
from kernel import calls
from kernel.setup import Checked
from kernel.state import FileState, Observation

BYSTANDER = "bystander"
"""The file that the interpreter makes beside those of the case, and that nothing may change."""

TOOLS = ("running the checker", "reading the bmap btree")
"""How `Failed.doing` begins where a tool of the file system was run."""

TAIL = ("end", "flushed", "dropped", "remounted")
"""The moments after the last step, in their order."""


@dataclass(frozen=True)
class Moment:
    """One observation, and what was going on around it."""

    at: str
    """As in `Observed.at`."""
    state: Observation
    step: int
    """The last step of the main process that was begun before it; 0 before the first."""
    quiet: bool
    """No actor was running."""
    reachable: bool
    """The file system was not shut down."""


@dataclass
class Record:
    """A trace in the order of what happened. Filled by `read`, then only looked at."""

    trial: Trial
    moments: dict[str, Moment] = field(default_factory=dict)
    """By name, in their order."""
    steps: dict[int, Stepped] = field(default_factory=dict)
    """The steps that the main process finished."""
    passes: list[Stepped] = field(default_factory=list)
    """What the actors reported."""
    running_at: dict[int, frozenset[str]] = field(default_factory=dict)
    """The actors that were running while a step was made."""
    stepping: int = 0
    """The last step that was begun."""
    settled: Settled | None = None
    owners: dict[str, Owners] = field(default_factory=dict)
    checked: Checked | None = None
    console: tuple[str, ...] | None = None
    ended: Ended | None = None
    died: Died | None = None
    failed: list[Failed] = field(default_factory=list)
    """What the kernel failed at that must always work. What depends on it is missing then."""
    problem: str = ""
    """Why the trace tells nothing; empty for a trace that is whole."""
    _before: dict[int, str] = field(default_factory=dict)
    """The moment that stands for just before a step."""

    def before(self, step: int) -> Moment | None:
        """What was observed last before a step, with no step between; a number after the last step means the end."""
        if step not in self._before and all(known.number < step for known in self.trial.steps):
            return self.moments.get("end")
        return self.moments.get(self._before.get(step, ""))

    def after(self, step: int) -> Moment | None:
        """What was observed just after a step, before the next one."""
        found = self.moments.get(f"after {step}")
        if found is None and self.trial.steps and step == self.trial.steps[-1].number:
            return self.moments.get("end")
        if found is None:
            following = [known.number for known in self.trial.steps if known.number > step]
            return self.before(following[0]) if following else None
        return found

    def since(self, step: int) -> Moment | None:
        """The moment that a claim's `since` means: 0 is the start."""
        return self.before(step) if step else self.moments.get("start")

    def settled_moment(self) -> Moment | None:
        """The moment that claims about the end are judged at."""
        return self.moments.get("remounted" if self.crashed else "end")

    @property
    def crashed(self) -> bool:
        """Whether the trial shuts its file system down: what the page cache held means nothing then."""
        return self.trial.crash or any(isinstance(step.call, calls.Shutdown) for step in self.trial.steps)

    @property
    def left_running(self) -> bool:
        """Whether an actor was still running when the last step was over."""
        end = self.moments.get("end")
        return end is not None and not end.quiet

    def states(self, file: str) -> Iterator[tuple[Moment, FileState]]:
        """Every state of one file, in order."""
        for moment in self.moments.values():
            state = moment.state.files.get(file)
            if state is not None:
                yield moment, state


def read(trial: Trial, trace: Trace) -> Record:
    """The record of a trace. What is wrong with the trace is in `problem`."""
    record = Record(trial)
    reader = _Reader(record)
    record.problem = _head(trial, trace)
    for event in trace.events:
        problem = reader.take(event)
        record.problem = record.problem or problem
    return record


def _head(trial: Trial, trace: Trace) -> str:
    if trace.trial != trial.name:
        return f"expected the trace of {trial.name}, found that of {trace.trial}"
    for index, event in enumerate(trace.events):
        if isinstance(event, Began):
            if index:
                return f"expected `began` as the first event, found it as number {index + 1}"
            if event.trial != trial.name:
                return f"expected a trace that begins {trial.name}, found one that begins {event.trial}"
            if event.format != FORMAT:
                return (
                    f"expected a trace of format {FORMAT}, found format {event.format}: "
                    "it was made by another version of the suite"
                )
            return ""
    return "" if any(isinstance(event, (Died, Broke)) for event in trace.events) else "the trace does not begin"


class _Reader:
    """Takes one event after the other, and knows which may come now."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.steps: dict[int, Step] = {step.number: step for step in record.trial.steps}
        self.numbers = list(self.steps)
        self.done = 0
        """How many steps are finished."""
        self.under_way: int | None = None
        self.running: set[str] = set()
        self.reachable = True
        self.fresh = ""
        """The last moment, while no step was begun since."""
        self.seen_began = False

    def take(self, event: Event) -> str:
        """Adds an event to the record; what is impossible about it, or nothing."""
        record = self.record
        if record.ended is not None and not isinstance(event, Died):
            return f"an event after the trial had ended: {type(event).__name__}"
        match event:
            case Began():
                if self.seen_began:
                    return "the trial began twice"
                self.seen_began = True
            case Observed():
                return self._observed(event)
            case Stepping():
                return self._stepping(event)
            case Stepped():
                return self._stepped(event)
            case Settled():
                if self.under_way is not None or self.done < len(self.numbers):
                    return f"settled after {self.done} of {len(self.numbers)} steps"
                record.settled = event
                self.running.clear()
            case Owners():
                record.owners[event.file] = event
            case CheckerRan():
                record.checked = event.checked
            case Console():
                record.console = (*(record.console or ()), *event.lines)
            case Failed():
                record.failed.append(event)
                if event.doing.startswith(TOOLS) and event.result in ("ENOENT", "EACCES", "ENOEXEC"):
                    return f"{event.doing} failed ({event.result}): the guest lacks the tool"
            case Broke():
                return f"the harness broke: {event.problem}"
            case Died():
                record.died = event
            case Ended():
                record.ended = event
            case _:
                return f"an event that the judge does not know: {type(event).__name__}"
        return ""

    def _observed(self, event: Observed) -> str:
        problem = self._misplaced(event.at)
        if event.at in self.record.moments:
            problem = problem or f"{event.at!r} was observed twice"
        if event.at in ("remounted", "emptied"):
            self.reachable = True
        self.record.moments[event.at] = Moment(
            event.at, event.state, self.record.stepping, not self.running, self.reachable
        )
        self.fresh = event.at
        return problem

    def _misplaced(self, at: str) -> str:
        """Whether a moment of that name can be now."""
        word, _, number = at.partition(" ")
        if self.under_way is not None:
            return f"{at!r} was observed while step {self.under_way} was under way"
        if word in ("before", "after") and number.isascii() and number.isdigit():
            place = self.done if word == "before" else self.done - 1
            if 0 <= place < len(self.numbers) and self.numbers[place] == int(number):
                return ""
            return f"{at!r} was observed after {self.done} steps, which is not its place"
        if at in ("pristine", "start"):
            return f"{at!r} was observed after step {self.record.stepping}" if self.record.stepping else ""
        if at not in (*TAIL, "emptied"):
            return f"{at!r} is not a moment that the judge knows"
        if self.done < len(self.numbers):
            return f"{at!r} was observed after {self.done} of {len(self.numbers)} steps"
        order = (*TAIL, "emptied")
        late = [name for name in self.record.moments if name in order and order.index(name) > order.index(at)]
        return f"{at!r} was observed after {late[0]!r}" if late else ""

    def _stepping(self, event: Stepping) -> str:
        if self.under_way is not None:
            return f"step {event.step} was begun while step {self.under_way} was under way"
        if self.done >= len(self.numbers) or self.numbers[self.done] != event.step:
            wanted = f"step {self.numbers[self.done]}" if self.done < len(self.numbers) else "no more steps"
            return f"expected {wanted}, found step {event.step} begun"
        self.record.stepping = self.under_way = event.step
        self.record.running_at[event.step] = frozenset(self.running)
        if self.fresh:
            self.record._before[event.step] = self.fresh
        self.fresh = ""
        if isinstance(self.steps[event.step].call, calls.Shutdown):
            self.reachable = False
        return ""

    def _stepped(self, event: Stepped) -> str:
        if event.actor:
            return self._reported(event)
        if self.under_way != event.step:
            return f"step {event.step} ended without having begun"
        self.record.steps[event.step] = event
        self.under_way = None
        self.done += 1
        call = self.steps[event.step].call
        if isinstance(call, calls.Start) and event.outcome.ok:
            self.running.add(call.actor)
        elif isinstance(call, calls.Stop) and event.outcome.ok:
            self.running.discard(call.actor)
        return ""

    def _reported(self, event: Stepped) -> str:
        for actor in self.record.trial.actors:
            if actor.name == event.actor and any(step.number == event.step for step in actor.steps):
                self.record.passes.append(event)
                return ""
        return f"actor {event.actor!r} reported a step {event.step} that it does not have"
