"""Conditions, choices and substitution."""

from __future__ import annotations

from pathlib import Path

import pytest
from corpus_kit import TARGET, write

from conformance.corpus import read_target
from conformance.corpus.conditions import Setting, check_condition, parse_condition, problems, resolve
from conformance.errors import CorpusError

AXES: dict[str, dict[str, str | int]] = {
    "via": {"swapext": "swapext", "move_ext": "move_ext"},
    "n": {"1": 1, "16": 16},
    "layout": {"hole": "hole:1p"},
}


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    write(tmp_path, fs=TARGET)
    variant = read_target(tmp_path / "fs.toml").variants[1]
    names = {"via": "swapext", "n": "16", "layout": "hole"}
    return Setting(variant, "6.1.192", names, {axis: AXES[axis][name] for axis, name in names.items()})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("via=swapext", True),
        ("via = swapext", True),
        ("via!=swapext", False),
        ("via=move_ext", False),
        ("n=16", True),
        ("layout=hole", True),
        ("fs=fs", True),
        ("fs=ext4", True),
        ("fs!=xfs", True),
        ("target=fs:small", True),
        ("target=fs:big", False),
        ("block=1k", True),
        ("block=1024", True),
        ("block<4k", True),
        ("block>=4k", False),
        ("block<=1k", True),
        ("block>1k", False),
        ("block!=4k", True),
        ("kernel=6.1", True),
        ("kernel!=6.1", False),
        ("kernel>=6.12", False),
        ("kernel<6.2", True),
        ("offers=move_ext", True),
        ("offers=clone", False),
        ("offers!=clone", True),
        ("via=swapext and kernel>=6.1", True),
        ("via=swapext and kernel>=6.1 and fs=xfs", False),
    ],
)
def test_holds(setting: Setting, text: str, expected: bool) -> None:
    assert setting.holds(check_condition(text, AXES)) is expected


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("via", "expected a condition such as"),
        ("via==swapext", "unknown value of the axis 'via': '=swapext'"),
        ("via=swapext or fs=xfs", "expected a condition such as"),
        ("via<swapext", "expected = or != after 'via'"),
        ("vie=swapext", "unknown axis 'vie'. Did you mean via?"),
        ("via=swapxt", "unknown value of the axis 'via': 'swapxt'. Did you mean swapext?"),
        ("kernel>=six", "expected a range of kernels"),
        ("block<4z", "expected a quantity"),
        ("offers=cloning", "unknown ability 'cloning'"),
    ],
)
def test_a_condition_says_what_it_expected(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=r"expected|unknown") as found:
        check_condition(text, AXES)
    assert problem in str(found.value)


def test_the_first_condition_that_holds_decides(setting: Setting) -> None:
    both = {"via=swapext": "first", "fs=fs": "second", "otherwise": "third"}
    assert resolve(both, setting, "here") == "first"
    assert resolve({"fs=fs": "second", "via=swapext": "first", "otherwise": "third"}, setting, "here") == "second"
    assert resolve({"fs=xfs": "first", "otherwise": "third"}, setting, "here") == "third"


def test_a_choice_that_nothing_decides_is_an_error(setting: Setting) -> None:
    with pytest.raises(CorpusError) as found:
        resolve({"fs=xfs": 1, "fs=btrfs": 2}, setting, "FILE: step 1, key 'expect'")
    assert str(found.value) == (
        "FILE: step 1, key 'expect': no condition of fs=xfs, fs=btrfs holds for "
        "[via=swapext,n=16,layout=hole]@fs:small; add the key 'otherwise'"
    )


def test_choices_are_made_inside_tables_and_lists(setting: Setting) -> None:
    value = {"size": {"block=1k": "1b", "otherwise": "2b"}, "flags": ["{via}", {"fs=fs": "nocow"}]}
    assert resolve(value, setting, "here") == {"size": "1b", "flags": ["swapext", "nocow"]}


def test_the_choices_made_are_remembered(setting: Setting) -> None:
    resolve({"fs=xfs": 1, "otherwise": 2}, setting, "here")
    assert setting.taken == {("here", "otherwise")}


@pytest.mark.parametrize(
    ("text", "expected"),
    [("{via}", "swapext"), ("{n}", 16), ("data:{n}b {layout}", "data:16b hole:1p"), ("plain", "plain"), (7, 7)],
)
def test_substitution(setting: Setting, text: object, expected: object) -> None:
    assert resolve(text, setting, "here") == expected


def test_an_unknown_axis_in_a_text(setting: Setting) -> None:
    with pytest.raises(CorpusError, match=r"here: unknown axis 'vie'\. Did you mean via\?"):
        resolve("{vie}", setting, "here")


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("{vie}", "unknown axis 'vie'. Did you mean via?"),
        ("a{b", "no other braces"),
        ("a}b{", "no other braces"),
        ([{"size": "{m}"}], "unknown axis 'm'"),
        ({"via=swapext": 1, "else": 2}, "expected only conditions and 'otherwise' beside via=swapext, found 'else'"),
        ({"otherwise": 1, "via=swapext": 2}, "expected 'otherwise' as the last key"),
        ({"via=x": 1}, "unknown value of the axis"),
    ],
)
def test_problems(value: object, problem: str) -> None:
    assert problem in "\n".join(problems(value, AXES))


def test_no_problems() -> None:
    assert not list(problems({"a": ["{via}", {"n=1": "{n}", "otherwise": 2}], "b": 1.5}, AXES))


def test_conditions_are_parsed_once() -> None:
    assert parse_condition("fs=xfs") is parse_condition("fs=xfs")
