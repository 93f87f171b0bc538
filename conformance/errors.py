"""Every exception this project raises on purpose, in one tree.

ConformanceError                  the base; its text is for users: what, where, what to do
├── UsageError                    an option or argument is wrong
│   └── UnknownName               a name that does not exist; says what exists and what is near
├── CorpusError                   a rule, case, target or known deviation is wrong: file, place, expected
│   └── CorpusErrors              several of them, found together
├── SetupError                    something is missing on this machine: says how to get it
│   └── ImageError                a kernel or guest image cannot be built or is damaged beyond rebuilding
├── GuestError                    a guest did not do its part
│   ├── GuestDied                 it ended: panic, oops, killed
│   ├── GuestHung                 it did not answer in time
│   └── ProtocolViolation         it said something that is not the protocol
└── TraceError                    a stored trace cannot be read
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class ConformanceError(Exception):
    """The base of all exceptions that this project raises on purpose."""


class UsageError(ConformanceError):
    """An option or argument is wrong."""


class UnknownName(UsageError):
    """A name that does not exist.

    `kind` is what the name was to be ("file system"), `found` the name, `known` all that exist."""

    def __init__(self, kind: str, found: str, known: Iterable[str]) -> None:
        self.kind, self.found, self.known = kind, found, tuple(known)
        super().__init__(unknown_name(kind, found, self.known))


class CorpusError(ConformanceError):
    """A rule, case, target or known deviation is wrong. `where` names file and place."""

    def __init__(self, where: str, problem: str) -> None:
        self.where, self.problem = where, problem
        super().__init__(f"{where}: {problem}")


class CorpusErrors(CorpusError):
    """Several errors of a corpus, found together, so that all can be mended at once. `errors` has each."""

    def __init__(self, errors: Sequence[CorpusError]) -> None:
        self.errors = tuple(errors)
        first = self.errors[0]
        super().__init__(first.where, first.problem)
        self.args = ("\n".join(str(error) for error in self.errors),)


class SetupError(ConformanceError):
    """Something is missing on this machine; the text says how to get it."""


class ImageError(SetupError):
    """A kernel or guest image cannot be built."""


class GuestError(ConformanceError):
    """A guest did not do its part."""


class GuestDied(GuestError):
    """The guest ended."""


class GuestHung(GuestError):
    """The guest did not answer in time."""


class ProtocolViolation(GuestError):
    """The guest said something that is not the protocol."""


class TraceError(ConformanceError):
    """A stored trace cannot be read."""


def unknown_name(kind: str, found: str, known: Iterable[str]) -> str:
    """The sentence for a name that does not exist, with near misses and all that exist."""
    names = sorted(known)
    near = difflib.get_close_matches(found, names, n=3, cutoff=0.6)
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    return f"unknown {kind} {found!r}.{hint} What exists: {', '.join(names) or 'none'}."
