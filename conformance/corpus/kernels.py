"""Kernel releases and ranges of them: "6.1", ">=6.10", ">=6.1,<6.13".

A bound is compared with as many parts of the release as it has: 6.1.192 is in "6.1", in
"<=6.1" and in "<6.2", but not in ">6.1". A comma means "and"; an empty text is every kernel.
A kernel that is not known counts as newer than all bounds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

_CLAUSE = re.compile(r"(>=|<=|<|>|=|)\s*(\d+(?:\.\d+){1,2})")
_RELEASE = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")
NEWEST = (1 << 30, 0, 0)
"""The release of a kernel that is not known."""


@cache
def parse_release(release: str | None) -> tuple[int, ...]:
    """The numbers of `uname -r`, such as (6, 12, 117); raises ValueError. None is newer than every other."""
    if release is None:
        return NEWEST
    found = _RELEASE.match(release)
    if found is None:
        raise ValueError(f"expected a kernel release such as 6.12.117, found {release!r}")
    return tuple(int(part) for part in found.groups(default="0"))


@dataclass(frozen=True)
class KernelRange:
    """A set of kernel releases."""

    text: str
    clauses: tuple[tuple[str, tuple[int, ...]], ...]

    def holds(self, release: str | None) -> bool:
        """Whether the release is in it."""
        found = parse_release(release)
        return all(_compare(found[: len(bound)], operator, bound) for operator, bound in self.clauses)

    def __str__(self) -> str:
        return self.text or "every kernel"


def _compare(left: tuple[int, ...], operator: str, right: tuple[int, ...]) -> bool:
    match operator:
        case ">=":
            return left >= right
        case "<=":
            return left <= right
        case ">":
            return left > right
        case "<":
            return left < right
    return left == right


@cache
def parse_range(text: str) -> KernelRange:
    """A range from its text; raises ValueError with what was expected."""
    clauses: list[tuple[str, tuple[int, ...]]] = []
    for part in text.split(",") if text.strip() else ():
        found = _CLAUSE.fullmatch(part.strip())
        if found is None:
            raise ValueError(f'expected a range of kernels such as "6.1", ">=6.10" or ">=6.1,<6.13", found {text!r}')
        clauses.append((found[1] or "=", tuple(int(number) for number in found[2].split("."))))
    return KernelRange(text.strip(), tuple(clauses))
