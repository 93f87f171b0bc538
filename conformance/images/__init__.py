"""Kernels and guest images: made from Debian packages as an ordinary user, kept in the user's cache.

`boot_image` is the way in. Its first call for a kernel downloads and builds, later ones find
everything in the cache. Three kinds of entries are kept: `kernel`, `root` (the guest's root from
Debian packages, as a cpio archive) and `initramfs` (the root followed by the agent), so that a
change of the agent's code does not make the root anew.
"""

from __future__ import annotations

import dataclasses
import shutil
import stat
from pathlib import Path

from conformance.cache import (
    Cache,
    Contents,
    Entry,
    Progress,
    Provenance,
    Usage,
    digest,
    require_space,
    sha256_of,
)
from conformance.cachedir import cache_dir, remove_tree, require_directory
from conformance.errors import ImageError, UnknownName, UsageError
from conformance.images import agent, cpio, debian, elf, guest_root
from conformance.images.recipes import GuestRecipe, KernelRecipe, guest_recipe, kernel_recipes
from conformance.machines.protocol import BootImage

__all__ = [
    "BootImage",
    "KernelRecipe",
    "Usage",
    "boot_image",
    "clean_images",
    "kernel_machine",
    "kernel_recipes",
    "list_images",
]

_FORMAT = "1"
"""Part of every key: raised when this package makes entries in another way."""
_SPACE = 400 << 20
"""Bytes that building may need for a while: packages, their contents, the archive."""
_KEEP_INITRAMFS = 4
_UNUSED_SECONDS = 24 * 3600
"""What older code and recipes made is kept this long: other checkouts and running sessions may use it."""


def boot_image(kernel: str, progress: Progress, *, agent_directory: Path | None = None) -> BootImage:
    """What a guest with this kernel boots from; whatever is missing is downloaded and built.

    `kernel` is a name in `vm-images/kernels.toml` or the path of a kernel file. `progress` is told in a few
    words what is being done, and nothing when all is there. `agent_directory` has another agent's packages, for
    tests of machines. Safe to call from several processes at once. Raises UnknownName, UsageError (the path is no
    kernel), SetupError (a tool or a directory is missing) and ImageError (it cannot be made)."""
    guest = guest_recipe()
    cache = _cache()
    kernel_file, of_kernel = _kernel(cache, kernel, progress)
    sources = agent.sources() if agent_directory is None else agent.sources_in(agent_directory)
    root_key = digest({"format": _FORMAT, "recipe": guest.digest})
    key = digest({"root": root_key, "init": agent.init(guest), **{f"agent/{name}": sources[name] for name in sources}})
    archive = cache.find("initramfs", key)
    if archive is None:
        archive = _make_initramfs(cache, guest, root_key, key, sources, progress)
    return BootImage(kernel_file, archive.path / "initramfs.cpio", kernel, of_kernel + archive.provenance)


def kernel_machine(kernel: str) -> str:
    """The name of the machine that boots the kernel, a name in `vm-images/kernels.toml` or a path.

    Raises UnknownName for a name that does not exist, and UsageError when the path is no kernel."""
    recipes = kernel_recipes()
    if kernel in recipes:
        return recipes[kernel].machine
    return "qemu" if _kernel_file(kernel, recipes)[1].bare_metal else "uml"


def list_images() -> list[Usage]:
    """Everything in the cache of images, the one used last first."""
    return _cache().usage()


def clean_images(*, unused_seconds: float = 0) -> list[Path]:
    """Removes from the cache what was not used since `unused_seconds`: all of it by default. Returns what was removed.

    The next run downloads and builds again, the newest packages then."""
    removed = _cache().remove("", unused_seconds=unused_seconds)
    if not unused_seconds:
        remove_tree(cache_dir() / "apt")
    return removed


def _cache() -> Cache:
    return Cache(cache_dir() / "images")


