"""From a trial and its trace to the verdict.

An error of the harness comes first: such a trace says nothing about the kernel. A kernel that
died or hung comes next, with whatever was found up to there. Then findings: a failure, unless all of
them are of a rule that says MAY, which only records which way the kernel went. Without findings that
count, a missing witness makes the trial vacuous; else it passed.

A written expectation has the level of its rule. Standing invariants, the checker and the console
are a MUST always.
"""

from __future__ import annotations

from dataclasses import replace

from conformance.judge import console
from conformance.judge.agreement import judge_agreement
from conformance.judge.bench import Bench
from conformance.judge.claims import judge_claims
from conformance.judge.complete import missing
from conformance.judge.foreign import judge_foreign
from conformance.judge.record import TAIL, Record, read
from conformance.judge.steps import judge_steps
from conformance.judge.witness import judge_witness
from conformance.model.trace import Died, Trace
from conformance.model.trial import Trial
from conformance.model.verdict import Finding, Kind, Verdict

KERNEL_DEATHS = frozenset({"panic", "oops"})
"""Deaths that are the kernel's doing for certain, whatever the harness said on the way."""
HARNESS_DEATHS = frozenset({"protocol"})
"""Ends that the agent's words brought about: nothing is known of the kernel."""
CHECKER_LINES = 12
"""Lines of a checker's output that a finding quotes, the last ones."""


def judge(trial: Trial, trace: Trace) -> Verdict:
    """What the trace says of the trial. Nothing but these two is looked at."""
    record = read(trial, trace)
    died = record.died
    if died is None and not record.problem:
        record.problem = missing(record)
    if record.problem and (died is None or died.kind not in KERNEL_DEATHS):
        return _verdict(record, trace, "error", record.problem)
    if died is not None and died.kind in HARNESS_DEATHS:
        return _verdict(record, trace, "error", f"the agent did not keep to the protocol: {died.detail}")
    if died is not None and not trace.events[:-1] and died.kind not in KERNEL_DEATHS | {"hang"}:
        return _verdict(record, trace, "error", f"the guest ended before it received the trial: {died.detail}")
    bench = Bench(record)
    judge_steps(bench)
    judge_claims(bench)
    judge_agreement(bench)
    judge_foreign(bench)
    _failed(bench)
    first_fault = _console(bench)
    _taint(bench)
    _checker(bench)
    _owners(bench)
    judge_witness(bench)
    lines = _lines(record, first_fault)
    if died is not None:
        kind: Kind = "hang" if died.kind == "hang" else "crash"
        return replace(
            _verdict(record, trace, kind, _last_words(record, died), lines),
            findings=ordered((*bench.findings, _death(record, died))),
        )
    findings = ordered(bench.findings)
    if any(finding.level != "MAY" for finding in findings):
        return replace(_verdict(record, trace, "fail", "", lines), findings=findings)
    if bench.vacuous:
        reason = "; ".join(dict.fromkeys(bench.vacuous))
        return replace(_verdict(record, trace, "vacuous", reason, lines), findings=findings)
    return replace(_verdict(record, trace, "pass", "", lines), findings=findings)


def _verdict(record: Record, trace: Trace, kind: Kind, reason: str, lines: tuple[str, ...] | None = None) -> Verdict:
    shown = _lines(record, None) if lines is None else lines
    return Verdict(record.trial.name, kind, reason=reason, console=shown, seconds=trace.seconds)


def _lines(record: Record, first_fault: int | None) -> tuple[str, ...]:
    """What the kernel printed: around the first fault, or what is not said in every trial."""
    if record.died is not None and record.died.console:
        return record.died.console
    lines = record.console or ()
    return console.without_everyday(lines) if first_fault is None else console.excerpt(lines, first_fault)


# --- the end of a guest -----------------------------------------------------------------------


def _last_words(record: Record, died: Died) -> str:
    """Where it was when the guest ended."""
    happened = "the guest did not answer" if died.kind == "hang" else f"the guest ended ({died.kind})"
    return f"{happened} {_place(record)}: {died.detail}"


