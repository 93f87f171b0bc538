"""Expansion: names, what is applicable, and what a trial is made of."""

from __future__ import annotations

from pathlib import Path

import pytest
from corpus_kit import HEAD, STEPS, TARGET, corpus, planned, trial

from conformance.corpus import NotApplicable, trials
from conformance.model.codec import decode, encode
from conformance.model.trial import Claim, Layout, Piece, Trial, Witness
from kernel.calls import Exchange, Fallocate, Snapshot, Store, Truncate, Write
from kernel.setup import FileSpec, Segment
from kernel.units import WHOLE, Bytes, CookieName, FdName, MapName, NewName, Span

MATRIX = """
[matrix]
via = ["move_ext", "swapext"]
n = [1, 16]
"""
CASE = HEAD + MATRIX + STEPS.replace('"move_ext"', '"{via}"').replace("data:16b", "data:{n}b")


def names(root: Path, case: str, variant: str = "big", release: str | None = None) -> list[str]:
    return [item.name for item in planned(corpus(root, case), variant, release)]


def refused(root: Path, case: str, variant: int = 0, release: str | None = None) -> list[tuple[str, str]]:
    loaded = corpus(root, case).require()
    found = loaded.plan(loaded.targets["fs"].variants[variant : variant + 1], release)[1]
    return [(item.name, item.reason) for item in found]


def test_names(tmp_path: Path) -> None:
    assert names(tmp_path, HEAD + STEPS) == ["area/case@fs:big"]
    assert names(tmp_path, CASE) == ["area/case[via=move_ext,n=1]@fs:big", "area/case[via=move_ext,n=16]@fs:big"]


def test_what_is_not_applicable_is_told_by_trial(tmp_path: Path) -> None:
    assert refused(tmp_path, CASE) == [
        ("area/case[via=swapext,n=1]@fs:big", "fs:big does not offer swapext"),
        ("area/case[via=swapext,n=16]@fs:big", "fs:big does not offer swapext"),
    ]


def test_a_case_without_any_trial_is_told_once(tmp_path: Path) -> None:
    case = CASE.replace('"move_ext", "swapext"', '"swapext", "mov_data"')
    reason = "fs:big does not offer swapext; fs:big does not offer mov_data"
    assert refused(tmp_path, case) == [("area/case@fs:big", reason)]
    assert names(tmp_path, case) == []


def test_nothing_is_left_out_silently(tmp_path: Path) -> None:
    loaded = corpus(tmp_path, CASE).require()
    some, others = loaded.plan(loaded.targets["fs"].variants)
    assert len(some) + len(others) == 2 * 2 * 2


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        ('targets = ["xfs", "btrfs:default"]', "the case is for xfs, btrfs:default"),
        ('needs = ["handle"]', "fs:big does not offer handle"),
        ('needs = ["clone"]', "fs:big offers clone on kernels >=6.5, this is 6.1.0"),
        ('lacks = ["move_ext"]', "the case is about what happens without move_ext, and fs:big offers it"),
    ],
)
def test_why_a_case_is_not_applicable(tmp_path: Path, head: str, reason: str) -> None:
    assert refused(tmp_path, f"{head}\n{HEAD}{STEPS}", release="6.1.0") == [("area/case@fs:big", reason)]


@pytest.mark.parametrize("target", ["fs", "fs:big", "ext4"])
def test_a_case_for_this_target(tmp_path: Path, target: str) -> None:
    assert names(tmp_path, f'targets = ["{target}"]\n{HEAD}{STEPS}')


@pytest.mark.parametrize(
    ("addition", "ability"),
    [
        ('[[steps]]\ndo = "snapshot"\nfile = "target"\nvia = "swapext"', "swapext"),
        ('[[steps]]\ndo = "fallocate"\nfile = "target"\nmode = "collapse"\nrange = "0+1b"', "fallocate_collapse"),
        ('[[steps]]\ndo = "open_by_handle"\nfile = "target"\nname = "it"', "handle"),
        ('[[steps]]\ndo = "setxattr"\nfile = "target"', "xattrs"),
        ('[[actors]]\nname = "a"\n[[actors.steps]]\ndo = "defragment"\nfile = "target"', "defragment"),
        ('[files.more]\nlayout = "delalloc:1b"', "delalloc"),
        ('[files.more]\nlayout = "data:1b"\nflags = ["nocow"]', "nocow"),
        ('[files.more]\nlayout = "data:1b"\nflags = ["compress"]', "compression"),
        ('[files.more]\nlayout = "data:1b"\nxattr = 100', "xattrs"),
    ],
)
def test_what_a_case_needs_follows_from_what_it_does(tmp_path: Path, addition: str, ability: str) -> None:
    assert refused(tmp_path, HEAD + STEPS + addition) == [("area/case@fs:big", f"fs:big does not offer {ability}")]


