"""What makes the reference worth believing: deadlocks, silent stores, trees and their owners, crashes, waiting actors,
and a checker that finds what is broken on purpose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from reference_kit import Bench, data

from conformance.judge import judge
from conformance.model.trace import Ended, Event, Trace
from conformance.model.trial import Actor, Claim, RuleText, Step, Trial, Witness
from conformance.trial import run
from kernel import calls
from kernel.reference import BTRFS, EXT4, FULL, XFS, Personality, ReferenceKernel, check
from kernel.reference.core import Crash
from kernel.reference.inode import Inode
from kernel.reference.personality import XFS_REFUSING, XFS_RMAP, personality_of
from kernel.reference.swap import FileSystem
from kernel.setup import FileSpec, Segment
from kernel.setup import FileSystem as Setup
from kernel.units import ActorName, Bytes, CookieName, FdName, FileName, MapName, NewName, Span

BLOCK = 4096
TARGET, DONOR = FdName("target"), FdName("donor")


def two(personality: Personality, **more: object) -> Bench:
    return Bench(personality, data("target", 8), data("donor", 8), **more)  # type: ignore[arg-type]  # passed through


def comb(name: str, blocks: int, xattr: int = 0) -> FileSpec:
    return FileSpec(name, (Segment("comb", blocks * BLOCK),), xattr=xattr)


# --- swap I/O ---------------------------------------------------------------------------------


class Converting(FileSystem):
    """Converts what swap I/O wrote, as the completion of a direct write would."""

    def keep_unwritten(self, inode: Inode, first: int, last: int) -> None:
        with self.transaction("convert", inode):
            inode.data.extents.put(first, last, (0, "written"))


def swapping(made_of: type[FileSystem]) -> Bench:
    swap = FileSpec("swap", (Segment("unwritten", 512 * BLOCK),), flags=("nocow",))
    bench = Bench(FULL, swap, made_of=made_of)
    bench.do(calls.Mkswap(FdName("swap")))
    assert bench.result(calls.Swapon(FileName("swap"))) == "OK"
    return bench


def test_pages_go_out_and_come_in_without_a_transaction() -> None:
    bench = swapping(FileSystem)
    before = bench.kernel.counters()
    outcome = bench.do(calls.SwapLoad(Bytes(1 << 20), Bytes(1 << 19)))
    assert outcome.values["bad_pages"] == 0
    assert min(outcome.values["pages_out"], outcome.values["pages_in"]) >= 128
    assert bench.kernel.counters() == before
    assert bench.problems() == []


def test_a_transaction_in_swap_io_is_the_deadlock_with_its_chain() -> None:
    bench = swapping(Converting)
    assert bench.result(calls.SwapLoad(Bytes(1 << 20), Bytes(1 << 19))) == "EDEADLK"
    told = bench.kernel.console()
    assert any("blocked for more than" in line and "convert" in line for line in told)
    assert [line.strip() for line in told[-2:]] == ["swap I/O", "swap_load"]


def test_a_load_that_fits_nowhere_is_killed() -> None:
    assert two(EXT4).result(calls.SwapLoad(Bytes(1 << 20), Bytes(1 << 19))) == "SIGKILL"


# --- mappings and cookies ---------------------------------------------------------------------


def test_a_store_to_a_page_that_is_writable_already_is_silent() -> None:
    bench = two(XFS)
    bench.do(calls.Map(TARGET, NewName("view")))
    store = calls.Store(MapName("view"), Span(0, 512))
    bench.do(store)
    before = bench.kernel.observe(maps=False).files["target"].mtime
    bench.kernel.tick()
    bench.do(store)
    assert bench.kernel.observe(maps=False).files["target"].mtime == before
    bench.do(calls.Fsync(TARGET))
    bench.do(store)
    assert bench.kernel.observe(maps=False).files["target"].mtime > before


def test_no_store_after_the_cookie_goes_unnoticed() -> None:
    bench = two(XFS)
    bench.do(calls.Map(TARGET, NewName("view")))
    store = calls.Store(MapName("view"), Span(0, 512))
    bench.do(store)
    bench.do(calls.Snapshot(TARGET, "swapext"))
    bench.do(store)
    cookie = calls.Exchange("swapext", cookie=CookieName("cookie"))
    assert bench.result(cookie) == "EBUSY"


def test_a_change_in_the_tick_of_the_cookie_is_noticed_even_by_times_alone() -> None:
    bench = two(replace(XFS, cookie_counts=False))
    bench.do(calls.Snapshot(TARGET, "swapext"))
    bench.do(calls.Write(TARGET, Span(0, 512)))
    assert bench.result(calls.Exchange("swapext", cookie=CookieName("cookie"))) == "EBUSY"


def test_a_cookie_is_good_once() -> None:
    bench = two(XFS)
    bench.do(calls.Snapshot(TARGET, "swapext"))
    swap = calls.Exchange("swapext", cookie=CookieName("cookie"))
    assert [bench.result(swap), bench.result(swap)] == ["OK", "EBUSY"]


@pytest.mark.parametrize(
    ("personality", "result"), [(XFS, "OK"), (XFS_REFUSING, "EBUSY")], ids=["coherent", "refusing"]
)
def test_mapped_files_are_swapped_coherently_or_refused(personality: Personality, result: str) -> None:
    bench = two(personality)
    bench.do(calls.Map(TARGET, NewName("view")))
    assert bench.result(calls.Exchange("swapext")) == result
    seen = bench.do(calls.Load(MapName("view"), Span(0, 512))).seen
    assert seen[0].source == ("donor" if result == "OK" else "target")


# --- trees ------------------------------------------------------------------------------------


@pytest.mark.parametrize("personality", [XFS, XFS_RMAP], ids=["forks", "mappings"])
def test_trees_name_their_new_inodes_after_a_swap(personality: Personality) -> None:
    bench = Bench(personality, comb("target", 1600), comb("donor", 1400), data("third", 1))
    bench.do(calls.Truncate(DONOR, Bytes(1600 * BLOCK)))
    assert bench.result(calls.Exchange("swapext")) == "OK"
    bench.kernel.remount_files()
    bench.kernel.unmount()
    found = [bench.kernel.btree_owners(name) for name in ("target", "donor")]
    assert all(owners.blocks >= 3 and not owners.foreign for owners in found)
    assert check.problems(bench.kernel.fs) == []


def test_a_fork_becomes_a_tree_where_its_inode_is_full_and_a_list_again() -> None:
    bench = Bench(XFS, comb("target", 60), comb("donor", 12, xattr=200))
    target, donor = (bench.kernel.fs.lookup(name) for name in ("target", "donor"))
    assert target.data.tree
    assert not donor.data.tree
    bench.do(calls.Truncate(TARGET, Bytes(8 * BLOCK)))
    assert not target.data.tree
    assert bench.kernel.fs.slots(donor) < bench.kernel.fs.slots(target)
    bench.do(calls.SetXattr(TARGET, size=Bytes(4000)))
    assert target.attr.extents.blocks() == 1
    assert bench.problems() == []


def test_a_swap_that_does_not_fit_beside_the_attributes_is_refused() -> None:
    bench = Bench(XFS, comb("target", 40), comb("donor", 4, xattr=200))
    bench.do(calls.Truncate(DONOR, Bytes(40 * BLOCK)))
    before = bench.kernel.observe(maps=False)
    assert bench.result(calls.Exchange("swapext")) == "EINVAL"
    assert bench.kernel.observe(maps=False).files == before.files


# --- crashes ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("mode", "source"), [("default", "donor"), ("log_flush", "donor"), ("no_log_flush", "target")])
def test_a_shutdown_keeps_what_it_says(mode: str, source: str) -> None:
    bench = two(XFS)
    bench.do(calls.Exchange("swapext"))
    bench.do(calls.Shutdown(mode))  # type: ignore[arg-type]  # one of the modes
    assert bench.result(calls.Write(TARGET, Span(0, 512))) == "EIO"
    bench.kernel.remount_files()
    assert bench.kernel.observe(maps=False).files["target"].content[0].source == source
    assert bench.problems() == []


def test_a_crash_between_any_two_transactions_of_a_defragmentation_recovers() -> None:
    crashed = 0
    for number in range(1, 12):
        bench = two(EXT4)
        fs = bench.kernel.fs
        fs.disk.crash_at = fs.disk.committed + number
        try:
            bench.do(calls.Exchange("move_ext"))
            bench.do(calls.Write(DONOR, Span(0, 2 * BLOCK)))
            bench.do(calls.Fsync(DONOR))
        except Crash:
            crashed += 1
        fs.disk.crash_at = -1
        fs.mount()
        target = fs.lookup("target")
        runs = bench.kernel.trial.machine.reader.runs(fs.read(target, 0, target.size))
        assert {run.source for run in runs} == {"target"}
        fs.unmount()
        assert check.problems(fs) == []
    assert crashed >= 3


# --- actors -----------------------------------------------------------------------------------


def starts(bench: Bench, call: calls.Call) -> list[str]:
    results: list[str] = []

    def body(_stopped: Callable[[], bool], _report: Callable[[str], None]) -> None:
        results.append(bench.kernel.perform(call, "writer").result)

    bench.kernel.start_actor("writer", body)
    return results


def test_a_writer_sleeps_while_the_file_system_is_frozen() -> None:
    bench = two(XFS)
    bench.do(calls.Freeze())
    results = starts(bench, calls.Write(TARGET, Span(0, 512)))
    assert bench.kernel.actor_blocked("writer").result == "OK"
    assert results == []
    bench.do(calls.Thaw())
    assert bench.kernel.actor_blocked("writer").result == "ENDED"
    assert results == ["OK"]
    assert bench.kernel.stop_actor("writer") == ()


def test_an_actor_that_still_sleeps_is_ended_and_leaves_nothing() -> None:
    bench = two(EXT4)
    bench.do(calls.Freeze())
    starts(bench, calls.Write(TARGET, Span(0, 512)))
    assert bench.kernel.settle() == ("thawed the file system", "killed actor writer")
    assert bench.problems() == []


def test_a_freeze_that_nobody_ends_is_told_as_a_deadlock() -> None:
    bench = two(XFS)
    bench.do(calls.Freeze())
    assert bench.result(calls.Write(TARGET, Span(0, 512))) == "EDEADLK"
    assert any("the thaw" in line for line in bench.kernel.console())


# --- the checker ------------------------------------------------------------------------------


@pytest.mark.parametrize(("what", "told"), [("owner", "names 4711"), ("links", "counts 7 names")])
def test_the_checker_finds_what_was_broken(what: str, told: str) -> None:
    bench = Bench(XFS, comb("target", 800))
    bench.do(calls.Sabotage(what, FileName("target")))  # type: ignore[arg-type]  # one of the words
    bench.kernel.unmount()
    checked = bench.kernel.check()
    assert checked.status == 1
    assert told in checked.output


def test_the_checker_finds_blocks_that_two_files_own() -> None:
    bench = two(EXT4)
    bench.kernel.unmount()
    home = bench.kernel.fs.disk.home
    one, other = (home.inodes[home.names[name]] for name in ("target", "donor"))
    home.inodes[other.number] = other._replace(data=one.data)
    told = bench.kernel.check().output
    assert "are referenced 2 times, and counted 1 times" in told
    assert "are referenced 0 times, and counted 1 times" in told


# --- a whole trial ----------------------------------------------------------------------------


def trial(*steps: Step, kind: str, files: tuple[FileSpec, ...], **more: object) -> Trial:
    rule = RuleText("XCHG-ATOM-1", "MUST", "s", "s")
    return Trial("name", "case", "title", rule, f"{kind}:d", Setup(kind, BLOCK, (), ()), files, steps, **more)  # type: ignore[arg-type]  # passed through


def verdict(subject: Trial, kernel: ReferenceKernel) -> str:
    events: list[Event] = []
    run(subject, kernel, events.append)
    events.append(Ended())
    found = judge(subject, Trace(subject.name, tuple(events)))
    assert not found.findings or found.kind != "pass"
    return found.kind


def test_a_trial_on_the_reference_is_judged_like_one_on_linux() -> None:
    writer = Actor("writer", (Step(1, calls.Store(MapName("view"))),), loop=True)
    subject = trial(
        Step(1, calls.Map(TARGET, NewName("view"))),
        Step(2, calls.Start(ActorName("writer"))),
        Step(3, calls.Exchange("move_ext"), expect=("OK", "EBUSY")),
        Step(4, calls.Stop(ActorName("writer"))),
        Step(5, calls.Truncate(DONOR, Bytes(BLOCK))),
        kind="ext4",
        files=(data("target", 8), data("donor", 8)),
        actors=(writer,),
        after=(Claim("target", size=8 * BLOCK), Claim("donor", size=BLOCK)),
        witness=Witness(overlap={"writer": 1}),
    )
    assert verdict(subject, ReferenceKernel()) == "pass"


def test_a_broken_promise_is_seen_by_the_judge() -> None:
    class Forgetful(FileSystem):
        def zap(self, inode: Inode, start: int, end: int) -> None:
            """Leaves the pages of mappings where they are, and with them what they held."""

        def invalidate(self, inode: Inode, start: int, end: int) -> None:
            """Leaves the cache as it is."""

    subject = trial(Step(1, calls.Exchange("swapext")), kind="xfs", files=(data("target", 8), data("donor", 8)))
    assert verdict(subject, ReferenceKernel()) == "pass"
    assert verdict(subject, ReferenceKernel(made_of=Forgetful)) == "fail"


def test_the_personality_follows_from_the_file_system() -> None:
    assert personality_of(Setup("btrfs", BLOCK, (), ())) is BTRFS
    assert personality_of(Setup("xfs", BLOCK, ("mkfs.xfs", "-m", "crc=1,rmapbt=1"), ())) is XFS_RMAP
    assert not personality_of(Setup("ext4", BLOCK, ("mkfs.ext4", "-O", "^has_journal"), ())).journal
    assert "delalloc" not in personality_of(Setup("ext4", BLOCK, (), (), "data=journal")).offers
    assert personality_of(Setup("something new", BLOCK, (), ())) is FULL
