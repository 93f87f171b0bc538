"""Chooses trials by rule, tag and path, with near misses for what does not exist."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from conformance.corpus import Case, Corpus
from conformance.corpus.known import matches
from conformance.corpus.words import TAGS
from conformance.errors import UnknownName, UsageError, unknown_name
from conformance.runner.settings import Selection

Keep = Callable[[str, frozenset[str]], bool]
"""Whether a trial with this name and these marks is wanted."""


@dataclass(frozen=True)
class Selector:
    """Says of trials whether they were chosen."""

    rules: tuple[str, ...]
    tags: frozenset[str]
    paths: tuple[Callable[[str, str], bool], ...]
    """Each says of a trial's name and its case's name whether it was meant."""
    keep: Keep

    def wants(self, name: str, case: str, rule: str, marks: frozenset[str]) -> bool:
        """Whether a trial is to run."""
        return (
            (not self.rules or any(matches(pattern, rule) for pattern in self.rules))
            and (not self.tags or bool(self.tags & marks))
            and (not self.paths or any(path(name, case) for path in self.paths))
            and self.keep(name, marks)
        )


def selector(corpus: Corpus, roots: Sequence[Path], selection: Selection, keep: Keep) -> Selector:
    """What a selection means in this corpus. Raises UsageError for rules, tags and paths that choose nothing."""
    for pattern in selection.rules:
        if not any(matches(pattern, rule) for rule in corpus.rules):
            near = unknown_name("rule", pattern, corpus.rules).partition(" What exists")[0]
            raise UsageError(f"{near} `conformance rules` lists them.")
    for tag in selection.tags:
        if tag not in TAGS:
            raise UnknownName("tag", tag, TAGS)
    paths = tuple(_path(word, corpus, roots) for word in selection.paths)
    return Selector(selection.rules, frozenset(selection.tags), paths, keep)


def marks_of(case: Case, *, quick: bool) -> frozenset[str]:
    """The marks of a trial: the tags of its case, but "quick" only where the trial is in the quick set."""
    tags = set(case.head.tags) - {"quick"}
    return frozenset(tags | {"quick"} if quick else tags)


def _path(word: str, corpus: Corpus, roots: Sequence[Path]) -> Callable[[str, str], bool]:
    """What one word of the command line means."""
    if "@" in word:
        return lambda name, _case: matches(word, name)
    below = _below(word, roots)
    if below is None:
        below = word.removesuffix(".toml").strip("/")
    if below == "":
        return lambda _name, _case: True
    if not any(_is_below(case, below) for case in corpus.cases):
        folders = {str(parent) for case in corpus.cases for parent in Path(case).parents} - {"."}
        if Path(word).exists():
            listed = ", ".join(str(root) for root in roots)
            raise UsageError(f"{word}: expected a case or a folder of cases below {listed}; found none there.")
        raise UnknownName("case or folder", word, [*corpus.cases, *folders] if len(corpus.cases) < 10 else folders)
    return lambda _name, case: _is_below(case, below)


def _is_below(case: str, folder: str) -> bool:
    return case == folder or case.startswith(folder + "/") or ("*" in folder and matches(folder, case))


def _below(word: str, roots: Sequence[Path]) -> str | None:
    """The part of an existing path that is below a corpus, without .toml; None when it is below none."""
    path = Path(word)
    if not path.exists():
        return None
    for root in roots:
        if path.resolve().is_relative_to(root.resolve()):
            relative = path.resolve().relative_to(root.resolve()).with_suffix("").as_posix()
            return "" if relative == "." else relative
    return None