@pytest.mark.parametrize("mode", ["allocate", "keep_size", "punch"])
def test_a_call_may_need_nothing(tmp_path: Path, mode: str) -> None:
    step = f'[[steps]]\ndo = "fallocate"\nfile = "target"\nmode = "{mode}"\nrange = "0+1b"'
    made = trial(tmp_path, HEAD + STEPS + step).steps[1].call
    assert isinstance(made, Fallocate)
    assert made.mode == mode


def test_a_shared_segment_needs_clone_on_this_kernel(tmp_path: Path) -> None:
    case = HEAD + STEPS.replace("data:16b", "shared:16b", 1)
    assert names(tmp_path, case, release="6.6.0")
    assert refused(tmp_path, case, release="6.1.0")
    assert refused(tmp_path, case, variant=1, release="6.6.0")


def test_a_case_about_a_refusal_makes_the_call_all_the_same(tmp_path: Path) -> None:
    case = f'lacks = ["swapext"]\n{HEAD}' + STEPS.replace("move_ext", "swapext") + 'expect = "ENOTTY"\n'
    assert trial(tmp_path, case).steps[0].expect == ("ENOTTY",)


def test_an_ability_is_needed_where_the_word_says_something(tmp_path: Path) -> None:
    text = 'owners = { "block=1k" = [], otherwise = ["target"] }\n' + HEAD + STEPS
    (first,) = planned(corpus(tmp_path, text, targets__fs=_without("owners")), "small")
    assert first.trial().owners == ()
    loaded = corpus(tmp_path, text, targets__fs=_without("owners"))
    (refusal,) = loaded.plan(loaded.targets["fs"].variants[:1])[1]
    assert refusal.reason == "fs:big does not offer owners"


def test_transactions_that_are_not_looked_at_need_nothing(tmp_path: Path) -> None:
    loaded = corpus(tmp_path, HEAD + STEPS + 'transactions = "any"\n', targets__fs=_without("transactions"))
    assert planned(loaded)
    loaded = corpus(tmp_path, HEAD + STEPS + 'transactions = "none"\n', targets__fs=_without("transactions"))
    assert not planned(loaded)


def _without(ability: str) -> str:
    return TARGET.replace(f'{ability} = ""\n', "")


def test_a_step_that_is_not_part_of_the_trial_needs_nothing(tmp_path: Path) -> None:
    step = '[[steps]]\nwhen = "via=swapext"\ndo = "snapshot"\nfile = "target"\nvia = "swapext"\n'
    assert names(tmp_path, CASE + step) == ["area/case[via=move_ext,n=1]@fs:big", "area/case[via=move_ext,n=16]@fs:big"]


def test_a_step_that_is_not_part_of_the_trial_leaves_its_number(tmp_path: Path) -> None:
    some = '[[steps]]\nwhen = "n=1"\ndo = "sync"\n[[steps]]\nwhen = "n=16"\ndo = "drop_caches"\n'
    steps = some + '[[steps]]\ndo = "sync"\n'
    one, sixteen = (item.trial() for item in planned(corpus(tmp_path, CASE + steps)))
    assert [(step.number, step.call.do) for step in one.steps] == [(1, "exchange"), (2, "sync"), (4, "sync")]
    assert [(step.number, step.call.do) for step in sixteen.steps] == [(1, "exchange"), (3, "drop_caches"), (4, "sync")]


def test_excluded_combinations_are_not_trials(tmp_path: Path) -> None:
    case = 'exclude = ["via=move_ext and n=1"]\n' + CASE
    assert names(tmp_path, case) == ["area/case[via=move_ext,n=16]@fs:big"]
    assert [name for name, _ in refused(tmp_path, case)] == [
        "area/case[via=swapext,n=1]@fs:big",
        "area/case[via=swapext,n=16]@fs:big",
    ]


def test_the_reason_of_the_case_comes_first(tmp_path: Path) -> None:
    case = CASE + '[not_applicable]\n"n=1 and block=4k" = "one block is too little"\n'
    assert ("area/case[via=move_ext,n=1]@fs:big", "one block is too little") in refused(tmp_path, case)
    assert "area/case[via=move_ext,n=1]@fs:small" in names(tmp_path, case, "small")


