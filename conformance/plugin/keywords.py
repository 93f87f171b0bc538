"""What -k and -m choose, worked out before the workers start, by pytest's own expressions."""

from __future__ import annotations

import pytest
from _pytest.mark.expression import Expression

from conformance.corpus.words import TAGS
from conformance.errors import unknown_name
from conformance.runner.select import Keep


def keep_of(config: pytest.Config) -> Keep:
    """Whether a trial is wanted by -k and -m. Raises pytest.UsageError for an expression that cannot be read."""
    keyword = _compiled("-k", str(config.option.keyword or "").strip())
    mark = _compiled("-m", str(config.option.markexpr or "").strip())
    if mark is not None:
        for word in mark.idents():
            if word not in TAGS:
                raise pytest.UsageError(f"-m: {unknown_name('tag', word, TAGS)}")

    def keep(name: str, marks: frozenset[str]) -> bool:
        words = [name.lower(), *marks]
        return (keyword is None or keyword.evaluate(lambda word, /, **_: any(word.lower() in w for w in words))) and (
            mark is None or mark.evaluate(lambda word, /, **_: word in marks)
        )

    return keep


def _compiled(option: str, text: str) -> Expression | None:
    if not text:
        return None
    try:
        return Expression.compile(text)
    except SyntaxError as error:
        raise pytest.UsageError(f"{option} {text!r}: expected words joined by and, or, not: {error.msg}") from None
