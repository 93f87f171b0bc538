"""Whether a trial met its situation. What is missing makes it vacuous: it proves nothing, and never passes."""

from __future__ import annotations

from conformance.judge import extents
from conformance.judge.bench import Bench
from conformance.judge.console import LOST
from conformance.model.trace import Stepped
from kernel import calls

NOT_THE_CALL = (calls.Start, calls.Stop, calls.Blocked)
"""Steps that only manage actors: a pass that ends while `stop` waits for it proves no overlap."""


def judge_witness(bench: Bench) -> None:
    """Adds to `bench.vacuous`."""
    start = bench.record.moments.get("start")
    witness = bench.trial.witness
    wanted = {*witness.extents, *witness.fragments, *witness.delalloc, *witness.shared}
    states = start.state.files if start else {}
    for file in sorted(wanted - states.keys()):
        bench.vacuous.append(f"{file} was not there at the start")
    found = {file: state.extents for file, state in states.items()}
    for file, least in witness.extents.items():
        if file in found and len(found[file]) < least:
            bench.vacuous.append(f"{file} has {len(found[file])} extents at the start, it takes {least}")
    for file, least in witness.fragments.items():
        if file in found and extents.fragments(found[file]) < least:
            count = extents.fragments(found[file])
            bench.vacuous.append(f"{file} has {count} extents that do not touch at the start, it takes {least}")
    for flag, files in (("delalloc", witness.delalloc), ("shared", witness.shared)):
        for file in files:
            if file in found and not any(flag in extent.flags for extent in found[file]):
                bench.vacuous.append(f"{file} has no extent that is {flag} at the start")
    for actor, least in witness.overlap.items():
        count = overlapping(bench, actor)
        if count < least:
            bench.vacuous.append(f"{actor} finished {count} passes while the call was under way, it takes {least}")
    _owners(bench)
    _actors(bench)
    if LOST in (bench.record.console or ()):
        bench.vacuous.append("the kernel printed more than could be read, so that what it said is not known")


def overlapping(bench: Bench, actor: str) -> int:
    """How many passes an actor finished while a step of the main process was under way that does not manage actors."""
    steps = [step for step in bench.trial.steps if not isinstance(step.call, NOT_THE_CALL)]
    spans = [(done.began, done.ended) for step in steps if (done := bench.record.steps.get(step.number)) is not None]
    return sum(any(began <= end <= ended for began, ended in spans) for end in _ends(bench, actor))


def _ends(bench: Bench, actor: str) -> list[int]:
    """When each whole pass of an actor ended."""
    last = [known.steps[-1].number for known in bench.trial.actors if known.name == actor and known.steps]
    return [done.ended for done in _passes(bench, actor) if [done.step] == last]


def _passes(bench: Bench, actor: str) -> list[Stepped]:
    return [done for done in bench.record.passes if done.actor == actor]


def _owners(bench: Bench) -> None:
    for file in bench.trial.owners:
        owners = bench.record.owners.get(file)
        if owners is not None and owners.blocks == 0:
            bench.vacuous.append(f"{file} has no bmap btree blocks whose owner could be looked at")


def _actors(bench: Bench) -> None:
    """An actor that was started and stopped, and did nothing."""
    for step in bench.trial.steps:
        done = bench.record.steps.get(step.number)
        if isinstance(step.call, calls.Stop) and done is not None and done.outcome.ok:
            for actor in bench.trial.actors:
                if actor.name == step.call.actor and actor.steps and not _ends(bench, actor.name):
                    bench.vacuous.append(f"actor {actor.name} was stopped before it finished a pass")
