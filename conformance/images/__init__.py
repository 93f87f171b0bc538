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
from dataclasses import dataclass
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
from conformance.images import agent, bzimage, cpio, debian, elf, guest_root, modules
from conformance.images.recipes import GuestRecipe, KernelRecipe, guest_recipe, kernel_recipes
from conformance.machines.protocol import BootImage
from conformance.machines.template import templates

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
_SPACE = 800 << 20
"""Bytes that building may need for a while: packages, their contents, the archive."""
_MODULES = "modules.cpio"
_KEEP_INITRAMFS = 8
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
    found = _kernel(cache, kernel, progress)
    sources = agent.sources() if agent_directory is None else agent.sources_in(agent_directory)
    root_key = digest({"format": _FORMAT, "recipe": guest.digest})
    key = digest({"root": root_key, "init": agent.init(guest), **{f"agent/{name}": sources[name] for name in sources}})
    archive = cache.find("initramfs", key)
    if archive is None:
        archive = _make_initramfs(cache, guest, root_key, key, sources, progress)
    if found.modules is not None:
        archive = _with_modules(cache, archive, found.modules, progress)
    return BootImage(found.file, archive.path / "initramfs.cpio", kernel, found.provenance + archive.provenance)


def kernel_machine(kernel: str) -> str:
    """The name of the machine that boots the kernel, a name in `vm-images/kernels.toml` or a path.

    Raises UnknownName for a name that does not exist, and UsageError when the path is no kernel."""
    recipes = kernel_recipes()
    if kernel in recipes:
        return recipes[kernel].machine
    return "qemu" if _kernel_file(kernel, recipes)[1].bare_metal else "uml"


def list_images() -> list[Usage]:
    """Everything that is kept, images and the snapshots of guests, the one used last first."""
    return sorted(_cache().usage() + templates().usage(), key=lambda usage: -usage.used)


def clean_images(*, unused_seconds: float = 0) -> list[Path]:
    """Removes from the caches what was not used since `unused_seconds`: all of it by default. Returns what was removed.

    The next run downloads and builds again, the newest packages then."""
    removed = [path for cache in (_cache(), templates()) for path in cache.remove("", unused_seconds=unused_seconds)]
    if not unused_seconds:
        remove_tree(cache_dir() / "apt")
    return removed


def _cache() -> Cache:
    return Cache(cache_dir() / "images")


@dataclass(frozen=True)
class _Kernel:
    file: Path
    modules: Path | None
    """A cpio archive."""
    provenance: Provenance


def _kernel(cache: Cache, kernel: str, progress: Progress) -> _Kernel:
    recipes = kernel_recipes()
    recipe = recipes.get(kernel)
    if recipe is None:
        path = _kernel_file(kernel, recipes)[0]
        return _Kernel(path, None, ((str(path), "", sha256_of(path)),))

    name = "vmlinux" if "*" in recipe.path else Path(recipe.path).name

    def make(new: Path) -> Contents:
        packages = _download(new, (recipe.package,), progress)
        image = next((other for other in debian.depends(packages[0]) if other.startswith("linux-image-")), None)
        if image is not None:  # it only names the newest one
            packages += _download(new, (image,), progress)
        _unpack(new, packages, progress)
        kernels = sorted((new / "unpacked").glob(recipe.path))
        if len(kernels) != 1 or not kernels[0].is_file():
            raise ImageError(
                f"kernels.toml, [{kernel}]: path: expected {recipe.path} in the Debian package {packages[-1].name} "
                f"{packages[-1].version}, found {f'{len(kernels)} such files' if kernels else 'no such file'} in it."
            )
        target = new / name
        data = kernels[0].read_bytes()
        if bzimage.is_bzimage(data):
            progress("unpacking the kernel")
            data = bzimage.unpack(data, f"{packages[-1].name}: {kernels[0].name}")
        target.write_bytes(data)
        target.chmod(0o755)
        files: tuple[str, ...] = (name,)
        if recipe.modules:
            modules.archive(_module_tree(new / "unpacked", packages[-1]), recipe.modules, new / _MODULES)
            files += (_MODULES,)
        remove_tree(new / "unpacked")
        return Contents(files, debian.provenance(packages))

    key = digest({"format": _FORMAT, **{part: str(value) for part, value in dataclasses.asdict(recipe).items()}})
    entry = cache.get("kernel", key, make, progress)
    return _Kernel(entry.path / name, entry.path / _MODULES if recipe.modules else None, entry.provenance)


def _module_tree(unpacked: Path, package: debian.Package) -> Path:
    trees = sorted(unpacked.glob("lib/modules/*")) + sorted(unpacked.glob("usr/lib/modules/*"))
    if len(trees) != 1:
        raise ImageError(f"{package.name} {package.version}: expected one directory lib/modules/*, found {len(trees)}")
    return trees[0]


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
        packages = _download(new, guest.packages, progress)
        _unpack(new, packages, progress)
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


def _with_modules(cache: Cache, archive: Entry, modules: Path, progress: Progress) -> Entry:
    """The initial RAM disk, followed by the modules of one kernel."""

    def make(new: Path) -> Contents:
        progress("adding the kernel's modules to the guest's root")
        with (new / "initramfs.cpio").open("wb") as out:
            for part in (archive.path / "initramfs.cpio", modules):
                with part.open("rb") as source:
                    shutil.copyfileobj(source, out, 1 << 20)
        return Contents(("initramfs.cpio",), archive.provenance)

    status = modules.stat()
    key = digest({"base": archive.name, "modules": f"{modules} {status.st_size} {status.st_mtime_ns}"})
    found = cache.get("initramfs", key, make, progress)
    cache.remove("initramfs", keep=_KEEP_INITRAMFS, unused_seconds=_UNUSED_SECONDS)
    return found


def _download(new: Path, names: tuple[str, ...], progress: Progress) -> tuple[debian.Package, ...]:
    """Downloads packages for the entry that is being made."""
    require_space(require_directory(new), _SPACE, "making an image")
    (new / "packages").mkdir(exist_ok=True)
    return debian.download(names, new / "packages", progress)


def _unpack(new: Path, packages: tuple[debian.Package, ...], progress: Progress) -> None:
    """Unpacks what was downloaded into `unpacked` of the entry that is being made."""
    progress("unpacking")
    for package in packages:
        debian.unpack(package, new / "unpacked")
    remove_tree(new / "packages")
