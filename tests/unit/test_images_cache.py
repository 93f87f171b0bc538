"""The cache of images: made once, checked at every use, made anew when damaged, safe for parallel workers."""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from conformance.cache import Cache, Contents, Entry, digest, require_space
from conformance.cachedir import cache_dir, require_directory
from conformance.errors import ImageError, SetupError

SOURCE = (("package", "1.0", "ab" * 32),)


class Maker:
    """Makes an entry of two files and counts how often."""

    def __init__(self) -> None:
        self.times = 0
        self.said: list[str] = []

    def __call__(self, new: Path) -> Contents:
        self.times += 1
        (new / "kernel").write_bytes(b"kernel" * 100)
        (new / "deep").mkdir()
        (new / "deep/root").write_bytes(b"root" * 100)
        return Contents(("kernel", "deep/root"), SOURCE)

    def get(self, cache: Cache) -> Entry:
        return cache.get("image", "k1", self, self.said.append)


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "images")


def test_made_once_and_found_with_its_provenance(cache: Cache) -> None:
    make = Maker()
    first, second = make.get(cache), make.get(cache)
    assert make.times == 1
    assert first == second
    assert second.provenance == SOURCE
    assert second.path.name == "image-k1"
    assert (second.path / "deep/root").read_bytes() == b"root" * 100
    assert make.said == []


def test_nothing_but_entries_and_locks_is_left(cache: Cache) -> None:
    Maker().get(cache)
    assert sorted(path.name for path in cache.root.iterdir()) == ["image-k1", "locks"]


def truncate(path: Path) -> None:
    os.truncate(path / "kernel", 10)


def delete_part(path: Path) -> None:
    (path / "deep/root").unlink()


def overwrite_in_place(path: Path) -> None:
    with (path / "kernel").open("r+b") as file:
        file.write(b"K")
    os.utime(path / "kernel", ns=(1, 1))


def spoil_record(path: Path) -> None:
    (path / "record.json").write_text('{"files": [1]}')


def cut_record(path: Path) -> None:
    (path / "record.json").write_text((path / "record.json").read_text()[:20])


def replace_part_by_directory(path: Path) -> None:
    (path / "kernel").unlink()
    (path / "kernel").mkdir()


@pytest.mark.parametrize(
    "damage", [truncate, delete_part, overwrite_in_place, spoil_record, cut_record, replace_part_by_directory]
)
def test_damage_is_seen_and_mended(cache: Cache, damage: Callable[[Path], None]) -> None:
    make = Maker()
    damage(make.get(cache).path)
    assert cache.find("image", "k1") is None
    mended = make.get(cache)
    assert make.times == 2
    assert (mended.path / "kernel").read_bytes() == b"kernel" * 100
    assert make.said == ["replacing image-k1, which is damaged"]
    assert sorted(path.name for path in cache.root.iterdir()) == ["image-k1", "locks"]


def test_another_time_alone_is_no_damage(cache: Cache) -> None:
    make = Maker()
    os.utime(make.get(cache).path / "kernel", ns=(1, 1))
    make.get(cache)
    assert make.times == 1


def test_a_maker_that_fails_leaves_nothing(cache: Cache) -> None:
    def fail(new: Path) -> Contents:
        (new / "half").write_text("x")
        raise ImageError("no such package")

    with pytest.raises(ImageError, match="no such package"):
        cache.get("image", "k1", fail, print)
    assert [path.name for path in cache.root.iterdir()] == ["locks"]


def test_leftovers_of_a_killed_maker_are_removed(cache: Cache) -> None:
    (cache.root / ".image-k1.abcd").mkdir(parents=True)
    Maker().get(cache)
    assert not list(cache.root.glob(".*"))


def _get_slowly(root: Path, log: Path) -> None:
    def make(new: Path) -> Contents:
        with log.open("a") as file:
            file.write(f"{os.getpid()}\n")
        return Maker()(new)

    Cache(root).get("image", "k1", make, print)


def test_parallel_processes_make_it_once(cache: Cache, tmp_path: Path) -> None:
    log = tmp_path / "log"
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_get_slowly, args=(cache.root, log)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0, 0]
    assert len(log.read_text().splitlines()) == 1


def test_usage_and_removal_by_kind_and_age(cache: Cache) -> None:
    make = Maker()
    for number in range(4):
        cache.get("initramfs", f"k{number}", make, print)
        os.utime(cache.root / f"initramfs-k{number}", (time.time() - 1000 * number, time.time() - 1000 * number))
    cache.get("kernel", "k", make, print)
    assert {usage.path.name for usage in cache.usage()} == {"kernel-k", *(f"initramfs-k{n}" for n in range(4))}
    assert all(usage.size >= 1000 for usage in cache.usage())
    removed = cache.remove("initramfs", keep=1, unused_seconds=1500)
    assert sorted(path.name for path in removed) == ["initramfs-k2", "initramfs-k3"]
    assert len(cache.remove("")) == 3
    assert cache.usage() == []


def test_the_key_depends_on_names_and_contents_and_their_borders() -> None:
    keys = {digest({"a": "bc"}), digest({"ab": "c"}), digest({"a": "b", "c": ""}), digest({"a": b"bd"}), digest({})}
    assert len(keys) == 5
    assert digest({"a": "1", "b": "2"}) == digest({"b": "2", "a": "1"})


def test_the_record_is_readable_by_others(cache: Cache) -> None:
    entry = Maker().get(cache)
    record = json.loads((entry.path / "record.json").read_text())
    assert record["provenance"] == [list(SOURCE[0])]
    assert set(record["files"]) == {"kernel", "deep/root"}


def test_too_little_space_is_refused_with_the_numbers(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"making an image needs 1073741824 MiB of disk space, found \d+ MiB free"):
        require_space(tmp_path, 1 << 50, "making an image")


def test_a_full_disk_while_making_is_told_as_such(cache: Cache) -> None:
    def fill(new: Path) -> Contents:
        (new / "kernel").symlink_to("/dev/full")
        (new / "kernel").write_bytes(b"x")
        return Contents(("kernel",), SOURCE)

    with pytest.raises(ImageError, match="no space left on the device"):
        cache.get("image", "k1", fill, print)


def test_a_cache_that_cannot_be_made_is_told_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError, match=r"file/images: cannot make or write .* Set XDG_CACHE_HOME"):
        require_directory(tmp_path / "file" / "images")


def test_the_cache_follows_xdg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_dir() == tmp_path / "conformance"
    monkeypatch.setenv("HOME", "/home/somebody")
    for ignored in ("relative/path", ""):
        monkeypatch.setenv("XDG_CACHE_HOME", ignored)
        assert cache_dir() == Path("/home/somebody/.cache/conformance")
