"""Images for real, in a cache of the test's own: what is made anew after damage, and what is not."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from conformance import images
from conformance.cache import sha256_of
from conformance.cachedir import cache_dir

KERNEL = "uml-6.1"


class Said(list[str]):
    """What was told as progress."""

    def __call__(self, said: str) -> None:
        self.append(said)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the user's cache of images, complete."""
    images.boot_image(KERNEL, print)
    copy = tmp_path_factory.mktemp("made") / "images"
    shutil.copytree(cache_dir() / "images", copy, symlinks=True)
    return copy


@pytest.fixture
def cache(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A complete cache that the test may damage, with nothing at hand to download with."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "no-programs"))
    shutil.copytree(made, tmp_path / "conformance" / "images", symlinks=True)
    return tmp_path / "conformance" / "images"


@pytest.mark.usefixtures("cache")
def test_a_second_call_downloads_and_says_nothing() -> None:
    said = Said()
    image = images.boot_image(KERNEL, said)
    assert said == []
    assert image.kernel_name == KERNEL
    assert os.access(image.kernel, os.X_OK)
    packages = [package for package, _, _ in image.provenance]
    assert packages[0] == "user-mode-linux"
    assert {"python3.11-minimal", "e2fsprogs", "xfsprogs", "btrfs-progs", "libc6"} <= set(packages)
    assert all(version and len(sha256) == 64 for _, version, sha256 in image.provenance)


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def spoil(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(b"spoiled")


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("damage", [truncate, spoil, Path.unlink])
def test_a_damaged_archive_is_made_anew_from_the_root_in_the_cache(damage: Callable[[Path], None]) -> None:
    before = images.boot_image(KERNEL, print)
    digest = sha256_of(before.initramfs)
    damage(before.initramfs)
    said = Said()
    after = images.boot_image(KERNEL, said)
    assert said[0] == "adding the agent to the guest's root"
    assert (after, sha256_of(after.initramfs)) == (before, digest)


def test_another_agent_makes_only_the_small_archive_anew(cache: Path, tmp_path: Path) -> None:
    first = images.boot_image(KERNEL, print)
    (tmp_path / "agent" / "conformance").mkdir(parents=True)
    (tmp_path / "agent" / "conformance" / "__init__.py").write_text("x = 1\n")
    said = Said()
    second = images.boot_image(KERNEL, said, agent_directory=tmp_path / "agent")
    assert said == ["adding the agent to the guest's root"]
    assert second.initramfs != first.initramfs
    assert second.kernel == first.kernel
    roots = [path.read_bytes() for path in cache.glob("root-*/root.cpio")]
    assert any(second.initramfs.read_bytes().startswith(root) for root in roots)


def test_a_kernel_of_ones_own_is_taken_where_it_lies(cache: Path, tmp_path: Path) -> None:
    kernel = shutil.copy(next(cache.glob("kernel-*")) / "linux.uml", tmp_path / "my-linux")
    image = images.boot_image(str(kernel), print)
    assert image.kernel == tmp_path / "my-linux"
    assert image.provenance[0] == (str(tmp_path / "my-linux"), "", sha256_of(tmp_path / "my-linux"))


def test_damaged_downloads_are_downloaded_again(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.defpath)
    before = images.boot_image(KERNEL, print)
    truncate(before.kernel)
    for interpreter in cache.glob("root-*/root/usr/bin/python3.11"):
        interpreter.unlink()
    before.initramfs.unlink()
    said = Said()
    after = images.boot_image(KERNEL, said)
    assert said[0] == "downloading user-mode-linux"
    assert "making the guest's root" in said
    assert after.kernel == before.kernel
    assert after.kernel.stat().st_size > 1 << 20
    assert len(after.provenance) == len(before.provenance)


def test_what_is_cleaned_is_gone_and_listed_no_more(cache: Path) -> None:
    images.boot_image(KERNEL, print)
    listed = images.list_images()
    assert {usage.path.name.partition("-")[0] for usage in listed} == {"kernel", "root", "initramfs"}
    assert images.clean_images(unused_seconds=30 * 24 * 3600 + time.time()) == []
    assert sorted(images.clean_images()) == sorted(usage.path for usage in listed)
    assert images.list_images() == []
    assert not any(path.is_dir() for path in cache.glob("*-*"))
