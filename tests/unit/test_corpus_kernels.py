"""Kernel releases and ranges of them."""

from __future__ import annotations

import pytest

from conformance.corpus.kernels import parse_range, parse_release


@pytest.mark.parametrize(
    ("text", "release", "expected"),
    [
        ("", "2.6.32", True),
        ("", None, True),
        ("6.1", "6.1.192", True),
        ("6.1", "6.1.0-28-amd64", True),
        ("6.1", "6.12.1", False),
        ("=6.1", "6.1.5", True),
        ("6.1.192", "6.1.192", True),
        ("6.1.192", "6.1.191", False),
        (">=6.10", "6.9.12", False),
        (">=6.10", "6.10.0-rc1", True),
        (">=6.10", "6.12.117-cloud-amd64", True),
        ("<=6.1", "6.1.192", True),
        (">6.1", "6.1.192", False),
        (">6.1", "6.2", True),
        ("<6.2", "6.1.192", True),
        (">=6.1,<6.13", "6.12.117", True),
        (">=6.1, <6.13", "6.13.0", False),
        (">=6.1", None, True),
        ("<6.13", None, False),
    ],
)
def test_holds(text: str, release: str | None, expected: bool) -> None:
    assert parse_range(text).holds(release) is expected


@pytest.mark.parametrize("text", ["6", "six", ">=", "~6.1", "6.1-6.12", ">=6.1,", "6.1.2.3"])
def test_a_range_says_what_it_expected(text: str) -> None:
    with pytest.raises(ValueError, match="expected a range of kernels"):
        parse_range(text)


def test_a_release_says_what_it_expected() -> None:
    assert parse_release("6.12.117+deb13") == (6, 12, 117)
    with pytest.raises(ValueError, match=r"expected a kernel release such as 6\.12\.117, found 'uml'"):
        parse_release("uml")


def test_a_range_is_shown_as_it_was_written() -> None:
    assert str(parse_range(">=6.1,<6.13")) == ">=6.1,<6.13"
    assert str(parse_range("")) == "every kernel"
