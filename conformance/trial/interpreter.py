"""Makes the steps of a trial against any kernel and tells what happened, as events.

The order is always the same, and the judge relies on it:

Began, Observed "pristine" (an empty file system), Observed "start" (the files exist and are
written out); for each step Observed "before N" where it is needed, Stepping, Stepped, Observed
"after N"; Observed "end", Settled, Observed "flushed", "dropped", "remounted"; CheckerRan and
Owners on the unmounted file system; Observed "emptied" (the files removed), Console, Ended.

Where the kernel fails at one of these, `Failed` stands in its place, and what depends on it is left out.

After a crash (`trial.crash`) what the page cache holds means nothing: only "remounted" and what
comes after it is observed. Observations that would repeat the one before them are left out.
"""

from __future__ import annotations

import errno
import json
import subprocess
import time
from collections.abc import Callable
from functools import partial

from conformance.model.codec import DecodeError, decode, encode
from conformance.model.trace import (
    Began,
    CheckerRan,
    Console,
    Event,
    Failed,
    Observed,
    Owners,
    Settled,
    Stepped,
    Stepping,
)
from conformance.model.trial import Actor, Step, Trial
from kernel import calls
from kernel.pattern import ZERO
from kernel.protocol import Kernel, Outcome
from kernel.setup import FileSpec, Segment

TOLD_FIRST = 200
"""Passes of a looping actor that are all told."""
TOLD_EVERY = 1_000_000
"""Nanoseconds: after those, one pass is told in this time."""

Emit = Callable[[Event], None]

BYSTANDER = "bystander"
"""A file that no case names and nothing may change."""


def sources(trial: Trial) -> tuple[str, ...]:
    """Every name that contents may carry."""
    steps = tuple(f"step{step.number}" for step in trial.steps)
    return (BYSTANDER, *(spec.name for spec in trial.files), *steps, *(actor.name for actor in trial.actors), ZERO)


def run(trial: Trial, kernel: Kernel, emit: Emit) -> None:
    """Makes the trial. Errors of the kernel become outcomes; what else is raised is the harness's fault."""
    emit(Began(trial.name))
    kernel.open_trial(trial.name, trial.salt, trial.system, sources(trial))
    try:
        _Run(trial, kernel, emit).all()
    finally:
        kernel.close_trial()


