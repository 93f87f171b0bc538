"""Targets: file systems under test, each with its variants and what it offers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from conformance.corpus.files import Table, known_keys, label, read_toml, typed
from conformance.corpus.kernels import KernelRange, parse_range
from conformance.corpus.quantities import quantity
from conformance.corpus.words import ABILITIES
from conformance.errors import CorpusError, UnknownName, UsageError, unknown_name
from kernel.setup import FileSystem

_VARIANT = re.compile(r"[a-z0-9][a-z0-9_.-]{0,31}")
_COMMANDS = ("mkfs", "after_mkfs", "before_check", "check")
_BASE = ("title", "kind", "block", *_COMMANDS, "mount_options", "packages", "offers", "awaited", "variants")
_OWN = ("title", "block", *_COMMANDS, "mount_options", "offers", "without", "kernels")


@dataclass(frozen=True, eq=False)
class Variant:
    """One way to make and mount a file system."""

    target: str
    """The name of the file system."""
    variant: str
    title: str
    system: FileSystem
    offers: Mapping[str, KernelRange]
    """Abilities, and the kernels on which the file system has them."""
    packages: tuple[str, ...] = ()
    """Debian packages that have its tools."""
    first: bool = False
    """The variant that the quick set runs on."""
    kernels: KernelRange = field(default_factory=lambda: parse_range(""))
    """Those that can mount it."""
    awaited: Mapping[str, str] = field(default_factory=dict)
    """Abilities that the file system has and this variant cannot show, with the reason."""

    @property
    def name(self) -> str:
        """As in the name of a trial: "xfs:rmapbt0"."""
        return f"{self.target}:{self.variant}"

    def offers_at(self, ability: str, release: str | None) -> bool:
        """Whether it offers the ability on a kernel (None: one newer than all that are known)."""
        found = self.offers.get(ability)
        return found is not None and found.holds(release)

    def why_not(self, ability: str, release: str | None) -> str:
        """Why the ability is not offered, for people."""
        found = self.offers.get(ability)
        if found is None:
            reason = self.awaited.get(ability)
            return f"{self.name} does not offer {ability}" + (f": {reason}" if reason else "")
        return f"{self.name} offers {ability} on kernels {found}, this is {release or 'a newer one'}"

    def with_awaited(self) -> Variant:
        """As it would be if it could show what is awaited: lint builds the trials for that too."""
        return replace(self, offers={**dict.fromkeys(self.awaited, parse_range("")), **self.offers})


@dataclass(frozen=True, eq=False)
class Target:
    """A file system under test."""

    name: str
    title: str
    variants: tuple[Variant, ...]
    where: str


@dataclass(frozen=True)
class _Common:
    """What every variant starts from."""

    title: str
    kind: str
    block: int
    mkfs: tuple[str, ...]
    check: tuple[str, ...]
    mount_options: str = ""
    packages: tuple[str, ...] = ()
    after_mkfs: tuple[tuple[str, ...], ...] = ()
    before_check: tuple[tuple[str, ...], ...] = ()
    kernels: str = ""
    without: tuple[str, ...] = ()
    """Abilities of the target that this variant lacks."""


def read_target(path: Path, root: Path | None = None) -> Target:
    """The target that a file describes; raises CorpusError. Its name is that of the file."""
    where = label(path)
    if not _VARIANT.fullmatch(path.stem):
        raise CorpusError(where, "expected a file name of small letters, digits and ._- that can name the file system")
    table = read_toml(path, root)
    _refuse(known_keys(table, _BASE, where))
    variants = _table(table, "variants", where) or {"default": {}}
    base = {key: item for key, item in table.items() if key not in ("offers", "awaited", "variants")}
    common_offers = _offers(table, where)
    awaited = _awaited(table, where)
    made: list[Variant] = []
    for name, own in variants.items():
        place = f"{where}: variant {name!r}"
        if not _VARIANT.fullmatch(name):
            raise CorpusError(place, "expected a name of small letters, digits and ._-")
        if not isinstance(own, dict):
            raise CorpusError(place, f"expected a table [variants.{name}]")
        _refuse(known_keys(own, _OWN, place))
        variant = _variant(path.stem, name, base, own, common_offers, place, first=not made)
        missing = {ability: reason for ability, reason in awaited.items() if ability not in variant.offers}
        made.append(replace(variant, awaited=missing))
    return Target(path.stem, str(table["title"]), tuple(made), where)


def _variant(
    target: str, name: str, base: Table, own: Table, common: Mapping[str, KernelRange], place: str, *, first: bool
) -> Variant:
    merged = base | {key: item for key, item in own.items() if key != "offers"}
    values = typed(_Common, merged, place, {int: lambda value: quantity(value, 0)})
    if values.block < 512 or values.block & (values.block - 1):
        raise CorpusError(f"{place}, key 'block'", f"expected a power of two from 512 on, found {values.block}")
    commands = [("mkfs", values.mkfs), ("check", values.check)]
    commands += [("after_mkfs", command) for command in values.after_mkfs]
    commands += [("before_check", command) for command in values.before_check]
    for key, command in commands:
        if not any("{device}" in word for word in command):
            problem = f'expected a command with "{{device}}" in it, found {list(command)}'
            raise CorpusError(f"{place}, key {key!r}", problem)
    offers = dict(common) | _offers(own, place)
    for ability in values.without:
        if ability not in offers:
            raise CorpusError(f"{place}, key 'without'", unknown_name("ability of this target", ability, offers))
        del offers[ability]
    system = FileSystem(
        values.kind,
        values.block,
        tuple(word.replace("{block}", str(values.block)) for word in values.mkfs),
        values.check,
        values.mount_options,
        values.after_mkfs,
        values.before_check,
    )
    return Variant(target, name, values.title, system, offers, values.packages, first, _range(values.kernels, place))


def _range(text: str, place: str) -> KernelRange:
    try:
        return parse_range(text)
    except ValueError as error:
        raise CorpusError(f"{place}, key 'kernels'", str(error)) from None


def _offers(table: Table, where: str) -> dict[str, KernelRange]:
    found: dict[str, KernelRange] = {}
    for ability, kernels in _table(table, "offers", where).items():
        place = f"{where}, key 'offers.{ability}'"
        if ability not in ABILITIES:
            raise CorpusError(place, unknown_name("ability", ability, ABILITIES))
        if not isinstance(kernels, str):
            raise CorpusError(place, f'expected a range of kernels such as ">=6.10", or "" for all, found {kernels!r}')
        try:
            found[ability] = parse_range(kernels)
        except ValueError as error:
            raise CorpusError(place, str(error)) from None
    return found


def _awaited(table: Table, where: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for ability, reason in _table(table, "awaited", where).items():
        place = f"{where}, key 'awaited.{ability}'"
        if ability not in ABILITIES:
            raise CorpusError(place, unknown_name("ability", ability, ABILITIES))
        if not isinstance(reason, str) or not reason.strip():
            raise CorpusError(place, f"expected the reason why it cannot be shown, found {reason!r}")
        found[ability] = reason
    return found


def _table(table: Table, key: str, where: str) -> Table:
    found = table.get(key, {})
    if not isinstance(found, dict):
        raise CorpusError(f"{where}, key {key!r}", f"expected a table, found {found!r}")
    return found


def _refuse(errors: list[CorpusError]) -> None:
    if errors:
        raise errors[0]


def select_variants(text: str, targets: Mapping[str, Target]) -> tuple[Variant, ...]:
    """The variants that `--fs=ext4,xfs:rmapbt0,./ours.toml` means, in that order and each once.

    A word with a slash, or that ends in .toml, is the path of a target's file. Raises
    UnknownName, UsageError and CorpusError."""
    chosen: dict[str, Variant] = {}
    for word in text.split(","):
        word = word.strip()
        if not word:
            raise UsageError(f"expected file systems such as ext4 or xfs:rmapbt0, separated by commas, found {text!r}")
        file, _, wanted = word.partition(":")
        if "/" in file or file.endswith(".toml"):
            target = read_target(Path(file))
            if target.name in targets and targets[target.name].where != target.where:
                raise UsageError(f"{file} would be called {target.name!r}, as {targets[target.name].where}; rename it")
        elif file in targets:
            target = targets[file]
        else:
            raise UnknownName("file system", file, targets)
        found = [variant for variant in target.variants if wanted in ("", variant.variant)]
        if not found:
            raise UnknownName(f"variant of {target.name}", wanted, [item.variant for item in target.variants])
        chosen.update((variant.name, variant) for variant in found)
    return tuple(chosen.values())