def test_values_with_names(tmp_path: Path) -> None:
    matrix = '[matrix.layout]\nfull = "data:16b"\nhalf = "data:8b hole:8b"\n'
    case = HEAD + matrix + STEPS.replace("data:16b", "{layout}", 1)
    full, half = planned(corpus(tmp_path, case))
    assert (full.name, half.name) == ("area/case[layout=full]@fs:big", "area/case[layout=half]@fs:big")
    assert half.trial().files[0].segments == (Segment("data", 8 * 4096), Segment("hole", 8 * 4096))


def test_the_quick_set(tmp_path: Path) -> None:
    loaded = corpus(tmp_path, f'tags = ["quick"]\n{HEAD}{STEPS}').require()
    some, _ = loaded.plan(loaded.targets["fs"].variants)
    assert [(item.name, item.quick) for item in some] == [("area/case@fs:big", True), ("area/case@fs:small", False)]


def test_a_word_that_does_not_exist_is_an_error_and_no_missing_ability(tmp_path: Path) -> None:
    assert names(tmp_path, HEAD + STEPS.replace("move_ext", "mov_ext")) == ["area/case@fs:big"]


FULL = (
    'owners = ["target"]\nseconds = 60\ntags = ["slow"]\n'
    + HEAD
    + """
[files]
target = "data:8b hole:4b unwritten:4b"
bare = "empty"

[files.donor]
layout = "comb:16b"
fragments = 3
beyond_eof = "2b"
xattr = 64
mode = "0644"
flags = ["nodump"]
tail = 100

[[steps]]
do = "write"
file = "target"
range = "1+2b"
bytes = "same"

[[steps]]
do = "map"
file = "target"
name = "view"

[[steps]]
do = "store"
map = "view"
range = "0+28"

[[steps]]
do = "exchange"
via = "move_ext"
range = "0+4b"
donor_at = "8b"
expect = ["OK", "EBUSY"]
returns = { moved = "4b" }
at_least = { moved = "1b" }
transactions = "some"
same_tick = true
then.target = { content = ["unchanged", "donor"], size = "16b", atime = "changed" }

[[steps]]
do = "read"
file = "target"
range = "0+4b"
sees = ["donor:8b+4b", "target", "zero"]

[after]
target = "unchanged since step 2"
donor = [
    { content = "target:0+4b step1:4b+1b zero:2b any:9b", extents = "data:4b hole:4b unwritten:8b", since = 1 },
    { extents = "of target", space = "changed", links = 1, mode = "0644", mtime = "any" },
]

[witness]
extents = { donor = 8 }
fragments = { donor = 3 }
"""
)


@pytest.fixture
def full(tmp_path: Path) -> Trial:
    target = "needs = []\n" + FULL
    loaded = corpus(tmp_path, target, targets__fs=_with("xattrs"))
    return planned(loaded, "small")[0].trial()


def _with(ability: str) -> str:
    return TARGET.replace("[offers]\n", f'[offers]\n{ability} = ""\n')


def test_the_trial_says_what_it_is(full: Trial) -> None:
    assert full.name == full.salt == "area/case@fs:small"
    assert (full.case, full.title, full.target) == ("area/case", "A case", "fs:small")
    assert (full.rule.id, full.rule.level, full.rule.promise) == ("TEST-1", "MUST", "mainline")
    assert full.system.block == 1024
    assert (full.owners, full.seconds, full.slow, full.crash) == (("target",), 60, True, False)
    assert full.witness == Witness(extents={"donor": 8}, fragments={"donor": 3})


def test_the_files(full: Trial) -> None:
    k = 1024
    target = FileSpec("target", (Segment("data", 8 * k), Segment("hole", 4 * k), Segment("unwritten", 4 * k)))
    donor = FileSpec("donor", (Segment("comb", 16 * k),), 3, 2 * k, 64, 0o644, ("nodump",), 100)
    assert full.files == (target, FileSpec("bare", ()), donor)


def test_the_calls(full: Trial) -> None:
    k = 1024
    calls = [step.call for step in full.steps]
    assert calls[0] == Write(FdName("target"), Span(k, 2 * k), "same")
    assert calls[2] == Store(MapName("view"), Span(0, 28))
    assert calls[3] == Exchange("move_ext", range=Span(0, 4 * k), donor_at=Bytes(8 * k))


