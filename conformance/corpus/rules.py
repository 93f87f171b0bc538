"""Rules: one sentence each that says what must, should or may be, with its source."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from conformance.corpus.files import entries, known_keys, label, read_toml, typed
from conformance.corpus.words import RULE_ID
from conformance.errors import CorpusError
from conformance.model.trial import Level, Promise, RuleText


@dataclass(frozen=True)
class Rule:
    """A rule as `[[rules]]` gives it."""

    id: str
    level: Level
    sentence: str
    """In our own words."""
    source: str
    """Where it comes from: a mail, a manual page, a function of the kernel."""
    promise: Promise = "mainline"
    """mainline: kernels promise it today. proposed: it was asked for, and no kernel has to keep it."""
    consequence: str = ""
    """What a user loses when it is broken."""
    xfstests: tuple[str, ...] = ()
    """Tests of xfstests on the same ground, such as "generic/493"."""
    untested: str = ""
    """Why no case tests it; empty when one does."""

    def text(self) -> RuleText:
        """As a trial carries it."""
        return RuleText(self.id, self.level, self.sentence, self.source, self.promise, self.consequence)


def read_rules(path: Path, root: Path, errors: list[CorpusError]) -> list[tuple[str, Rule]]:
    """The rules of one file, each with its place; what is wrong is added to `errors`."""
    where = label(path)
    found: list[tuple[str, Rule]] = []
    try:
        table = read_toml(path, root)
        errors += known_keys(table, ["rules"], where)
        listed = entries(table, "rules", where)
    except CorpusError as error:
        errors.append(error)
        return found
    for number, entry in enumerate(listed, 1):
        place = f"{where}: rule {entry.get('id', number)}"
        try:
            rule = typed(Rule, entry, place)
            _check(rule, place)
            found.append((place, rule))
        except CorpusError as error:
            errors.append(error)
    return found


def _check(rule: Rule, place: str) -> None:
    if not RULE_ID.fullmatch(rule.id):
        raise CorpusError(f"{place}, key 'id'", f"expected an id such as COOKIE-2, found {rule.id!r}")
    for key in ("sentence", "source"):
        if not getattr(rule, key).strip():
            raise CorpusError(f"{place}, key {key!r}", "expected a sentence, found nothing")
