"""Targets: what a file says, what a variant changes, and what --fs selects."""

from __future__ import annotations

from pathlib import Path

import pytest
from corpus_kit import TARGET, write

from conformance.corpus import Target, read_target, select_variants
from conformance.errors import CorpusError, UnknownName, UsageError


@pytest.fixture
def target(tmp_path: Path) -> Target:
    write(tmp_path, fs=TARGET)
    return read_target(tmp_path / "fs.toml")


def test_variants_differ_in_what_they_say(target: Target) -> None:
    big, small = target.variants
    assert (big.name, big.first, big.system.block) == ("fs:big", True, 4096)
    assert (small.name, small.first, small.system.block) == ("fs:small", False, 1024)
    assert big.offers_at("clone", "6.6.1")
    assert not small.offers_at("clone", "6.6.1")
    assert small.offers_at("move_ext", "6.6.1")


def test_why_not_names_the_kernels(target: Target) -> None:
    big, small = target.variants
    assert not big.offers_at("clone", "6.1.0")
    assert big.why_not("clone", "6.1.0") == "fs:big offers clone on kernels >=6.5, this is 6.1.0"
    assert small.why_not("clone", "6.6.0") == "fs:small does not offer clone"


def test_a_target_without_variants_has_one(tmp_path: Path) -> None:
    write(tmp_path, fs=TARGET.partition("[variants")[0].replace("[offers]", "packages = ['fsprogs']\n[offers]"))
    (only,) = read_target(tmp_path / "fs.toml").variants
    assert (only.name, only.first, only.packages) == ("fs:default", True, ("fsprogs",))


def test_a_variant_for_some_kernels_with_features_of_its_own(tmp_path: Path) -> None:
    own = """
[variants.new]
title = "New"
kernels = ">=6.10"
after_mkfs = [["tune", "--new", "{device}"]]
before_check = [["tune", "--old", "{device}"]]
"""
    write(tmp_path, fs=TARGET + own)
    new = read_target(tmp_path / "fs.toml").variants[-1]
    assert new.system.after_mkfs == (("tune", "--new", "{device}"),)
    assert new.system.before_check == (("tune", "--old", "{device}"),)
    assert [new.kernels.holds(release) for release in ("6.1.0", "6.10.1", None)] == [False, True, True]
    write(tmp_path, fs=TARGET + own.replace(">=6.10", "new"))
    with pytest.raises(CorpusError, match="key 'kernels': expected a range of kernels"):
        read_target(tmp_path / "fs.toml")
    write(tmp_path, fs=TARGET + own.replace('"--old", "{device}"', '"--old"'))
    with pytest.raises(CorpusError, match="key 'before_check': expected a command with"):
        read_target(tmp_path / "fs.toml")


def test_the_block_is_filled_in_and_the_device_is_left(tmp_path: Path) -> None:
    write(tmp_path, fs=TARGET.replace('["mkfs", "{device}"]', '["mkfs", "-b", "size={block}", "{device}"]'))
    big, small = read_target(tmp_path / "fs.toml").variants
    assert big.system.mkfs == ("mkfs", "-b", "size=4096", "{device}")
    assert small.system.mkfs == ("mkfs", "-b", "size=1024", "{device}")


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('title = "A file system"', "", "the key 'title' is missing"),
        ('kind = "ext4"', 'kind = "ext4"\ncolour = "red"', "unknown key 'colour'"),
        ('kind = "ext4"', "kind = 4", "key 'kind': expected text, found 4"),
        ('block = "4k"', 'block = "5k"', "expected a power of two from 512 on, found 5120"),
        ('block = "4k"', 'block = "4z"', "expected a quantity"),
        ('check = ["fsck", "{device}"]', 'check = ["fsck"]', 'expected a command with "{device}" in it'),
        ("move_ext", "move_exit", "unknown ability 'move_exit'. Did you mean move_ext"),
        ('clone = ">=6.5"', 'clone = "new"', "key 'offers.clone': expected a range of kernels"),
        ('clone = ">=6.5"', "clone = 6.5", "key 'offers.clone': expected a range of kernels"),
        ('without = ["clone"]', 'without = ["handle"]', "unknown ability of this target 'handle'"),
        ("[offers]", "[awaited]\nfly = 'no'\n[offers]", "key 'awaited.fly': unknown ability 'fly'"),
        ("[offers]", "[awaited]\nhandle = ''\n[offers]", "key 'awaited.handle': expected the reason why"),
        ('without = ["clone"]', "kind = 'xfs'", "variant 'small': unknown key 'kind'"),
        ("[variants.small]", '[variants."a b"]', "expected a name of small letters"),
        ("[variants.big]\n\n[variants.small]", "variants = 3\n[other]", "unknown key"),
    ],
)
def test_what_is_wrong_with_a_target_is_told(tmp_path: Path, old: str, new: str, problem: str) -> None:
    assert old in TARGET
    write(tmp_path, fs=TARGET.replace(old, new))
    with pytest.raises(CorpusError) as found:
        read_target(tmp_path / "fs.toml")
    assert problem in str(found.value)
    assert str(found.value).startswith(str(tmp_path / "fs.toml"))


def test_a_target_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="cannot be read: No such file"):
        read_target(tmp_path / "fs.toml")


def test_what_is_awaited_is_told_with_its_reason(tmp_path: Path) -> None:
    write(tmp_path, fs=TARGET.replace("[offers]", '[awaited]\nclone = "no tool yet"\nhandle = "no tool yet"\n[offers]'))
    big, small = read_target(tmp_path / "fs.toml").variants
    assert big.why_not("handle", None) == "fs:big does not offer handle: no tool yet"
    assert big.why_not("clone", "6.1.0") == "fs:big offers clone on kernels >=6.5, this is 6.1.0"
    assert small.why_not("clone", "6.1.0") == "fs:small does not offer clone: no tool yet"
    assert not small.offers_at("clone", None)
    assert small.with_awaited().offers_at("clone", None)
    assert not big.with_awaited().offers_at("clone", "6.1.0")


def test_selection(target: Target, tmp_path: Path) -> None:
    targets = {"fs": target}
    assert [item.name for item in select_variants("fs", targets)] == ["fs:big", "fs:small"]
    assert [item.name for item in select_variants("fs:small, fs", targets)] == ["fs:small", "fs:big"]
    write(tmp_path, ours=TARGET)
    assert [item.name for item in select_variants(f"{tmp_path}/ours.toml", targets)] == ["ours:big", "ours:small"]
    assert [item.name for item in select_variants(f"{tmp_path}/ours.toml:big", targets)] == ["ours:big"]


def test_selection_says_what_exists(target: Target) -> None:
    with pytest.raises(UnknownName, match=r"unknown file system 'fss'\. Did you mean fs\?.* What exists: fs\."):
        select_variants("fss", {"fs": target})
    with pytest.raises(UnknownName, match=r"unknown variant of fs 'smal'\. Did you mean small\?"):
        select_variants("fs:smal", {"fs": target})
    with pytest.raises(UsageError, match="expected file systems such as"):
        select_variants("fs,", {"fs": target})


def test_a_file_cannot_take_the_name_of_a_target(target: Target, tmp_path: Path) -> None:
    write(tmp_path / "elsewhere", fs=TARGET)
    with pytest.raises(UsageError, match="would be called 'fs'"):
        select_variants(f"{tmp_path}/elsewhere/fs.toml", {"fs": target})