def _kernel(cache: Cache, kernel: str, progress: Progress) -> tuple[Path, Provenance]:
    recipes = kernel_recipes()
    recipe = recipes.get(kernel)
    if recipe is None:
        path = _kernel_file(kernel, recipes)[0]
        return path, ((str(path), "", sha256_of(path)),)

    def make(new: Path) -> Contents:
        packages = _unpack(new, (recipe.package,), progress)
        source = new / "unpacked" / recipe.path
        if not source.is_file():
            raise ImageError(
                f"kernels.toml, [{kernel}]: path: expected {recipe.path} in the Debian package {recipe.package} "
                f"{packages[0].version}, found no such file in it."
            )
        target = new / Path(recipe.path).name
        shutil.copyfile(source, target)
        target.chmod(0o755)
        remove_tree(new / "unpacked")
        return Contents((target.name,), debian.provenance(packages))

    key = digest({"format": _FORMAT, **{name: str(value) for name, value in dataclasses.asdict(recipe).items()}})
    entry = cache.get("kernel", key, make, progress)
    return entry.path / Path(recipe.path).name, entry.provenance


def _kernel_file(kernel: str, recipes: dict[str, KernelRecipe]) -> tuple[Path, elf.Elf]:
    path = Path(kernel).expanduser()
    if "/" not in kernel and not path.is_file():
        raise UnknownName("kernel", kernel, recipes)
    try:
        found = elf.read(path)
    except (OSError, ValueError) as error:
        raise UsageError(f"kernel {kernel}: expected a kernel file, found: {error}") from error
    if found is None:
        raise UsageError(
            f"kernel {kernel}: expected an uncompressed vmlinux or a User-mode Linux binary (ELF, 64 bits, x86), found "
            "another kind of file. A bzImage is unpacked by the kernel's scripts/extract-vmlinux."
        )
    return path.resolve(), found


def _make_initramfs(
    cache: Cache,
    guest: GuestRecipe,
    root_key: str,
    key: str,
    sources: dict[str, bytes],
    progress: Progress,
) -> Entry:
    def make_root(new: Path) -> Contents:
        packages = _unpack(new, guest.packages, progress)
        progress("making the guest's root")
        (new / "root").mkdir()
        guest_root.assemble(guest, new / "unpacked", new / "root")
        with (new / "root.cpio").open("wb") as out:
            cpio.write(cpio.tree(new / "root"), out)
        remove_tree(new / "unpacked")
        kept = tuple(f"root/{entry.name}" for entry in cpio.tree(new / "root") if stat.S_ISREG(entry.mode))
        return Contents(("root.cpio", *kept), debian.provenance(packages))

    def make_initramfs(new: Path) -> Contents:
        root = cache.get("root", root_key, make_root, progress)
        progress("adding the agent to the guest's root")
        tree = new / "agent"
        for name, content in sources.items():
            target = tree / agent.DIRECTORY / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        shown = f"/{agent.DIRECTORY}"
        guest_root.compile_all(root.path / "root", guest, tree / agent.DIRECTORY, in_place=False, shown_as=shown)
        (tree / "init").write_bytes(agent.init(guest))
        (tree / "init").chmod(0o755)
        with (new / "initramfs.cpio").open("wb") as out:
            with (root.path / "root.cpio").open("rb") as base:
                shutil.copyfileobj(base, out, 1 << 20)
            cpio.write(cpio.tree(tree), out)
        remove_tree(tree)
        return Contents(("initramfs.cpio",), root.provenance)

    entry = cache.get("initramfs", key, make_initramfs, progress)
    cache.remove("initramfs", keep=_KEEP_INITRAMFS, unused_seconds=_UNUSED_SECONDS)
    cache.remove("root", keep=1, unused_seconds=_UNUSED_SECONDS)
    return entry


def _unpack(new: Path, names: tuple[str, ...], progress: Progress) -> tuple[debian.Package, ...]:
    """Downloads packages and unpacks them into `unpacked` of the entry that is being made."""
    require_space(require_directory(new), _SPACE, "making an image")
    (new / "packages").mkdir()
    packages = debian.download(names, new / "packages", progress)
    progress("unpacking")
    for package in packages:
        debian.unpack(package, new / "unpacked")
    remove_tree(new / "packages")
    return packages
