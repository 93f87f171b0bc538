"""Makes the root file system of a guest: takes from Debian packages what `vm-images/guest.toml` names.

The result has one directory for programs and one for libraries (`bin`, `sbin` and `lib` are
links into `usr`), so that the dynamic loader finds each library where it looks first. Python's
standard library is compiled ahead, and only the compiled form is kept: that halves it, and
spares the guest looking for sources.
"""

from __future__ import annotations

import fnmatch
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

from conformance.errors import ImageError
from conformance.images import cpio, elf
from conformance.images.recipes import GuestRecipe

_PROGRAM_DIRECTORIES = ("usr/sbin", "usr/bin", "sbin", "bin")
_LIBRARY_DIRECTORIES = tuple(
    f"{top}{name}" for top in ("", "usr/") for name in ("lib/x86_64-linux-gnu", "lib64", "lib")
)
_LIBRARIES = "usr/lib/x86_64-linux-gnu"
_LOADER = "lib64/ld-linux-x86-64.so.2"
_LINKS = {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64"}
_EMPTY = ("dev", "etc", "mnt", "proc", "root", "run", "sys", "tmp", "var")


def assemble(recipe: GuestRecipe, unpacked: Path, root: Path) -> None:
    """Fills the empty directory `root` from the packages unpacked below `unpacked`.

    Raises ImageError when something that the recipe names, or a library that it needs, is in no package."""
    for name in (*_EMPTY, *_LINKS.values(), _LIBRARIES):
        (root / name).mkdir(parents=True, exist_ok=True)
    for name, target in _LINKS.items():
        (root / name).symlink_to(target)
    for program in recipe.programs:
        _take_program(unpacked, program, root)
    for file in (*recipe.files, recipe.interpreter):
        _take(_require(unpacked / file, file), root / file)
    _take_python_library(recipe, unpacked, root)
    _take_libraries(recipe, unpacked, root)
    compile_all(root, recipe, root / recipe.python_library, in_place=True)
    for source in (root / recipe.python_library).rglob("*.py"):
        source.unlink()


def compile_all(root: Path, recipe: GuestRecipe, tree: Path, *, in_place: bool, shown_as: str | None = None) -> None:
    """Compiles every Python file below `tree` with the guest's own Python, which runs here through its own loader.

    With `in_place` `x.pyc` lies beside `x.py`, else in `__pycache__`. The files are never compared with
    their sources (PEP 552, unchecked), because the times in an initial RAM disk mean nothing.
    `shown_as` is the tree's path in the guest, for tracebacks. Raises ImageError when it fails."""
    shown = shown_as or "/" + tree.relative_to(root).as_posix()
    command = [str(root / _LOADER), "--library-path", str(root / _LIBRARIES), str(root / recipe.interpreter)]
    command += ["-SIB", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
    command += ["-b"] if in_place else []
    command += ["-s", str(tree), "-p", shown, str(tree)]
    environment = {"PYTHONHOME": str(root / "usr"), "PATH": os.defpath}
    try:
        done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    except OSError as error:
        raise ImageError(f"cannot run the guest's Python on this machine: {error}") from error
    if done.returncode:
        said = (done.stdout + done.stderr).decode(errors="replace").strip()
        raise ImageError(f"the guest's Python could not compile {tree}: {said[-2000:]}")


def _take_program(unpacked: Path, name: str, root: Path) -> None:
    source = next((p for d in _PROGRAM_DIRECTORIES if (p := unpacked / d / name).exists()), None)
    if source is None:
        raise ImageError(
            f"guest.toml: programs: expected the command {name} in one of the packages, found it in none. "
            "Add the Debian package that has it to packages."
        )
    directory = "usr/sbin" if source.parent.name == "sbin" else "usr/bin"
    resolved = source.resolve()
    _take(resolved, root / directory / resolved.name)
    if resolved.name != name:
        (root / directory / name).symlink_to(resolved.name)


def _take_python_library(recipe: GuestRecipe, unpacked: Path, root: Path) -> None:
    base = _require(unpacked / recipe.python_library, recipe.python_library)
    for directory, subdirectories, files in os.walk(base):
        here = Path(directory)
        kept = [d for d in subdirectories if d != "__pycache__" and not _left_out(recipe, here / d, base)]
        subdirectories[:] = kept
        for name in files:
            path = here / name
            if not _left_out(recipe, path, base):
                _take(path.resolve(), root / recipe.python_library / path.relative_to(base))


def _left_out(recipe: GuestRecipe, path: Path, base: Path) -> bool:
    name = path.relative_to(base).as_posix()
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in recipe.python_left_out)


def _take_libraries(recipe: GuestRecipe, unpacked: Path, root: Path) -> None:
    """Takes every library that something in the root links to, and what those link to."""
    waiting = [(name, "guest.toml: libraries") for name in recipe.libraries]
    for path in _files(root):
        waiting += [(name, path.name) for name in _needed(path)]
    taken: set[str] = set()
    while waiting:
        name, wanted_by = waiting.pop()
        if name in taken:
            continue
        taken.add(name)
        source = next((p for d in _LIBRARY_DIRECTORIES if (p := unpacked / d / name).exists()), None)
        if source is None:
            raise ImageError(
                f"guest.toml: packages: expected the library {name}, which {wanted_by} needs, in one of the packages, "
                "found it in none. Add the Debian package that has it."
            )
        target = root / (_LOADER if name == Path(_LOADER).name else f"{_LIBRARIES}/{name}")
        _take(source.resolve(), target)
        waiting += [(further, name) for further in _needed(target)]


def _needed(path: Path) -> tuple[str, ...]:
    try:
        found = elf.read(path)
    except ValueError as error:
        raise ImageError(str(error)) from error
    return found.needed if found else ()


def _files(root: Path) -> Iterator[Path]:
    for entry in cpio.tree(root):
        if stat.S_ISREG(entry.mode):
            yield root / entry.name


def _require(path: Path, name: str) -> Path:
    if not path.exists():
        raise ImageError(f"guest.toml: expected {name} in one of the packages, found it in none.")
    return path.resolve()


def _take(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(0o755 if source.stat().st_mode & stat.S_IXUSR else 0o644)
