"""Measures what the suite promises about speed, and prints a table for docs/measurements.md.

`make bench` runs it. Everything is measured in one run on one guest, the file systems in turns, and told as
medians; compare rows with each other rather than with another machine's.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from conformance.cachedir import cache_dir
from conformance.corpus import load, select_variants
from conformance.corpus.targets import Variant
from conformance.images import boot_image
from conformance.judge import judge
from conformance.machines.session import Session
from conformance.machines.uml import UmlMachine
from conformance.model.trial import RuleText, Step, Trial
from conformance.share import share_dir
from kernel import calls
from kernel.calls import Call
from kernel.setup import FileSpec, Segment
from kernel.units import Bytes, FdName, MapName, NewName, Span

ROUNDS = 30
WARM_ROUNDS = 5
COLLECTED = 1000

TARGET, DONOR, VIEW = FdName("target"), FdName("donor"), MapName("view")
RULE = RuleText("BENCH-1", "MUST", "A simple trial is cheap.", "the benchmark")
CALLS: tuple[Call, ...] = (
    calls.Write(TARGET, Span(0, 4096)),
    calls.Read(TARGET, Span(0, 4096)),
    calls.Fsync(TARGET),
    calls.Chmod(TARGET, "0640"),
    calls.SetXattr(TARGET),
    calls.Utimes(TARGET, "now"),
    calls.Map(TARGET, NewName("view")),
    calls.Store(VIEW, Span(4096, 4096)),
    calls.Load(VIEW, Span(0, 8192)),
    calls.Unmap(VIEW),
    calls.Truncate(DONOR, Bytes(60000)),
    calls.Fallocate(DONOR, "keep_size", Span(65536, 65536)),
    calls.Write(DONOR, Span(0, 4096)),
    calls.Write(DONOR, Span(8192, 4096), direct=True),
    calls.Read(DONOR, Span(0, 16384), direct=True),
    calls.Fallocate(DONOR, "punch", Span(4096, 4096)),
    calls.Sync(),
    calls.Write(TARGET, Span(0, 4096), "same"),
    calls.Fsync(DONOR),
    calls.Read(DONOR),
)
"""Twenty calls of the usual kinds."""


def simple(variant: Variant) -> Trial:
    """Twenty calls on two files of 16 blocks of 4 KiB."""
    files = tuple(FileSpec(name, (Segment("data", 65536),)) for name in ("target", "donor"))
    steps = tuple(Step(number, call) for number, call in enumerate(CALLS, 1))
    return Trial("bench", "bench", "bench", RULE, variant.name, variant.system, files, steps)


def timed(action: Callable[[], object]) -> float:
    """Milliseconds."""
    began = time.perf_counter()
    action()
    return (time.perf_counter() - began) * 1000


def marginal(session: Session, variants: list[Variant]) -> dict[str, float]:
    """Milliseconds for a simple trial, judged; and for the same with the checker after it, and with `true` for one."""
    rows: dict[str, list[float]] = {}

    def run(name: str, trial: Trial) -> None:
        def once() -> None:
            verdict = judge(trial, session.run(trial))
            if verdict.kind != "pass":
                raise SystemExit(f"{name}: {verdict}")

        rows.setdefault(name, []).append(timed(once))

    for turn in range(ROUNDS + 1):
        for variant in variants:
            trial = simple(variant)
            # One call that can change mappings, so that the checker runs.
            checked = replace(trial, steps=(*trial.steps, Step(21, calls.CopyRange(TARGET, DONOR, Span(0, 4096)))))
            with_true = replace(checked, system=replace(checked.system, check=("true",)))
            run(f"{variant.name}: 20 calls", trial)
            run(f"{variant.name}: 20 calls, one more, and `true` in place of the checker", with_true)
            run(f"{variant.name}: 20 calls, one more, and the checker", checked)
        if turn == 0:
            rows.clear()  # mkfs, and caches that are cold once
    return {name: statistics.median(values) for name, values in rows.items()}


def warm_start() -> float:
    """Seconds from the start of `pytest --fs=ext4:4k`, one trial, to its end, guest included."""
    words = [sys.executable, "-m", "pytest", "--fs=ext4:4k", "-q", "--rule=EXT4-BASIC-1", "-n0"]
    times = []
    for turn in range(WARM_ROUNDS + 1):
        began = time.perf_counter()
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(done.stdout + done.stderr)
        if turn:
            times.append(time.perf_counter() - began)
    return statistics.median(times)


def collection() -> float:
    """Seconds to load a corpus and plan a thousand trials, in a fresh interpreter."""
    program = (
        "import time; began = time.perf_counter()\n"
        "import sys; from pathlib import Path\n"
        "from conformance.corpus import load, select_variants\n"
        "corpus = load([Path(root) for root in sys.argv[1:]])\n"
        "planned, _ = corpus.plan(select_variants('ext4,xfs,btrfs', corpus.targets), '6.1.0')\n"
        "print(len(planned), time.perf_counter() - began)\n"
    )
    times = []
    with tempfile.TemporaryDirectory() as folder:
        root = _copies(Path(folder))
        for _ in range(WARM_ROUNDS):
            said = subprocess.run(
                [sys.executable, "-c", program, str(share_dir() / "cases"), str(root)],
                capture_output=True,
                text=True,
                check=True,
            ).stdout.split()
            times.append(float(said[1]) * COLLECTED / int(said[0]))
    return statistics.median(times)


def _copies(folder: Path) -> Path:
    """The corpus's own cases again under other names, until there are more than a thousand trials."""
    source = share_dir() / "cases"
    cases = [path for name in ("move", "swap") for path in sorted((source / name).rglob("*.toml"))]
    for number in range(max(1, 400 // len(cases))):
        for path in cases:
            copy = folder / str(number) / path.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(path.read_text().replace('title = "', f'title = "Copy {number}: ', 1))
    return folder


def main() -> None:
    """Prints the table."""
    corpus = load([share_dir() / "cases"]).require()
    variants = select_variants("ext4:4k,xfs:rmapbt0,btrfs:default", corpus.targets)
    image = boot_image("uml-6.1", lambda text: print(text, file=sys.stderr))
    boots = []
    for _ in range(WARM_ROUNDS):
        began = time.perf_counter()
        session = Session.boot(UmlMachine(), image, cache_dir() / "pristine", lambda _: None)
        boots.append(time.perf_counter() - began)
        if len(boots) < WARM_ROUNDS:
            session.stop()
    try:
        costs = marginal(session, variants)
    finally:
        session.stop()
    rows = {"boot to hello": f"{statistics.median(boots):.2f} s"}
    rows |= {name: f"{value:.1f} ms" for name, value in costs.items()}
    rows["warm start: `pytest` from its start to its end with one trial"] = f"{warm_start():.2f} s"
    rows["collection of 1,000 trials"] = f"{collection():.2f} s"
    print(f"\nUser-mode Linux {session.hello.release}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}\n")
    print("| what | median |\n|---|---|")
    for name, value in rows.items():
        print(f"| {name} | {value} |")


if __name__ == "__main__":
    main()
