"""What a user can get wrong: one paragraph that says what was expected and what was found, and exit status 4 or 5."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from plugin_kit import HELLO, TARGET, Plugin, case, make_plugin

from conformance.errors import GuestDied, ImageError
from conformance.runner import planning

pytest_plugins = ("pytester",)


@pytest.fixture
def plugin(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Plugin:
    """A corpus of two cases."""
    one, two = case("one"), case("two", needs=("move_ext",))
    return make_plugin(pytester, monkeypatch, tmp_path, move__one=one, move__two=two)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--fs=fak"], "unknown file system 'fak'. Did you mean fake? What exists: fake."),
        (["--fs=fake:bigg"], "unknown variant of fake 'bigg'. Did you mean big? What exists: big, small."),
        (["--fs=fake,,"], "expected file systems such as ext4 or xfs:rmapbt0, separated by commas, found 'fake,,'"),
        (["--fs="], "expected file systems such as ext4 or xfs:rmapbt0, separated by commas, found ''"),
        (["--fs=./ours.toml"], "ours.toml: cannot be read: No such file or directory"),
        (["--fs=fake", "--kernel=uml-6.2"], "unknown kernel 'uml-6.2'. Did you mean uml-6.1?*"),
        (["--fs=fake", "--kernel=./nothing"], "kernel ./nothing: expected a kernel file, found*"),
        (["--fs=fake", "--machine=ulm"], "unknown machine 'ulm'.*What exists:*uml*"),
        (
            ["--fs=fake", "--profile=strickt"],
            "unknown profile 'strickt'. Did you mean strict or stock? What exists: stock, strict.",
        ),
        (["--fs=fake", "--repeat=0"], "--repeat=0: expected a number from 1 to 100000"),
        (
            ["--fs=fake", "--repeat=100000"],
            "--repeat=100000: that would be 200,000 runs of 2 trials; expected at most *",
        ),
        (["--fs=fake", "--time-scale=0"], "--time-scale=0: expected a factor from 0.01 to 1000"),
        (["--fs=fake", "--time-scale=nan"], "--time-scale=nan: expected a factor from 0.01 to 1000"),
        (["--fs=fake", "--cases=nowhere"], "--cases nowhere: expected a folder with cases, found none."),
        (["--fs=fake", "--rule=MUST-2"], "unknown rule 'MUST-2'. Did you mean MUST-1? `conformance rules` lists them."),
        (["--fs=fake", "--tag=quik"], "unknown tag 'quik'. Did you mean quick?*"),
        (["--fs=fake", "-m", "quik"], "-m: unknown tag 'quik'. Did you mean quick?*"),
        (["--fs=fake", "-k", "one and"], "-k 'one and': expected words joined by and, or, not*"),
        (["--fs=fake", "move/ona"], "unknown case or folder 'move/ona'. Did you mean move/one?*"),
        (["--fs=fake", "."], ".: expected a case or a folder of cases below *; found none there."),
    ],
)
def test_usage(plugin: Plugin, arguments: list[str], told: str) -> None:
    result = plugin.pytester.runpytest_inprocess("-n0", *arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {told}"])
    assert "Traceback" not in result.stderr.str()
    assert plugin.world.started == 0


def test_a_machine_that_cannot_boot_the_kernel(plugin: Plugin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conformance.runner.settings.MACHINES", {"uml": None, "other": None})
    result = plugin.pytester.runpytest_inprocess("--fs=fake", "--machine=other", "--kernel=uml-6.1")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --machine=other cannot boot the kernel uml-6.1: that needs --machine=uml."])


def test_every_error_of_a_broken_corpus_is_listed(plugin: Plugin, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "syntax.toml").write_text("rule = ")
    (own / "word.toml").write_text(case("word").replace('do = "sync"', 'do = "snyc"'))
    (own / "late.toml").write_text(case("late").replace('"data:1b"', '"data:900000b"'))
    result = plugin.run(f"--cases={own}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["*syntax.toml: not TOML*", "*word.toml: step 1, key 'do': unknown call 'snyc'. Did*"]
    )


def test_a_case_that_asks_for_gigabytes_is_refused_before_anything_runs(plugin: Plugin, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "large.toml").write_text(case("large").replace('"data:1b"', '"data:900000b"'))
    result = plugin.run(f"--cases={own}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*large.toml*expected at most*"])
    assert plugin.world.started == 0


def test_a_kernel_without_the_file_system(plugin: Plugin) -> None:
    plugin.world.hello = replace(HELLO, filesystems=("xfs", "proc"))
    result = plugin.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [
            "ERROR: --fs=fake:big: the kernel uml-6.1 (6.1.0) has no file system 'ext4'. It has proc, xfs. Choose *"
        ]
    )


def test_a_guest_without_the_tools_names_the_package(plugin: Plugin, tmp_path: Path) -> None:
    text = TARGET.replace('"mkfs.ext4"', '"mkfs.ours"').replace("[offers]", 'packages = ["oursprogs"]\n[offers]')
    (tmp_path / "ours.toml").write_text(text)
    result = plugin.run(fs=str(tmp_path / "ours.toml"))
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --fs=ours:big: the guest image has no mkfs.ours (Debian package oursprogs).*"])


def test_no_disk_space_for_an_image(plugin: Plugin, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise ImageError("/cache: making an image needs 400 MiB of disk space, found 3 MiB free.")

    monkeypatch.setattr(planning, "boot_image", full)
    result = plugin.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: /cache: making an image needs 400 MiB of disk space, found 3 MiB free."])


def test_a_kernel_that_does_not_come_up_shows_its_console(plugin: Plugin, monkeypatch: pytest.MonkeyPatch) -> None:
    def dead(*_: object) -> None:
        raise GuestDied("the guest did not come up: the channel is at its end\nKernel panic - not syncing: no init")

    monkeypatch.setattr(planning, "kernel_facts", dead)
    result = plugin.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: the guest did not come up*", "Kernel panic - not syncing: no init"])


def test_a_run_directory_that_holds_something_is_left_alone(plugin: Plugin, tmp_path: Path) -> None:
    kept = tmp_path / "run" / "thesis.txt"
    kept.parent.mkdir()
    kept.write_text("mine")
    result = plugin.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --run-dir *: expected a new or an empty directory, found another."])
    assert [path.name for path in kept.parent.iterdir()] == ["thesis.txt"]


def test_a_run_directory_that_cannot_be_made(plugin: Plugin, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = plugin.pytester.runpytest_inprocess("--fs=fake", "-n0", f"--run-dir={tmp_path / 'file' / 'run'}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *cannot make the directory for results: Not a directory. Give --run-dir DIR."])


def test_nothing_selected_is_an_error(plugin: Plugin) -> None:
    result = plugin.run("-k", "nothing_like_this")
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    result.stdout.fnmatch_lines(["No trial ran: none was selected.*"])
    assert plugin.world.started == 0


def test_nothing_applicable_is_an_error_with_the_reasons(plugin: Plugin) -> None:
    result = plugin.run("move/two", fs="fake:big")
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    result.stdout.fnmatch_lines(
        ["*fake:big: offers move_ext on kernels >=6.5, this is 6.1.0", "No trial ran: all 1 that*"]
    )
