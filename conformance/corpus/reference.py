"""The tables of `cases/README.md`, made from the vocabularies, so that the contract says what the loader does.

The file has markers, `<!-- begin NAME -->` and `<!-- end NAME -->`; what is between them is written
by this module: `python -m conformance.corpus.reference cases/README.md`. A test compares.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from conformance.corpus.vocabulary import Field, call_fields, needs_of, numbers_of, word_fields, words_of
from conformance.corpus.words import (
    ABILITIES,
    ACTOR_WORDS,
    CASE_WORDS,
    CLAIM_WORDS,
    CONDITION_SUBJECTS,
    FILE_WORDS,
    MAX_FILES,
    MAX_MEMORY,
    MAX_SECONDS,
    MAX_STEPS,
    MAX_TOML,
    MAX_TRIALS,
    SEGMENT_WORDS,
    STEP_WORDS,
    TAGS,
    WITNESS_WORDS,
)
from conformance.errors import CorpusError
from kernel.calls import CALLS

_MARKED = re.compile(r"(<!-- begin (?P<name>[a-z ]+) -->\n).*?(<!-- end (?P=name) -->)", re.DOTALL)


def sections() -> dict[str, str]:
    """Every generated section by its name, as Markdown."""
    return {
        "case keys": _table("key", CASE_WORDS),
        "file keys": _table("key", FILE_WORDS),
        "segments": _table("kind", SEGMENT_WORDS),
        "step keys": _table("key", STEP_WORDS),
        "actor keys": _table("key", ACTOR_WORDS),
        "claim keys": _table("key", CLAIM_WORDS),
        "witness keys": _table("key", WITNESS_WORDS),
        "conditions": _table("subject", CONDITION_SUBJECTS),
        "tags": _table("tag", TAGS),
        "abilities": _table("ability", ABILITIES),
        "limits": _limits(),
        "calls": "\n".join(call_text(word) for word, call in CALLS.items() if not call.tests_only),
        "calls for tests": "\n".join(call_text(word) for word, call in CALLS.items() if call.tests_only),
    }


def _table(head: str, words: Mapping[str, str]) -> str:
    rows = [f"| {head} | meaning |", "|---|---|"]
    return "\n".join(
        rows + [f"| `{word}` | {meaning.replace('|', chr(92) + '|')} |" for word, meaning in words.items()]
    )


def _limits() -> str:
    rows = {
        "bytes of all files of a trial together, and the last byte that a call may touch": f"{MAX_FILES >> 20} MiB",
        "memory that `swap_load` fills": f"{MAX_MEMORY >> 20} MiB",
        "steps of a case, those of actors included": str(MAX_STEPS),
        "trials from one matrix": str(MAX_TRIALS),
        "`seconds`": str(MAX_SECONDS),
        "bytes of one TOML file": f"{MAX_TOML >> 20} MiB",
    }
    return "\n".join(["| what | at most |", "|---|---|"] + [f"| {what} | {most} |" for what, most in rows.items()])


def call_text(word: str) -> str:
    """One call as Markdown: what it does, its fields, what it answers, what it needs."""
    call = CALLS[word]
    lines = [f"#### `{word}`", "", inspect.cleandoc(call.__doc__ or ""), ""]
    if fields := call_fields(word):
        lines += ["| key | value | meaning |", "|---|---|---|", *(_field_row(field) for field in fields), ""]
    facts: list[str] = []
    if needs := _needs(word):
        facts.append(f"Needs {needs}.")
    if results := sorted(words_of(word)):
        facts.append("Results beside OK and errno values: " + ", ".join(f"`{name}`" for name in results) + ".")
    if numbers := sorted(numbers_of(word)):
        facts.append("Numbers: " + ", ".join(f"`{name}`" for name in numbers) + ".")
    if call.observed:
        facts.append("All files are observed around it.")
    if call.remaps:
        facts.append("The checker runs after the trial.")
    if not call.actor_may:
        facts.append("Not for actors.")
    if not call.main_may:
        facts.append("For actors only.")
    return "\n".join([*lines, " ".join(facts), ""] if facts else lines)


def _field_row(field: Field) -> str:
    default = "" if field.required or field.default is None else f"; without it {default_text(field)}"
    optional = " (optional)" if not field.required and field.default is None else ""
    return f"| `{field.name}` | {field.kind_text}{optional} | {field.meaning}{default} |"


def default_text(field: Field) -> str:
    """The default of a field as a case would write it."""
    if field.kind_text == "range":
        return '`"all"`'
    if isinstance(field.default, bool):
        return f"`{str(field.default).lower()}`"
    if isinstance(field.default, tuple):
        return f"`[{', '.join(chr(34) + str(item) + chr(34) for item in field.default)}]`"
    return f'`"{field.default}"`' if isinstance(field.default, str) else f"`{field.default}`"


def _needs(word: str) -> str:
    """What a call needs; where a field decides that, by the values of the field."""
    fields = word_fields(word)
    if not fields:
        return ", ".join(f"`{need}`" for need in sorted(needs_of(word, ())))
    found = [
        (value, need)
        for field in call_fields(word)
        if field.name in fields
        for value in field.values
        for need in needs_of(word, ((field.name, value),))
        if isinstance(need, str)  # a field that decides, and is not this one, has no value yet
    ]
    needs = list(dict.fromkeys(need for _, need in found))
    if len(needs) > 1 and all(value == need for value, need in found):
        return f"the ability that is called like the value of `{fields[0]}`"
    if len(needs) > 1:
        return ", ".join(f"`{need}` for `{value}`" for value, need in found)
    return "".join(f"`{need}`" for need in needs)


def renew(text: str, where: str) -> str:
    """The text with every marked section as it must be; raises CorpusError for one that is missing or unknown."""
    wanted = sections()
    seen: set[str] = set()

    def section(found: re.Match[str]) -> str:
        name = found["name"]
        if name not in wanted:
            raise CorpusError(where, f"the marker {name!r} is none of {', '.join(wanted)}")
        seen.add(name)
        return f"{found[1]}{wanted[name]}\n{found[3]}"

    result = _MARKED.sub(section, text)
    if missing := sorted(set(wanted) - seen):
        raise CorpusError(where, f"expected markers for {', '.join(missing)}, found none")
    return result


def main(paths: list[str]) -> None:
    """Renews the files in place."""
    for path in map(Path, paths):
        path.write_text(renew(path.read_text("utf-8"), str(path)), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
