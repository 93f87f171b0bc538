"""Judges the calls: results, numbers, what was seen, transactions; and that a refused call changed nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from conformance.judge import changes
from conformance.judge.bench import Bench
from conformance.judge.claims import nearest
from conformance.judge.record import BYSTANDER
from conformance.model.trace import Stepped
from conformance.model.trial import Step
from kernel import calls

MAY_STOP_HALFWAY: dict[str, frozenset[type[calls.Call]]] = {
    result: frozenset({calls.Fallocate, calls.CopyRange, calls.Defragment})
    for result in ("ENOSPC", "EDQUOT", "EINTR", "EFBIG")
}
"""Results after which a call may have done a part of its work: these are not promised to be all or nothing."""


def judge_steps(bench: Bench) -> None:
    """Every step of the main process and of the actors."""
    for step in bench.trial.steps:
        done = bench.record.steps.get(step.number)
        if done is None:
            continue
        _judge_call(bench, step, done)
        _transactions(bench, step, done)
        _refused(bench, step, done)
        _swap_load(bench, step, done)
    for actor in bench.trial.actors:
        _judge_actor(bench, actor.name, actor.steps)


def conforms(step: Step, result: str) -> bool:
    """Whether a result is one of those that the step expects."""
    return "any" in step.expect or result in step.expect


def answered(step: Step, done: Stepped) -> bool:
    """Whether the step's numbers apply: the call succeeded, or was to be refused and was."""
    return done.outcome.ok or ("OK" not in step.expect and done.outcome.result in step.expect)


def expected_text(step: Step) -> str:
    """The results that conform."""
    return "anything" if "any" in step.expect else " or ".join(step.expect)


def _judge_call(bench: Bench, step: Step, done: Stepped) -> None:
    level = bench.trial.rule.level
    outcome = done.outcome
    if not conforms(step, outcome.result):
        bench.find("outcome", step.number, step.call.do, expected_text(step), outcome.result, "the case", level=level)
        return
    if not answered(step, done):
        return
    for name, expected, found in _numbers(step, done):
        bench.find("returns", step.number, name, expected, found, "the case", level=level)
    for name, least in step.at_least.items():
        value = outcome.values.get(name)
        if value is None or value < least:
            told = f"{name} = {_number(value)}, it takes {least}"
            bench.vacuous.append(f"step {step.number} ({step.call.do}) answered {told}")
    for expected, found in _sees(bench, step, done):
        bench.find("sees", step.number, step.call.do, expected, found, "the case", level=level)


def _numbers(step: Step, done: Stepped) -> Iterator[tuple[str, str, str]]:
    for name, wanted in step.returns.items():
        value = done.outcome.values.get(name)
        if value != wanted:
            yield name, f"{name} = {wanted}", f"{name} = {_number(value)}"


def _number(value: int | None) -> str:
    return "nothing" if value is None else str(value)


def _sees(bench: Bench, step: Step, done: Stepped) -> Iterator[tuple[str, str]]:
    if step.sees and done.outcome.ok:
        candidates = [bench.content(pieces) for pieces in step.sees]
        for change in nearest(candidates, done.outcome.seen, bench, "sees"):
            yield change.expected, change.observed


def _transactions(bench: Bench, step: Step, done: Stepped) -> None:
    if step.transactions == "any" or not done.outcome.ok:
        return
    before, after = done.counters_before, done.counters_after
    if not before or before.keys() != after.keys():
        bench.vacuous.append(f"step {step.number} ({step.call.do}): the kernel tells no transaction counters here")
        return
    moved = {name: (before[name], after[name]) for name in sorted(before) if before[name] != after[name]}
    level = bench.trial.rule.level
    if step.transactions == "none" and moved:
        told = ", ".join(f"{new - old} {name} ({old} before, {new} after)" for name, (old, new) in moved.items())
        bench.find("transactions", step.number, step.call.do, "no transaction starts", told, "the case", level=level)
    elif step.transactions == "some" and not moved:
        told = ", ".join(f"{name} stayed at {value}" for name, value in sorted(before.items()))
        expected = "some transaction: it is the control that shows that the counters see them"
        bench.find("transactions", step.number, step.call.do, expected, told, "the case", level=level)


