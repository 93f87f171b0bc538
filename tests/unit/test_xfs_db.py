"""How the output of xfs_db is read."""

from __future__ import annotations

import pytest

from kernel.linux.mounts import pointers


@pytest.mark.parametrize(
    ("text", "blocks"), [("1:26", [26]), ("26", [26]), ("1:26 2:33 3:4711", [26, 33, 4711]), ("", [])]
)
def test_pointers_come_with_their_place_and_a_single_one_without(text: str, blocks: list[int]) -> None:
    assert pointers(text) == blocks
