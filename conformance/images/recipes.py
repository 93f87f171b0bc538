"""Reads the recipes in `vm-images/`: which kernels can be booted by name, what a guest's root holds.

Every key is checked here, so that the rest of this package works with values it can trust.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from conformance.errors import ImageError
from conformance.share import share_dir


@dataclass(frozen=True)
class KernelRecipe:
    """A kernel that can be booted by name."""

    name: str
    machine: str
    """The machine that boots it, as in `--machine=NAME`."""
    package: str
    """The Debian package that ships it, or depends on the one that does."""
    path: str
    """The bootable file inside the package; may have a * for the release. A bzImage is unpacked."""
    modules: tuple[str, ...] = ()
    """The modules that its guests load, with those they need."""


@dataclass(frozen=True)
class GuestRecipe:
    """What the root file system of a guest is made of. Paths are those inside Debian packages."""

    packages: tuple[str, ...]
    programs: tuple[str, ...]
    files: tuple[str, ...]
    libraries: tuple[str, ...]
    """Names (DT_SONAME) of libraries that nothing links to."""
    interpreter: str
    python_library: str
    """The directory of Python's standard library."""
    python_left_out: tuple[str, ...]
    """Patterns of paths below `python_library` that are not taken."""
    digest: str
    """sha256 of the recipe's text, in hex."""


def kernel_recipes() -> dict[str, KernelRecipe]:
    """All of `vm-images/kernels.toml` by name. Raises ImageError when the file is wrong."""
    path = share_dir() / "vm-images" / "kernels.toml"
    recipes = {}
    for name, value in _load(path)[0].items():
        table = _Table(f"{path.name}, [{name}]", value)
        recipes[name] = KernelRecipe(
            name, table.text("machine"), table.text("package"), table.path("path"), table.texts("modules", ())
        )
        table.done()
    return recipes


def guest_recipe() -> GuestRecipe:
    """All of `vm-images/guest.toml`. Raises ImageError when the file is wrong."""
    path = share_dir() / "vm-images" / "guest.toml"
    content, digest = _load(path)
    table = _Table(path.name, content)
    python = _Table(f"{path.name}, [python]", table.take("python", dict, "a table"))
    recipe = GuestRecipe(
        packages=table.texts("packages"),
        programs=table.texts("programs"),
        files=table.texts("files"),
        libraries=table.texts("libraries"),
        interpreter=python.path("interpreter"),
        python_library=python.path("library"),
        python_left_out=python.texts("left_out"),
        digest=digest,
    )
    python.done()
    table.done()
    return recipe


def _load(path: Path) -> tuple[Mapping[str, object], str]:
    try:
        data = path.read_bytes()
        return tomllib.loads(data.decode()), hashlib.sha256(data).hexdigest()
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ImageError(f"{path}: expected a recipe in TOML, found: {error}") from error


class _Table:
    """A TOML table whose keys are taken one by one; what is left over is an error."""

    def __init__(self, where: str, value: object) -> None:
        self._where = where
        if not isinstance(value, dict):
            raise ImageError(f"vm-images/{where}: expected a table, found {value!r}")
        self._left = dict(value)

    def take(self, key: str, kind: type, expected: str) -> object:
        value = self._left.pop(key, None)
        if not isinstance(value, kind) or not value:
            found = "nothing" if value is None else repr(value)
            raise ImageError(f"vm-images/{self._where}: {key}: expected {expected}, found {found}")
        return value

    def text(self, key: str) -> str:
        return str(self.take(key, str, "a text"))

    def path(self, key: str) -> str:
        value = self.text(key)
        if PurePosixPath(value).is_absolute() or ".." in PurePosixPath(value).parts:
            raise ImageError(
                f"vm-images/{self._where}: {key}: expected a path inside a package (usr/bin/NAME), found {value!r}"
            )
        return value

    def texts(self, key: str, default: tuple[str, ...] | None = None) -> tuple[str, ...]:
        if default is not None and key not in self._left:
            return default
        values = self.take(key, list, "a list of texts")
        assert isinstance(values, list)
        for value in values:
            if not isinstance(value, str) or not value:
                raise ImageError(f"vm-images/{self._where}: {key}: expected a list of texts, found {value!r} in it")
        return tuple(values)

    def done(self) -> None:
        if self._left:
            raise ImageError(f"vm-images/{self._where}: unknown key {min(self._left)!r}")
