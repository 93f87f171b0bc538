"""What the user asked for, checked: names that exist, numbers in range."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from conformance.errors import UnknownName, UsageError
from conformance.images import kernel_machine, kernel_recipes
from conformance.machines.registry import MACHINES

Profile = Literal["stock", "strict"]
PROFILES: tuple[Profile, ...] = get_args(Profile)
MAX_REPEAT = 100_000
UNTIL_FAIL_ROUNDS = 1000
"""Rounds of --until-fail when --repeat does not say."""


@dataclass(frozen=True)
class Settings:
    """What the user asked for, as far as it does not only choose trials."""

    fs: str
    """As in `--fs`."""
    kernel: str
    machine: str
    profile: Profile = "stock"
    time_scale: float = 1.0
    repeat: int = 1
    until_fail: bool = False
    cases: tuple[str, ...] = ()
    """Folders of more cases, as absolute paths."""
    tests_only: bool = False
    """Allows the calls that are for the suite's own tests."""


@dataclass(frozen=True)
class Selection:
    """Which trials: each part narrows, an empty one does not."""

    rules: tuple[str, ...] = ()
    """Ids of rules, with * for anything."""
    tags: tuple[str, ...] = ()
    """One of these tags."""
    paths: tuple[str, ...] = ()
    """Files and folders of a corpus, names of cases or folders below it, names of trials with * for anything."""


def make_settings(
    *,
    fs: str,
    kernel: str | None,
    machine: str | None,
    profile: str,
    time_scale: float,
    repeat: int | None,
    until_fail: bool,
    cases: Iterable[str] = (),
    tests_only: bool = False,
) -> Settings:
    """The settings that options mean. Raises UsageError."""
    known_profile = profile_named(profile)
    if not 0.01 <= time_scale <= 1000:
        raise UsageError(f"--time-scale={time_scale:g}: expected a factor from 0.01 to 1000")
    if repeat is not None and not 1 <= repeat <= MAX_REPEAT:
        raise UsageError(f"--repeat={repeat}: expected a number from 1 to {MAX_REPEAT}")
    if machine is not None and machine not in MACHINES:
        raise UnknownName("machine", machine, MACHINES)
    chosen = kernel if kernel is not None else default_kernel(machine)
    needed = kernel_machine(chosen)
    if machine is not None and machine != needed:
        raise UsageError(f"--machine={machine} cannot boot the kernel {chosen}: that needs --machine={needed}.")
    if needed not in MACHINES:
        raise UnknownName("machine", needed, MACHINES)
    rounds = repeat if repeat is not None else UNTIL_FAIL_ROUNDS if until_fail else 1
    named = str(Path(chosen).expanduser().resolve()) if chosen not in kernel_recipes() else chosen
    folders = tuple(str(Path(name).expanduser().resolve()) for name in cases)
    return Settings(fs, named, needed, known_profile, time_scale, rounds, until_fail, folders, tests_only)


def profile_named(name: str) -> Profile:
    """The profile of that name; raises UnknownName."""
    for profile in PROFILES:
        if profile == name:
            return profile
    raise UnknownName("profile", name, PROFILES)


def default_kernel(machine: str | None) -> str:
    """The first kernel in `vm-images/kernels.toml` that the machine boots. Raises UsageError when it has none."""
    for name, recipe in kernel_recipes().items():
        if machine in (None, recipe.machine):
            return name
    raise UsageError(f"--machine={machine}: there is no kernel for it by name. Give the path of one: --kernel PATH.")
