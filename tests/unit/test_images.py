"""Recipes, the agent's files, and the errors of making images; the making itself is tested in tests/e2e."""

from __future__ import annotations

import ast
import os
import sys
from pathlib import Path

import pytest

from conformance import images, share
from conformance.errors import ImageError, SetupError, UnknownName, UsageError
from conformance.images import agent, debian, elf, recipes


def test_the_share_is_found_beside_the_package() -> None:
    assert (share.share_dir() / "vm-images" / "guest.toml").is_file()


def test_the_recipes_of_this_project_are_read() -> None:
    kernel = images.kernel_recipes()["uml-6.1"]
    assert (kernel.machine, kernel.package, kernel.path) == ("uml", "user-mode-linux", "usr/bin/linux.uml")
    guest = recipes.guest_recipe()
    assert {"mkfs.ext4", "mkfs.xfs", "mkfs.btrfs", "e2fsck", "xfs_repair", "xfs_db"} <= set(guest.programs)
    assert len(set(guest.packages)) == len(guest.packages)


def with_recipes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kernels: str = "", guest: str = "") -> None:
    (tmp_path / "vm-images").mkdir()
    (tmp_path / "vm-images" / "kernels.toml").write_text(kernels)
    (tmp_path / "vm-images" / "guest.toml").write_text(guest)
    monkeypatch.setattr(recipes, "share_dir", lambda: tmp_path)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[k", "kernels.toml: expected a recipe in TOML"),
        ("k = 3", r"\[k\]: expected a table, found 3"),
        ('[k]\nmachine = "uml"', r"\[k\]: package: expected a text, found nothing"),
        ("[k]\nmachine = 6", r"\[k\]: machine: expected a text, found 6"),
        ('[k]\nmachine = "uml"\npackage = "p"\npath = "/boot/x"', r"\[k\]: path: expected a path inside a package"),
        ('[k]\nmachine = "uml"\npackage = "p"\npath = "a/../../x"', r"\[k\]: path: expected a path inside a package"),
        ('[k]\nmachine = "uml"\npackage = "p"\npath = "x"\nurl = "y"', r"\[k\]: unknown key 'url'"),
    ],
)
def test_a_wrong_kernel_recipe_names_file_and_key(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, problem: str
) -> None:
    with_recipes(monkeypatch, tmp_path, kernels=text)
    with pytest.raises(ImageError, match=problem):
        images.kernel_recipes()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", r"guest.toml: python: expected a table, found nothing"),
        ('packages = "p"\n[python]\nx = 1', "packages: expected a list of texts, found 'p'"),
        ("packages = [1]\n[python]\nx = 1", "packages: expected a list of texts, found 1 in it"),
    ],
)
def test_a_wrong_guest_recipe_names_file_and_key(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, problem: str
) -> None:
    with_recipes(monkeypatch, tmp_path, guest=text)
    with pytest.raises(ImageError, match=problem):
        recipes.guest_recipe()


def test_an_unknown_kernel_lists_what_exists_and_what_is_near() -> None:
    with pytest.raises(
        UnknownName, match=r"unknown kernel 'uml-6'\. Did you mean uml-6\.1\?.*What exists: .*, uml-6\.1"
    ):
        images.boot_image("uml-6", print)


def test_a_kernel_path_that_is_no_kernel_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bzImage").write_bytes(b"MZ" + bytes(1000))
    with pytest.raises(UsageError, match=r"another kind of file\. A bzImage is unpacked by"):
        images.kernel_machine(str(tmp_path / "bzImage"))
    (tmp_path / "cut").write_bytes(Path(sys.executable).resolve().read_bytes()[:70])
    with pytest.raises(UsageError, match="damaged ELF file"):
        images.kernel_machine(str(tmp_path / "cut"))
    with pytest.raises(UsageError, match="No such file"):
        images.kernel_machine(str(tmp_path / "absent"))


def test_a_kernel_path_tells_its_machine() -> None:
    assert images.kernel_machine(sys.executable) == "uml"
    assert images.kernel_machine("uml-6.1") == "uml"


def test_elf_tells_what_a_program_links_to() -> None:
    found = elf.read(Path("/bin/sh").resolve())
    assert found is not None
    assert "libc.so.6" in found.needed
    assert found.interpreter == "/lib64/ld-linux-x86-64.so.2"
    assert not found.bare_metal
    assert elf.read(Path(__file__)) is None


def test_the_agent_needs_only_the_standard_library_and_itself() -> None:
    sources = agent.sources()
    assert {"kernel/__init__.py", "conformance/__init__.py", "conformance/errors.py"} <= set(sources)
    modules = {name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in sources}
    for name, text in sources.items():
        for node in ast.walk(ast.parse(text)):
            wanted = []
            if isinstance(node, ast.Import):
                wanted = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{name}: relative import"
                assert node.module is not None
                wanted = [node.module]
            for module in wanted:
                top = module.partition(".")[0]
                assert top in sys.stdlib_module_names or module in modules, f"{name} imports {module}"


def test_a_missing_tool_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SetupError, match=r"command apt-get in PATH.*On Debian it is in the package apt\."):
        debian.download(("attr",), tmp_path, print)


def stand_in(directory: Path, name: str, text: str) -> None:
    (directory / name).write_text(f"#!/bin/sh\n{text}\n")
    (directory / name).chmod(0o755)


def test_when_packages_cannot_be_had_apt_is_quoted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    stand_in(tools, "apt-get", 'echo "$@" >> "$LOG"; echo "E: Temporary failure resolving" >&2; exit 100')
    stand_in(tools, "dpkg-deb", "exit 1")
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    monkeypatch.setenv("LOG", str(tmp_path / "log"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    said: list[str] = []
    with pytest.raises(ImageError, match=r"(?s)could not download:\nE: Temporary failure resolving\nCheck the network"):
        debian.download(("attr", "libattr1"), tmp_path, said.append)
    assert said == ["downloading 2 Debian packages", "fetching package lists", "downloading 2 Debian packages"]
    calls = (tmp_path / "log").read_text().splitlines()
    assert [call.split()[-3:] for call in calls[::2]] == [["download", "attr", "libattr1"]] * 2
    assert calls[1].endswith("update")
    assert f"Dir::State::lists={tmp_path}/cache/conformance/apt/lists" in calls[1]


def test_a_damaged_package_is_told_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "x.deb").write_bytes(b"!<arch>\nrubbish")
    package = debian.Package("x", "1", "", tmp_path / "x.deb")
    with pytest.raises(ImageError, match="x 1: dpkg-deb could not unpack it: dpkg-deb: error"):
        debian.unpack(package, tmp_path / "out")
