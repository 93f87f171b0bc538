"""Makes the plan of a run from the corpus, the kernel and what the user asked for.

Everything that can be wrong with a run is found here, before the first guest gets a trial: unknown
names, a broken corpus, a kernel without the file system, tools that the guest does not have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from conformance.corpus import Case, Corpus, Planned, Variant, load, select_variants
from conformance.corpus import NotApplicable as CorpusNotApplicable
from conformance.errors import CorpusError, CorpusErrors, SetupError, UsageError
from conformance.guest.protocol import Hello
from conformance.images import boot_image
from conformance.images.recipes import guest_recipe
from conformance.machines.registry import machine_named
from conformance.model.trial import Trial
from conformance.reports.events import NotRun
from conformance.runner.durations import Durations
from conformance.runner.facts import kernel_facts
from conformance.runner.plan import Entry, Image, Plan
from conformance.runner.select import Keep, Selector, marks_of, selector
from conformance.runner.settings import MAX_REPEAT, Selection, Settings
from conformance.share import share_dir

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Wanted:
    """What a corpus has for the variants that the user asked for."""

    corpus: Corpus
    variants: tuple[Variant, ...]
    planned: tuple[Planned, ...]
    not_run: tuple[NotRun, ...]


def corpus_roots(more: Iterable[str] = ()) -> tuple[Path, ...]:
    """The folders of cases: the project's own, then the user's. Raises UsageError for one that is not there."""
    roots = [share_dir() / "cases"]
    for name in more:
        path = Path(name).expanduser()
        if not path.is_dir():
            raise UsageError(f"--cases {name}: expected a folder with cases, found none.")
        roots.append(path)
    return tuple(roots)


def wanted(
    settings: Settings,
    roots: Sequence[Path],
    selection: Selection,
    keep: Keep,
    ask: Callable[[tuple[Variant, ...]], str],
) -> Wanted:
    """The trials that were asked for, and those that are not applicable.

    `ask` says the release of the kernel, once it is known for which variants it is to run. Raises CorpusErrors and
    UsageError."""
    corpus = load(roots, tests_only=settings.tests_only).require()
    variants = select_variants(settings.fs, corpus.targets)
    chosen = selector(corpus, roots, selection, keep)
    planned, refused = corpus.plan(variants, ask(variants))
    wanted_trials = tuple(item for item in planned if _wants(chosen, item))
    first = {variant.name for variant in variants if variant.first}
    not_run = tuple(
        NotRun(item.name, item.reason, item.rule, item.target)
        for item in refused
        if _wants_refused(chosen, item, corpus.cases[item.case], first=item.target in first)
    )
    return Wanted(corpus, variants, wanted_trials, not_run)


def make_plan(
    settings: Settings, roots: Sequence[Path], selection: Selection, keep: Keep, progress: Progress
) -> tuple[Plan, tuple[Trial, ...]]:
    """The plan, and the trials that its entries speak of.

    Raises UsageError, CorpusErrors, SetupError, and GuestError when the kernel does not come up."""
    found: list[tuple[Image, Hello]] = []

    def ask(variants: tuple[Variant, ...]) -> str:
        found.append(kernel_for(settings, variants, progress))
        return found[0][1].release

    chosen = wanted(settings, roots, selection, keep, ask)
    (image, hello), durations = found[0], Durations(settings.machine)
    trials = _build(chosen.planned)
    entries = [
        Entry(
            item.name,
            line,
            marks=tuple(sorted(_marks(item))),
            case_file=item.case.where,
            seconds=durations.expected(item.name, slow=trials[line].slow),
        )
        for line, item in enumerate(chosen.planned)
    ]
    known = chosen.corpus.known.entries
    covering = tuple(
        item for item in known if any(item.covers(entry.name, hello.release, settings.machine) for entry in entries)
    )
    plan = Plan(settings, image, hello, _ordered(entries, settings), chosen.not_run, covering)
    return plan, trials


def kernel_for(settings: Settings, variants: Iterable[Variant], progress: Progress) -> tuple[Image, Hello]:
    """What guests boot from, made where it is missing, and what the kernel says of itself.

    Raises UsageError when the kernel lacks a file system, SetupError when the guest lacks its tools."""
    image = boot_image(settings.kernel, progress)
    hello = kernel_facts(machine_named(settings.machine), image, progress)
    for variant in variants:
        _check_variant(variant, settings, hello)
    return Image.of(image), hello


def _build(planned: Sequence[Planned]) -> tuple[Trial, ...]:
    """The trials, complete. Raises CorpusErrors with everything that is wrong with any."""
    trials: list[Trial] = []
    errors: dict[str, CorpusError] = {}
    for item in planned:
        try:
            trials.append(item.trial())
        except CorpusErrors as error:
            errors.update((str(each), each) for each in error.errors)
    if errors:
        raise CorpusErrors(list(errors.values()))
    return tuple(trials)


def _ordered(entries: list[Entry], settings: Settings) -> tuple[Entry, ...]:
    """Longest first, round by round; those that are expected to take as long by name, so that the order is stable."""
    longest_first = sorted(entries, key=lambda entry: (-entry.seconds, entry.name))
    rounds = min(settings.repeat, max(1, MAX_REPEAT // max(1, len(entries))))
    if rounds < settings.repeat and not settings.until_fail:
        raise UsageError(
            f"--repeat={settings.repeat}: that would be {settings.repeat * len(entries):,} runs of {len(entries)} "
            f"trials; expected at most {MAX_REPEAT:,}. Choose fewer trials, or repeat less often."
        )
    return tuple(
        Entry(entry.name, entry.line, number, entry.marks, entry.case_file, entry.seconds)
        for number in range(1, rounds + 1)
        for entry in longest_first
    )


def _marks(item: Planned) -> frozenset[str]:
    return marks_of(item.case, quick=item.quick)


def _wants(chosen: Selector, item: Planned) -> bool:
    return chosen.wants(item.name, item.case.name, item.rule.id, _marks(item))


def _wants_refused(chosen: Selector, item: CorpusNotApplicable, case: Case, *, first: bool) -> bool:
    return chosen.wants(item.name, item.case, item.rule, marks_of(case, quick=first and "quick" in case.head.tags))


def _check_variant(variant: Variant, settings: Settings, hello: Hello) -> None:
    kind = variant.system.kind
    if kind not in hello.filesystems:
        raise UsageError(
            f"--fs={variant.name}: the kernel {settings.kernel} ({hello.release}) has no file system {kind!r}. "
            f"It has {', '.join(sorted(hello.filesystems))}. Choose another kernel with --kernel."
        )
    programs = guest_recipe().programs
    system = variant.system
    for command in (system.mkfs, *system.after_mkfs, *system.before_check, system.check):
        program = PurePosixPath(command[0]).name
        if program not in programs:
            packages = f" (Debian package {' or '.join(variant.packages)})" if variant.packages else ""
            raise SetupError(
                f"--fs={variant.name}: the guest image has no {program}{packages}. It has {', '.join(programs)}. "
                "Add the program and its package to vm-images/guest.toml."
            )