def _place(record: Record) -> str:
    for step in record.trial.steps:
        if step.number == record.stepping and step.number not in record.steps:
            return f"in step {step.number} ({step.call.do})"
    if record.stepping:
        last = next(reversed(record.moments), "")
        if record.settled is not None or last in TAIL:
            return f"after the last step (what was observed last: {last!r})"
        return f"after step {record.stepping}"
    return "before the first step"


def _death(record: Record, died: Died) -> Finding:
    under_way = record.stepping if record.stepping not in record.steps else 0
    what = "hang" if died.kind == "hang" else "crash"
    expected = "an answer" if died.kind == "hang" else "the kernel goes on"
    subject = next((step.call.do for step in record.trial.steps if step.number == under_way), "the guest")
    observed = died.detail if died.kind == "hang" else f"{died.kind}: {died.detail}"
    return Finding(what, under_way, subject, expected, observed, "no call may bring the kernel down")


# --- what is told at the end ------------------------------------------------------------------


def _failed(bench: Bench) -> None:
    for failed in bench.record.failed:
        because = "this must work after every trial"
        bench.find("failed", 0, failed.doing, "it works", failed.result, because)


def _console(bench: Bench) -> int | None:
    """Findings for what the kernel printed; the index of the first such line."""
    first: int | None = None
    for index, text, sign in console.faults(bench.record.console or (), shut_down=bench.record.crashed):
        first = index if first is None else first
        bench.find("console", 0, "kernel log", "nothing that tells of a fault", text, sign.reason)
    return first


def _taint(bench: Bench) -> None:
    if bench.record.ended is not None:
        for text in console.taints(bench.record.ended.tainted):
            bench.find("tainted", 0, "kernel", "not tainted", text, "a kernel that met a fault is tainted")


def _checker(bench: Bench) -> None:
    checked = bench.record.checked
    if checked is None or checked.status == 0:
        return
    output = "\n".join(checked.output.strip().splitlines()[-CHECKER_LINES:])
    bench.find(
        "checker",
        0,
        checked.command,
        "status 0",
        f"status {checked.status}\n{output}".rstrip(),
        "the unmounted file system is consistent",
    )


def _owners(bench: Bench) -> None:
    for file in bench.trial.owners:
        owners = bench.record.owners.get(file)
        if owners is not None and owners.foreign:
            listed = ", ".join(map(str, sorted(set(owners.foreign))))
            bench.find(
                "owners",
                0,
                file,
                f"inode {owners.inode} in each of {owners.blocks} blocks",
                f"{len(owners.foreign)} blocks name {listed}",
                "every block of a bmap btree names its inode",
                level=bench.trial.rule.level,
            )


# --- order ------------------------------------------------------------------------------------

_FIRST = (
    "failed",
    "crash",
    "hang",
    "outcome",
    "returns",
    "sees",
    "transactions",
    "swapped pages",
    "swap area",
    "existence",
    "content",
    "mapping",
    "foreign data",
    "size",
    "layout",
    "extents",
)
"""What a user needs first, of what showed at the same time. What is not listed comes after."""
_LAST = ("owners", "checker", "free space", "tainted")
"""What follows from the others."""


def ordered(findings: list[Finding] | tuple[Finding, ...]) -> tuple[Finding, ...]:
    """The findings in the order in which they showed, without those that only repeat an earlier one.

    A finding repeats another where it is of the same field of the same file, expected and observed
    the same, found by another check or at a later moment. The start comes first; then the steps; then what the kernel
    printed, because it was printed by then; then the end."""
    found: dict[tuple[str, str, str, str], Finding] = {}
    for finding in sorted(findings, key=_when):
        found.setdefault((finding.what, finding.subject, finding.expected, finding.observed), finding)
    return tuple(found.values())


def _when(finding: Finding) -> tuple[int, int, int, int]:
    if finding.at == "start":
        time = (0, 0)
    elif finding.step:
        time = (1, finding.step)
    elif finding.what in ("console", "crash", "hang"):
        time = (2, 0)
    else:
        time = (3, _MOMENTS.get(finding.at, 0))
    if finding.what in _LAST:
        return (*time[:1], 10 + _LAST.index(finding.what), 0, 0)
    order = _FIRST.index(finding.what) if finding.what in _FIRST else len(_FIRST)
    return (*time, order, 0 if finding.level == "MUST" else 1)


_MOMENTS = {at: number for number, at in enumerate((*TAIL, "emptied"))}
