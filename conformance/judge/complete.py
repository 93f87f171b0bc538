"""Says what a trace lacks: without it a check would be left out silently, and the trial seem to pass."""

from __future__ import annotations

from conformance.judge.record import BYSTANDER, TAIL, Record
from kernel import calls


def missing(record: Record) -> str:
    """What a whole trace has and this one lacks; empty for a whole one."""
    trial = record.trial
    for step in trial.steps:
        if step.number not in record.steps:
            return f"the trace ends before step {step.number} was finished, and nothing says that the guest died"
    if record.failed:
        return "" if record.ended is not None else "the trial did not end"
    tail = ("remounted",) if record.crashed else ("pristine", "start", *TAIL, "emptied")
    for at in ("start", *tail):
        if at not in record.moments:
            return f"the moment {at!r} was not observed"
    if BYSTANDER not in record.moments["start"].state.files:
        return f"the file {BYSTANDER!r}, which every trial has, was not observed at the start"
    for wanted in (_missing_moment(record), _missing_answer(record)):
        if wanted:
            return wanted
    return ""


def _missing_moment(record: Record) -> str:
    """A moment around a step that a check needs."""
    shut = False
    for step in record.trial.steps:
        shut = shut or isinstance(step.call, calls.Shutdown)
        if (step.call.observed and not shut) or step.then:
            for name, found in (("before", record.before(step.number)), ("after", record.after(step.number))):
                if found is None:
                    return f"the moment just {name} step {step.number} was not observed"
    claims = (*record.trial.after, *(claim for step in record.trial.steps for claim in step.then))
    for claim in claims:
        if record.since(claim.since) is None:
            return (
                f"the moment just before step {claim.since} was not observed; a claim about {claim.file} refers to it"
            )
    return ""


def _missing_answer(record: Record) -> str:
    """What the end of a trace lacks beside observations."""
    if record.settled is None:
        return "nothing says what had to be undone before the unmount (`settled`)"
    if record.console is None:
        return "the kernel's console was not collected"
    if record.trial.remaps and record.checked is None:
        return "the checker did not run, although the trial can change mappings"
    if record.checked is not None and record.checked.status in (126, 127):
        checked = record.checked
        return f"the checker `{checked.command}` could not be run (status {checked.status}): {checked.output}"
    for file in record.trial.owners:
        if file not in record.owners:
            return f"the owners in the bmap btree of {file} were not looked at"
    if record.ended is None:
        return "the trial did not end"
    for actor in record.trial.actors:
        for step in actor.steps:
            if step.then or step.transactions != "any":
                return f"step {step.number} of actor {actor.name} claims what nobody observes around an actor's step"
    return ""
