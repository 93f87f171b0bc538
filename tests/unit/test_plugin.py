"""The plugin: what it collects, what a verdict is to pytest, and what it leaves behind."""

from __future__ import annotations

import json
import signal
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest
from plugin_kit import FINDING, Plugin, case, make_plugin

from conformance.errors import ConformanceError
from conformance.machines.protocol import Death
from conformance.model.verdict import Verdict

pytest_plugins = ("pytester",)


@pytest.fixture
def plugin(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Plugin:
    """A corpus of three cases."""
    return make_plugin(
        pytester,
        monkeypatch,
        tmp_path,
        move__first=case("first"),
        move__second=case("second", tags=("quick",)),
        swap__third=case("third", rule="SHOULD-1", needs=("swapfile",), tags=("race", "slow")),
    )


def test_without_fs_the_plugin_does_nothing(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        "def test_one(request): assert not request.config.pluginmanager.has_plugin('conformance-worker')"
    )
    result = pytester.runpytest_inprocess("-n0")
    result.assert_outcomes(passed=1)


def test_with_fs_only_cases_are_collected(plugin: Plugin) -> None:
    plugin.pytester.makepyfile("def test_one(): assert False")
    plugin.run().assert_outcomes(passed=5, skipped=1)
    assert sorted(plugin.trials) == [
        "move/first@fake:big",
        "move/first@fake:small",
        "move/second@fake:big",
        "move/second@fake:small",
        "swap/third@fake:big",
    ]


def test_ids_are_the_names_of_trials(plugin: Plugin) -> None:
    result = plugin.run("--collect-only", "-q", fs="fake:small")
    result.stdout.fnmatch_lines(["move/first@fake:small", "move/second@fake:small", "*2 tests collected*"])
    assert plugin.world.started == 0


def test_what_is_not_applicable_is_skipped_with_its_reason(plugin: Plugin) -> None:
    result = plugin.run("-rs", fs="fake:small")
    result.assert_outcomes(passed=2, skipped=1)
    result.stdout.fnmatch_lines(
        ["*fake:small: does not offer swapfile*", "SKIPPED*swap/third@fake:small: fake:small does not offer swapfile"]
    )


@pytest.mark.parametrize(
    ("arguments", "cases"),
    [
        (["-k", "first"], {"move/first"}),
        (["-k", "not first and not second"], {"swap/third"}),
        (["-m", "quick"], {"move/second"}),
        (["-m", "race"], {"swap/third"}),
        (["--tag", "race"], {"swap/third"}),
        (["--rule", "SHOULD-1"], {"swap/third"}),
        (["--rule", "MUST-*"], {"move/first", "move/second"}),
        (["--rule", "MUST-1,SHOULD-1"], {"move/first", "move/second", "swap/third"}),
        (["move"], {"move/first", "move/second"}),
        (["move/first", "swap/third.toml"], {"move/first", "swap/third"}),
        (["move/*st"], {"move/first"}),
        (["move/second@fake:big"], {"move/second"}),
        (["*/third@*"], {"swap/third"}),
    ],
)
def test_selection(plugin: Plugin, arguments: list[str], cases: set[str]) -> None:
    plugin.run(*arguments, fs="fake:big")
    assert {name.partition("@")[0] for name in plugin.trials} == cases


def test_a_path_below_the_corpus_selects(plugin: Plugin, tmp_path: Path) -> None:
    plugin.run(str(tmp_path / "share" / "cases" / "move"), fs="fake:big")
    assert plugin.trials == ["move/first@fake:big", "move/second@fake:big"]


def test_quick_is_the_first_variant_only(plugin: Plugin) -> None:
    plugin.run("-m", "quick")
    assert plugin.trials == ["move/second@fake:big"]


def test_cases_of_ones_own_are_added(plugin: Plugin, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "mine.toml").write_text(case("mine"))
    plugin.run("--cases", str(own), fs="fake:big")
    assert "mine@fake:big" in plugin.trials
    assert len(plugin.trials) == 4


def test_repeat_runs_each_trial_again_round_by_round(plugin: Plugin) -> None:
    plugin.run("--repeat", "3", "move", fs="fake:big").assert_outcomes(passed=6)
    assert plugin.trials == ["move/first@fake:big", "move/second@fake:big"] * 3


def test_until_fail_stops_at_the_first_failure(plugin: Plugin) -> None:
    plugin.world.verdicts["move/second"] = Verdict("", "fail", (FINDING,))
    result = plugin.run("--until-fail", "move", fs="fake:big")
    result.assert_outcomes(passed=1, failed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_until_fail_ends_after_the_rounds_that_repeat_says(plugin: Plugin) -> None:
    plugin.run("--until-fail", "--repeat", "4", "move/first", fs="fake:big").assert_outcomes(passed=4)


def test_the_longest_start_first(plugin: Plugin, tmp_path: Path) -> None:
    path = tmp_path / "cache" / "conformance" / "durations" / "uml.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"move/second@fake:big": 5.0, "move/first@fake:big": 1.0, "swap/third@fake:big": 9.0}))
    plugin.run(fs="fake:big")
    assert plugin.trials == ["swap/third@fake:big", "move/second@fake:big", "move/first@fake:big"]


def test_damaged_durations_are_ignored_and_written_anew(plugin: Plugin, tmp_path: Path) -> None:
    path = tmp_path / "cache" / "conformance" / "durations" / "uml.json"
    path.parent.mkdir(parents=True)
    path.write_text("{")
    plugin.run(fs="fake:big").assert_outcomes(passed=3)
    assert len(json.loads(path.read_text())) == 3


# --- verdicts ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["fail", "vacuous", "hang"])
def test_red_verdicts_fail_and_explain_themselves(plugin: Plugin, kind: str) -> None:
    plugin.world.verdicts["move/first"] = Verdict("", kind, (FINDING,), reason="because")  # type: ignore[arg-type]  # literal
    result = plugin.run("move", fs="fake:big")
    result.assert_outcomes(passed=1, failed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([f"{kind.upper()}: *", "*MUST-1 (MUST): Something must hold.*", "*expected*observed*"])
    result.stdout.fnmatch_lines(["repeat just this trial:", "  pytest --fs=fake:big move/first@fake:big"])
    assert "Traceback" not in result.stdout.str()


def test_a_crash_fails_and_the_next_trial_gets_a_fresh_guest(plugin: Plugin) -> None:
    plugin.world.deaths["move/first"] = Death("panic", "Kernel panic - not syncing")
    plugin.run("move", fs="fake:big").assert_outcomes(passed=1, failed=1)
    assert plugin.world.ran == [(1, "move/first@fake:big"), (2, "move/second@fake:big")]
    assert plugin.world.started == plugin.world.stopped == 2


def test_a_tainted_guest_is_replaced_and_an_untainted_one_is_kept(plugin: Plugin) -> None:
    plugin.world.tainted["move/first"] = 1 << 9
    plugin.world.tainted["move/second"] = 1 << 12  # an out-of-tree module
    plugin.run("--repeat", "2", "move", fs="fake:big")
    first, second = "move/first@fake:big", "move/second@fake:big"
    assert plugin.world.ran == [(1, first), (2, second), (2, first), (3, second)]
    assert plugin.world.started == plugin.world.stopped == 3


def test_a_fault_of_the_suite_is_an_error_and_not_a_failure(plugin: Plugin) -> None:
    plugin.world.broken.add("move/first")
    result = plugin.run("move", fs="fake:big")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["ERROR: the harness failed*", "*the agent failed on purpose*"])
    assert [guest for guest, _ in plugin.world.ran] == [1, 2]


def test_a_fault_of_the_judge_is_an_error_too(plugin: Plugin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conformance.runner.run.judge", lambda _trial, _trace: {}["nothing"])
    plugin.run("move", fs="fake:big").assert_outcomes(errors=2)


def test_guests_that_do_not_come_up_end_the_run(plugin: Plugin) -> None:
    plugin.world.does_not_come_up = True
    result = plugin.run("--repeat", "50", fs="fake:big")
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(
        ["*the guest did not come up*", "*what the console said*", "*guests do not come up any more*"]
    )
    assert plugin.world.started == plugin.world.stopped == 4


def test_a_guest_that_is_another_kernel_than_planned_is_refused(
    plugin: Plugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("conformance.runner.run.check_facts", _refuse)
    plugin.run("move/first", fs="fake:big").assert_outcomes(errors=1)
    assert plugin.world.started == plugin.world.stopped


def _refuse(*_: object) -> None:
    raise ConformanceError("another kernel")


def test_a_broken_should_is_told_and_fails_only_with_the_strict_profile(plugin: Plugin) -> None:
    plugin.world.verdicts["swap/third"] = Verdict("", "fail", (replace(FINDING, level="SHOULD"),))
    result = plugin.run("swap", fs="fake:big")
    result.assert_outcomes(xfailed=1)
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "Broken, but only a SHOULD*",
            "  SHOULD-1  1 trial of fake:big, such as swap/third@fake:big: step 1: outcome of sync: *",
        ]
    )


def test_a_broken_should_fails_with_the_strict_profile(plugin: Plugin) -> None:
    plugin.world.verdicts["swap/third"] = Verdict("", "fail", (replace(FINDING, level="SHOULD"),))
    plugin.run("swap", "--profile", "strict", fs="fake:big").assert_outcomes(failed=1)


# --- results -----------------------------------------------------------------------------------


def test_junit_has_the_properties(plugin: Plugin, tmp_path: Path) -> None:
    plugin.world.verdicts["move/first"] = Verdict("", "fail", (FINDING,))
    plugin.run(f"--junitxml={tmp_path / 'junit.xml'}", fs="fake")
    found = {}
    for element in ET.parse(tmp_path / "junit.xml").iter("testcase"):
        properties = {item.get("name"): item.get("value") for item in element.iter("property")}
        found[element.get("name")] = (properties, [child.tag for child in element if child.tag != "properties"])
    assert len(found) == 6
    properties, children = found["move.first@fake:big"]
    assert properties == {
        "verdict": "fail", "rule": "MUST-1", "kernel": "6.1.0", "fs": "fake", "variant": "big", "machine": "uml",
    }  # fmt: skip
    assert children == ["failure"]
    assert found["swap.third@fake:small"][0]["verdict"] == "not applicable"
    assert found["swap.third@fake:small"][1] == ["skipped"]


def test_the_run_directory_has_plan_trials_events_and_traces(plugin: Plugin) -> None:
    plugin.run("move", fs="fake:big")
    directory = plugin.directory
    events = [json.loads(text) for text in directory.events.read_text().splitlines()]
    assert events[0]["event"] == "started"
    assert events[0]["provenance"] == [["package", "1.0", "ab" * 32]]
    assert events[-1]["event"] == "finished"
    assert [event["run"] for event in events if event["event"] == "judged"] == plugin.trials
    assert [json.loads(text)["trial"] for text in directory.traces.read_text().splitlines()] == plugin.trials
    assert len(directory.trials.read_text().splitlines()) == 2
    assert json.loads(directory.plan.read_text())["settings"]["kernel"] == "uml-6.1"


def test_the_last_few_runs_are_kept(plugin: Plugin, tmp_path: Path) -> None:
    runs = tmp_path / "state" / "conformance" / "runs"
    for number in range(12):
        (runs / f"2020-{number:02}").mkdir(parents=True)
        (runs / f"2020-{number:02}" / "plan.json").write_text("{}")
    (runs / "notes").mkdir()
    plugin.pytester.runpytest_inprocess("--fs=fake:big", "-n0", "move/first")
    left = sorted(path.name for path in runs.iterdir())
    assert len(left) == 11
    assert left[:2] == ["2020-03", "2020-04"]
    assert left[-1] == "notes"


def test_a_run_leaves_the_signals_as_they_were(plugin: Plugin) -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    plugin.run("move", fs="fake:big")
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def test_the_summary_has_a_table_of_variants_and_verdicts(plugin: Plugin) -> None:
    plugin.world.verdicts["move/first"] = Verdict("", "fail", (FINDING,))
    result = plugin.run()
    result.stdout.fnmatch_lines(
        [
            "the same in:",
            "  move/first@fake:small",
            "file system  passed  failed  not applicable",
            "fake:big          2      !1  *",
            "fake:small        1      !1               1",
            "all               3      !2               1",
            "5 trials in * on Linux 6.1.0 (uml-6.1, uml).",
        ]
    )


def test_verbose_gives_each_trial_a_line(plugin: Plugin) -> None:
    result = plugin.run("-v", "move", fs="fake:big")
    result.stdout.fnmatch_lines(["pass     move/first@fake:big", "pass     move/second@fake:big"])


def test_quiet_shows_no_progress(plugin: Plugin) -> None:
    result = plugin.run("-q", "move", fs="fake:big")
    assert "trials of" not in result.stdout.str()
    assert "passed" in result.stdout.str()


def test_the_quick_set_leaves_other_variants_alone_also_where_they_are_not_applicable(
    plugin: Plugin, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "quick.toml").write_text(case("quick", needs=("swapfile",), tags=("quick",)))
    result = plugin.run("--cases", str(own), "-m", "quick")
    result.assert_outcomes(passed=2)
    assert "fake:small" not in result.stdout.str()


def test_a_run_without_pytests_terminal_is_judged_all_the_same(plugin: Plugin) -> None:
    plugin.world.verdicts["move/first"] = Verdict("", "fail", (FINDING,))
    result = plugin.run("-p", "no:terminal", "move", fs="fake:big")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert len(plugin.trials) == 2


def test_only_what_failed_last_runs_again(plugin: Plugin) -> None:
    plugin.world.verdicts["move/first"] = Verdict("", "fail", (FINDING,))
    arguments = ("--fs=fake:big", "-n0", "move")
    plugin.pytester.runpytest_inprocess(*arguments)
    plugin.world.ran.clear()
    plugin.pytester.runpytest_inprocess(*arguments, "--last-failed").assert_outcomes(failed=1, deselected=1)
    assert plugin.trials == ["move/first@fake:big"]