def _refused(bench: Bench, step: Step, done: Stepped) -> None:
    """A call that did not succeed changed nothing, and neither time nor attribute of any file. Only where it was
    observed, no actor was running, and the file system was not shut down; the bystander is judged apart."""
    result = done.outcome.result
    if not step.call.observed or done.outcome.ok or type(step.call) in MAY_STOP_HALFWAY.get(result, ()):
        return
    before, after = bench.record.before(step.number), bench.record.after(step.number)
    if before is None or after is None or not (before.reachable and after.reachable and before.quiet and after.quiet):
        return
    because = f"a call that answers {result} changes nothing"
    for file in sorted({*before.state.files, *after.state.files} - {BYSTANDER}):
        old, new = before.state.files.get(file), after.state.files.get(file)
        if old is None or new is None:
            told = ("it existed" if old else "it did not exist", "it exists" if new else "it does not exist any more")
            bench.find("existence", step.number, file, *told, because, since=before.at, at=after.at)
            continue
        for change in changes.changes(old, new, bench.block, tolerance=bench.tolerance(before, old, file)):
            bench.find(
                change.what, step.number, file, change.expected, change.observed, because, since=before.at, at=after.at
            )
    if isinstance(step.call, (calls.Swapon, calls.Swapoff)):
        areas = (before.state.system.swap_areas, after.state.system.swap_areas)
        if step.call.file in areas[1] and step.call.file not in areas[0]:
            bench.find("swap area", step.number, step.call.file, "not active", "active", because)
        elif step.call.file in areas[0] and step.call.file not in areas[1]:
            bench.find("swap area", step.number, step.call.file, "active", "not active", because)


def _swap_load(bench: Bench, step: Step, done: Stepped) -> None:
    bad = done.outcome.values.get("bad_pages", 0)
    if isinstance(step.call, calls.SwapLoad) and bad:
        bench.find(
            "swapped pages",
            step.number,
            step.call.do,
            "every page comes back as it went out",
            f"{bad} pages came back changed",
            "what is swapped in is what was swapped out",
        )


def _judge_actor(bench: Bench, name: str, steps: tuple[Step, ...]) -> None:
    """Every pass of an actor; what shows in several passes is told once."""
    reported = [done for done in bench.record.passes if done.actor == name]
    level = bench.trial.rule.level
    for step in steps:
        subject = f"{name}, step {step.number} ({step.call.do})"
        passes = [done for done in reported if done.step == step.number]
        wrong = Counter(done.outcome.result for done in passes if not conforms(step, done.outcome.result))
        for result, count in wrong.items():
            told = f"{result} in {count} of {len(passes)} passes"
            bench.find("outcome", 0, subject, expected_text(step), told, "the case", level=level)
        told_once: set[tuple[str, str]] = set()
        for done in passes:
            if not conforms(step, done.outcome.result) or not answered(step, done):
                continue
            pass_text = f" in pass {done.turn}"
            for number, expected, found in _numbers(step, done):
                if ("returns", number) not in told_once:
                    told_once.add(("returns", number))
                    bench.find("returns", 0, subject, expected, found + pass_text, "the case", level=level)
            for expected, found in _sees(bench, step, done):
                if ("sees", "") not in told_once:
                    told_once.add(("sees", ""))
                    bench.find("sees", 0, subject, expected, found + pass_text, "the case", level=level)
        for number, least in step.at_least.items():
            best = max((done.outcome.values.get(number, 0) for done in passes), default=0)
            if best < least:
                bench.vacuous.append(f"{subject} answered at most {number} = {best}, it takes {least}")
