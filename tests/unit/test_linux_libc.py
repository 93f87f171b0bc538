"""Errno names are those of the manual pages, whatever Python calls them."""

from __future__ import annotations

import errno

import pytest

from kernel.linux.libc import errno_name


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (errno.EBUSY, "EBUSY"),
        (95, "EOPNOTSUPP"),
        (35, "EDEADLK"),
        (11, "EAGAIN"),
        (524, "ENOTSUPP"),
        (9999, "errno 9999"),
    ],
)
def test_errno_name(number: int, name: str) -> None:
    assert errno_name(number) == name