class _Run:
    """One trial under way."""

    def __init__(self, trial: Trial, kernel: Kernel, emit: Emit) -> None:
        self.trial, self.kernel, self.emit = trial, kernel, emit
        self.actors = {actor.name: actor for actor in trial.actors}
        claims = (*trial.after, *(claim for step in trial.steps for claim in step.then))
        self.moments = {claim.since for claim in claims}
        self.fresh = False
        """Nothing happened since the last observation."""
        self.crashed = False
        self.blind = False
        """The files cannot be looked at any more: what the steps answer is all that is still told."""

    def all(self) -> None:
        """From the pristine file system to the emptied one."""
        bystander = FileSpec(BYSTANDER, (Segment("data", 2 * self.trial.system.block),))
        self.observe("pristine")
        self.kernel.make_files((bystander, *self.trial.files))
        self.observe("start")
        for step in self.trial.steps:
            self.step(step)
        self.finish()

    def observe(self, at: str, *, maps: bool = False) -> None:
        """Emits an observation of now."""
        self.emit(Observed(at, self.kernel.observe(maps=maps)))
        self.fresh = True

    def step(self, step: Step) -> None:
        """One step of the main process."""
        looked_at = bool(step.call.observed or step.then)
        if not self.fresh and (looked_at or step.number in self.moments):
            self.look(f"before {step.number}")
        if not step.same_tick:
            self.kernel.tick()
        self.emit(Stepping(step.number))
        if isinstance(step.call, calls.Shutdown):
            self.crashed = True
        counting = step.transactions != "any"
        before = self.kernel.counters().values if counting else {}
        began = time.monotonic_ns()
        outcome = self.perform(step)
        ended = time.monotonic_ns()
        after = self.kernel.counters().values if counting else {}
        self.fresh = False
        self.emit(Stepped(step.number, outcome, began, ended, counters_before=before, counters_after=after))
        if looked_at:
            self.look(f"after {step.number}")

    def look(self, at: str) -> None:
        """Observes the files around a step, as long as they can be looked at."""
        if not self.crashed and not self.blind:
            self.blind = not self.attempt(f"looking at the files {at.replace(' ', ' step ')}", lambda: self.observe(at))

    def perform(self, step: Step) -> Outcome:
        """The outcome of a step's call."""
        call = step.call
        if isinstance(call, calls.Start):
            actor = self.actors[call.actor]
            self.kernel.start_actor(call.actor, lambda stopped, report: act(self.kernel, actor, stopped, report))
            return Outcome("OK")
        if isinstance(call, calls.Blocked):
            return self.kernel.actor_blocked(call.actor)
        if isinstance(call, calls.Stop):
            for line in self.kernel.stop_actor(call.actor):
                self.emit(_reported(line, call.actor))
            return Outcome("OK")
        return self.kernel.perform(call, f"step{step.number}")

    def finish(self) -> None:
        """What is looked at after every trial, without being asked for."""
        kernel = self.kernel
        if not self.crashed:
            self.attempt("looking at the files at the end", lambda: self.observe("end", maps=True))
        self.attempt("swapoff, thaw", lambda: self.emit(Settled(kernel.settle())))
        if not self.crashed and self.attempt("writing everything out", kernel.flush):
            self.attempt("looking at the files after writing out", lambda: self.observe("flushed", maps=True))
            kernel.drop_caches()
            self.attempt("reading the files anew", lambda: self.observe("dropped", maps=True))
        mounted = self.attempt("unmounting and mounting again", kernel.remount_files)
        if mounted:
            self.attempt("looking at the files after a remount", lambda: self.observe("remounted"))
        if (self.trial.remaps or self.trial.owners) and self.attempt("unmounting", kernel.unmount):
            for file in self.trial.owners:
                self.attempt(f"reading the bmap btree of {file}", partial(self.owners, file))
            if self.trial.remaps:
                self.attempt("running the checker", lambda: self.emit(CheckerRan(kernel.check())))
        if mounted and self.attempt("removing the files", kernel.remove_files):
            self.attempt("looking at the emptied file system", lambda: self.observe("emptied"))
        self.emit(Console(kernel.console()))

    def owners(self, file: str) -> None:
        """Emits the owners found in a file's bmap btree."""
        found = self.kernel.btree_owners(file)
        self.emit(Owners(file, found.inode, found.blocks, found.foreign))

    def attempt(self, doing: str, action: Callable[[], None]) -> bool:
        """Whether it worked; where it did not, that is told."""
        try:
            action()
        except (OSError, subprocess.SubprocessError) as error:
            number = (error.errno if isinstance(error, OSError) else None) or 0
            self.emit(Failed(doing, errno.errorcode.get(number, str(error))))
            return False
        return True


def act(kernel: Kernel, actor: Actor, stopped: Callable[[], bool], report: Callable[[str], None]) -> None:
    """What an actor does, in its own process: its steps once, or until it is told to stop.

    A loop may go round a hundred thousand times. Its first passes are all told; after that its last one, one in
    every `TOLD_EVERY`, and each that found what none before it had found.
    """
    known: set[tuple[object, ...]] = set()
    turn, told = 0, 0
    while True:
        passed: list[Stepped] = []
        for step in actor.steps:
            began = time.monotonic_ns()
            outcome = kernel.perform(step.call, actor.name, turn)
            passed.append(Stepped(step.number, outcome, began, time.monotonic_ns(), actor.name, turn))
        over = not actor.loop or stopped()
        new = {_found(event) for event in passed} - known
        known |= new
        if over or new or turn < TOLD_FIRST or passed[-1].ended - told >= TOLD_EVERY:
            told = passed[-1].ended
            for event in passed:
                report(json.dumps(encode(event)))
        turn += 1
        if over:
            return


def _found(event: Stepped) -> tuple[object, ...]:
    """What a step of an actor found, without the number of the pass that wrote it."""
    seen = tuple((run.source, run.at, run.length) for run in event.outcome.seen)
    return (event.step, event.outcome.result, *sorted(event.outcome.values.items()), seen)


def _reported(line: str, actor: str) -> Stepped:
    if not line.startswith("{"):
        raise DecodeError(actor, line)
    event = decode(Event, json.loads(line))
    if not isinstance(event, Stepped) or event.actor != actor:
        raise DecodeError(actor, "the actor reported something that is not a step of its own")
    return event