def test_what_a_step_says(full: Trial) -> None:
    k = 1024
    step = full.steps[3]
    assert (step.number, step.expect) == (4, ("OK", "EBUSY"))
    assert (step.returns, step.at_least) == ({"moved": 4 * k}, {"moved": k})
    assert (step.transactions, step.same_tick) == ("some", True)
    assert step.then == (Claim("target", 4, content_of=("target", "donor"), size=16 * k, atime="changed"),)
    assert full.steps[4].sees == (
        (Piece("donor", 8 * k, 4 * k),),
        (Piece("target", 0, 4 * k),),
        (Piece("zero", 0, 4 * k),),
    )


def test_the_claims(full: Trial) -> None:
    k = 1024
    assert full.after == (
        Claim("target", 3, everything="unchanged"),
        Claim(
            "donor",
            2,
            content=(
                (Piece("target", 0, 4 * k), Piece("step1", 4 * k, k), Piece("zero", 0, 2 * k), Piece("any", 0, 9 * k)),
            ),
            layout=(Layout("data", 4 * k), Layout("hole", 4 * k), Layout("unwritten", 8 * k)),
        ),
        Claim("donor", 0, extents_of="target", space="changed", links=1, mode=0o644),
    )


def test_a_trial_travels_and_comes_back(full: Trial) -> None:
    assert decode(Trial, encode(full)) == full


def test_an_empty_claim_says_nothing(tmp_path: Path) -> None:
    case = HEAD + STEPS + '[after]\ntarget = { "fs=xfs" = "unchanged", otherwise = "any" }\n'
    assert trial(tmp_path, case).after == ()


def test_defaults_are_those_of_the_calls(tmp_path: Path) -> None:
    steps = '[[steps]]\ndo = "truncate"\nfile = "target"\nsize = "2b+1"\n[[steps]]\ndo = "write"\nfile = "donor"\n'
    made = trial(tmp_path, HEAD + STEPS + steps)
    assert [step.call for step in made.steps[1:]] == [
        Truncate(FdName("target"), Bytes(8193)),
        Write(FdName("donor"), WHOLE, "different"),
    ]
    assert [step.expect for step in made.steps] == [("OK",)] * 3


def test_an_actor_inherits_what_there_is_when_it_starts(tmp_path: Path) -> None:
    case = (
        HEAD
        + STEPS
        + """
[[steps]]
do = "map"
file = "target"
name = "view"

[[steps]]
do = "start"
actor = "writer"

[[steps]]
do = "unmap"
map = "view"

[[actors]]
name = "writer"

[[actors.steps]]
do = "store"
map = "view"
expect = ["OK", "SIGBUS"]
"""
    )
    (actor,) = trial(tmp_path, case).actors
    assert actor.steps[0].call == Store(MapName("view"))
    assert actor.steps[0].expect == ("OK", "SIGBUS")


def test_cookies_have_names(tmp_path: Path) -> None:
    case = (
        HEAD
        + '[files]\ntarget = "data:1b"\n'
        + '[[steps]]\ndo = "snapshot"\nfile = "target"\nvia = "swapext"\ncookie = "one"\n'
        + '[[steps]]\ndo = "tamper"\ncookie = "one"\nfield = "ino"\nexpect = ["OK", "NOFIELD"]\n'
    )
    loaded = corpus(tmp_path, case, targets__fs=_with("swapext"))
    made = planned(loaded)[0].trial()
    assert made.steps[0].call == Snapshot(FdName("target"), "swapext", NewName("one"))
    assert getattr(made.steps[1].call, "cookie") == CookieName("one")  # noqa: B009  # a field of one kind of call


def test_a_trial_that_shuts_the_file_system_down_is_a_crash(tmp_path: Path) -> None:
    case = HEAD + STEPS + '[[steps]]\ndo = "shutdown"\nmode = "default"\n'
    made = planned(corpus(tmp_path, case, targets__fs=_with("shutdown")))[0].trial()
    assert made.crash


def test_trials_builds_all(tmp_path: Path) -> None:
    loaded = corpus(tmp_path, CASE).require()
    case = loaded.cases["area/case"]
    made = trials(case, loaded.rule_of(case), loaded.targets["fs"].variants[0], None)
    assert [type(item) for item in made] == [Trial, Trial, NotApplicable, NotApplicable]


def test_planning_builds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every xdist worker plans every trial, so a trial is built only when it is asked for."""

    def build(*_: object) -> None:
        raise AssertionError("a trial was built")

    monkeypatch.setattr("conformance.corpus.expand.build", build)
    (first, _) = planned(corpus(tmp_path, CASE))
    with pytest.raises(AssertionError, match="a trial was built"):
        first.trial()
