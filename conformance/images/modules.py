"""Finds the modules that a guest loads, in a kernel's package: those of the recipe, and before each what it needs.

What a module needs is in the module (section `.modinfo`, `depends=`); a Debian package has no `modules.dep`,
which is made when a kernel is installed.
"""

from __future__ import annotations

import lzma
import stat
import struct
from collections.abc import Iterator
from pathlib import Path

from conformance.errors import ImageError
from conformance.images import cpio

DIRECTORY = "opt/modules"
"""Where they lie in the guest (`conformance.guest.modules`)."""


def archive(tree: Path, names: tuple[str, ...], out: Path) -> None:
    """Writes a cpio archive with these modules and those they need, uncompressed, named in the order of loading.

    `tree` has what the package has below `lib/modules/RELEASE`. A name that is built in is left out.
    Raises ImageError for one that is neither."""
    found = _Modules(tree)
    order: list[str] = []
    for name in names:
        found.add(name, order, "kernels.toml: modules")
    entries = [*cpio.parents(f"{DIRECTORY}/"), *_files(found, order)]
    with out.open("wb") as file:
        cpio.write(entries, file)


def _files(found: _Modules, order: list[str]) -> Iterator[cpio.Entry]:
    for number, name in enumerate(order):
        yield cpio.Entry(f"{DIRECTORY}/{number:02}-{name}.ko", stat.S_IFREG | 0o644, found.content(name))


class _Modules:
    """The modules of one kernel by their names, in which a hyphen is an underscore."""

    def __init__(self, tree: Path) -> None:
        self._paths = {_name(path.name): path for path in sorted(tree.rglob("*.ko*"))}
        try:
            lines = (tree / "modules.builtin").read_text().splitlines()
        except OSError as error:
            raise ImageError(f"{tree}: expected the file modules.builtin of a kernel, found none: {error}") from error
        self._built_in = {_name(Path(line).name) for line in lines}
        self._contents: dict[str, bytes] = {}

    def add(self, name: str, order: list[str], wanted_by: str) -> None:
        """Appends the module to `order`, behind what it needs."""
        name = _name(name)
        if name in self._built_in or name in order:
            return
        if name not in self._paths:
            raise ImageError(
                f"{wanted_by}: expected the module {name} in the kernel's package or built into the kernel, found it "
                "in neither."
            )
        for needed in _needs(self.content(name)):
            self.add(needed, order, f"the module {name}")
        order.append(name)

    def content(self, name: str) -> bytes:
        """The module, uncompressed."""
        if name not in self._contents:
            data = self._paths[name].read_bytes()
            self._contents[name] = lzma.decompress(data) if self._paths[name].suffix == ".xz" else data
        return self._contents[name]


def _name(file: str) -> str:
    return file.partition(".")[0].replace("-", "_")


def _needs(module: bytes) -> list[str]:
    for line in _section(module, b".modinfo").split(b"\0"):
        if line.startswith(b"depends="):
            return [name for name in line.removeprefix(b"depends=").decode().split(",") if name]
    return []


def _section(elf: bytes, wanted: bytes) -> bytes:
    """The content of a section of a 64-bit little-endian ELF file, or nothing."""
    table, size, count, names_index = struct.unpack_from("<40xQ10xHHH", elf)
    headers = [struct.unpack_from("<IIQQQQ", elf, table + n * size) for n in range(count)]
    names = headers[names_index][4]
    for name, _, _, _, offset, length in headers:
        if elf[names + name : elf.index(b"\0", names + name)] == wanted:
            return elf[offset : offset + length]
    return b""
