"""The conformance command: what each verb prints, and its exit status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from plugin_kit import FINDING, Plugin, case, make_plugin

from conformance import __version__
from conformance.cli import VERBS, main
from conformance.model.verdict import Verdict
from conformance.runner import again

pytest_plugins = ("pytester",)

Capture = pytest.CaptureFixture[str]

KNOWN = """
[[known]]
id = "first-fails"
rule = "MUST-1"
trials = ["move/first@*"]
kernel = "6.1"
verdict = "fail"
shows = "always"
evidence = "3 of 3 runs on 6.1.176"
control = ["move/second@*"]
reason = "the kernel forgets it"
since = "2026-01-31"
findings = ["outcome@1"]
"""


@pytest.fixture
def plugin(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Plugin:
    """A corpus of two cases and a known deviation."""
    return make_plugin(
        pytester, monkeypatch, tmp_path,
        move__first=case("first"), move__second=case("second", rule="SHOULD-1", needs=("swapfile",), tags=("mmap",)),
        known__first=KNOWN,
    )  # fmt: skip


def run(capsys: Capture, *arguments: str) -> tuple[int, str, str]:
    """Exit status, output and errors."""
    capsys.readouterr()
    status = main(arguments)
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.mark.parametrize("verb", [[], *([verb.NAME] for verb in VERBS)], ids=lambda verb: verb[0] if verb else "all")
def test_help_teaches_with_examples(capsys: Capture, verb: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*verb, "--help"])
    assert ended.value.code == 0
    told = capsys.readouterr().out
    assert f"  conformance {verb[0]}" in told if verb else "  pytest --fs=ext4" in told


def test_version(capsys: Capture) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"conformance {__version__}\n"


@pytest.mark.parametrize("arguments", [[], ["lnit"], ["list"], ["judge", "--no-such-option"]])
def test_wrong_arguments_end_with_2(arguments: list[str], capsys: Capture) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: conformance" in capsys.readouterr().err


# --- list --------------------------------------------------------------------------------------


@pytest.mark.usefixtures("plugin")
def test_list_prints_names_and_counts_to_standard_error(capsys: Capture) -> None:
    assert run(capsys, "list", "--fs=fake") == (
        0,
        "move/first@fake:big\nmove/second@fake:big\nmove/first@fake:small\n",
        "3 trials, 1 not applicable\n",
    )


@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize("chosen", [["move/second"], ["--rule", "SHOULD-*"], ["--tag", "mmap"]])
def test_list_selects_as_a_run_does(capsys: Capture, chosen: list[str]) -> None:
    assert run(capsys, "list", "--fs=fake", *chosen)[1] == "move/second@fake:big\n"


@pytest.mark.usefixtures("plugin")
def test_list_tells_reasons(capsys: Capture) -> None:
    told = run(capsys, "list", "--fs=fake:small", "--reasons")[1]
    assert "move/second@fake:small  not applicable: fake:small does not offer swapfile\n" in told


@pytest.mark.usefixtures("plugin")
def test_errors_are_one_paragraph_and_2(capsys: Capture) -> None:
    assert run(capsys, "list", "--fs=fak") == (
        2, "", "conformance: unknown file system 'fak'. Did you mean fake? What exists: fake.\n",
    )  # fmt: skip


# --- explain, rules, findings, lint ---------------------------------------------------------------


@pytest.mark.usefixtures("plugin")
def test_explain_tells_of_rules_cases_calls_and_words(capsys: Capture) -> None:
    status, told, _ = run(capsys, "explain", "MUST-1", "move/second", "sync", "mmap")
    assert status == 0
    for text in ("Something must hold.", "this test", "move/first", "SHOULD-1 (SHOULD): Something should hold."):
        assert text in told
    for heading in ("MUST-1  (rule)", "move/second  (case)", "sync  (call)", "mmap  (word)"):
        assert heading in told


@pytest.mark.usefixtures("plugin")
def test_explain_of_nothing_suggests_what_is_near(capsys: Capture) -> None:
    status, told, errors = run(capsys, "explain", "MUST-2")
    assert (status, told) == (2, "")
    assert "Did you mean MUST-1" in errors


@pytest.mark.usefixtures("plugin")
def test_rules_counts_cases(capsys: Capture) -> None:
    rows = [line.split() for line in run(capsys, "rules")[1].splitlines()]
    assert ["MUST-1", "MUST", "mainline", "1", "Something", "must", "hold."] in rows
    assert ["PROPOSED-1", "MUST", "proposed", "0", "Something", "was", "proposed."] in rows
    assert "MUST-1" not in run(capsys, "rules", "--untested")[1]
    assert "PROPOSED-1" not in run(capsys, "rules", "MUST-*")[1]
    status, _, errors = run(capsys, "rules", "NOTHING-*")
    assert (status, errors) == (2, "conformance: unknown rule 'NOTHING-*'. `conformance rules` lists them.\n")


@pytest.mark.usefixtures("plugin")
def test_findings_lists_known_deviations(capsys: Capture) -> None:
    told = run(capsys, "findings")[1]
    assert "first-fails  fail, always; kernels 6.1" in told
    assert "MUST-1: Something must hold." in told
    assert "the kernel forgets it" in told
    assert "3 of 3 runs" not in told
    assert "3 of 3 runs on 6.1.176" in run(capsys, "findings", "--long")[1]


def test_lint_of_a_sound_corpus_is_0_and_of_another_1(plugin: Plugin, capsys: Capture, tmp_path: Path) -> None:
    assert plugin.world.started == 0
    (tmp_path / "share" / "cases" / "third.toml").write_text(case("third", rule="PROPOSED-1"))
    (tmp_path / "share" / "cases" / "known" / "first.toml").unlink()
    status, told, _ = run(capsys, "lint")
    assert (status, told) == (0, "3 rules, 3 cases, 1 targets: all is well\n")
    own = tmp_path / "own"
    own.mkdir()
    (own / "broken.toml").write_text(case("broken").replace("MUST-1", "MUST-9"))
    status, told, _ = run(capsys, "lint", str(own))
    assert status == 1
    assert "broken.toml, key 'rule': unknown rule 'MUST-9'. Did you mean MUST-1?" in told
    assert told.endswith("3 rules, 3 cases, 1 targets: 1 problem\n")


@pytest.mark.usefixtures("plugin")
def test_lint_of_a_folder_that_is_not_there(capsys: Capture) -> None:
    assert run(capsys, "lint", "nowhere") == (
        2,
        "",
        "conformance: nowhere: expected a folder with cases, found none.\n",
    )


# --- judge -------------------------------------------------------------------------------------


def test_judge_judges_the_saved_traces_again(plugin: Plugin, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin.world.verdicts["move/first"] = Verdict("", "fail", (FINDING,))
    plugin.run(fs="fake:big")
    monkeypatch.setattr(again, "judge", plugin.world.judge)
    status, told, _ = run(capsys, "judge", str(plugin.directory.path))
    assert status == 0
    assert "changed" not in told
    assert "first-fails  1 trial of fake:big: the kernel forgets it" in told


def test_judge_says_which_verdicts_changed(plugin: Plugin, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin.world.verdicts["move/first"] = Verdict("", "fail", (FINDING,))
    plugin.run("--repeat=2", fs="fake:big")
    plugin.world.verdicts = {"move/second": Verdict("", "vacuous", reason="it did not meet its situation")}
    monkeypatch.setattr(again, "judge", plugin.world.judge)
    status, told, _ = run(capsys, "judge", str(plugin.directory.traces))
    assert status == 1
    assert told.splitlines()[:4] == [
        "changed: move/first@fake:big: was known, is fail (red)",
        "changed: move/second@fake:big: was pass, is vacuous (red)",
        "changed: move/first@fake:big#2: was known, is fail (red)",
        "changed: move/second@fake:big#2: was pass, is vacuous (red)",
    ]


def test_judge_explains_one_trial(plugin: Plugin, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin.run(fs="fake:big")
    monkeypatch.setattr(again, "judge", plugin.world.judge)
    directory = str(plugin.directory.path)
    status, told, _ = run(capsys, "judge", directory, "--explain", "move/second@fake:big")
    assert status == 0
    assert "PASS: it keeps the rule" in told
    status, _, errors = run(capsys, "judge", directory, "--explain", "move/secnd@fake:big")
    assert status == 2
    assert "Did you mean move/second@fake:big" in errors


@pytest.mark.usefixtures("plugin")
def test_judge_takes_the_last_run_and_says_so_when_there_is_none(capsys: Capture, tmp_path: Path) -> None:
    status, _, errors = run(capsys, "judge")
    assert status == 2
    assert f"expected a run in {tmp_path / 'state' / 'conformance' / 'runs'}, found none." in errors


def test_judge_refuses_what_is_no_run_and_traces_that_are_none(plugin: Plugin, capsys: Capture, tmp_path: Path) -> None:
    status, _, errors = run(capsys, "judge", str(tmp_path))
    assert status == 2
    assert "expected the directory of a run or a file in it, found no plan.json." in errors
    plugin.run(fs="fake:big")
    traces = plugin.directory.traces
    first, *rest = traces.read_text().splitlines()
    for damaged, told in (
        ("not json", "line 1: expected JSON"),
        (json.dumps({**json.loads(first), "more": 1}), "line 1: more: unknown key"),
        (json.dumps({**json.loads(first), "trial": "another"}), "found one of 'another'"),
    ):
        traces.write_text("\n".join([damaged, *rest]) + "\n")
        status, _, errors = run(capsys, "judge", str(plugin.directory.path))
        assert status == 2
        assert told in errors
