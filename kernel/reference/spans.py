"""Maps from positions to values, kept as stretches: contents, extents, reference counts, page states.

Neighbours that continue each other are one stretch, so that a map costs what there is to tell,
not what there is in bytes.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import Generic, TypeVar

V = TypeVar("V")
Image = tuple[tuple[int, ...], tuple[int, ...], tuple[V, ...]]
"""Starts, ends and values of all stretches."""


class Spans(Generic[V]):
    """Values by position. A position without a value is in no stretch."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._values: list[V] = []
        self.changes = 0
        """Counts changes, so that what was derived from a map can be kept as long as it holds."""

    def advanced(self, value: V, by: int) -> V:  # noqa: ARG002  # the plain map has the same value all along
        """The value `by` positions behind the start of a stretch that begins with `value`."""
        return value

    def __len__(self) -> int:
        return len(self._starts)

    def __iter__(self) -> Iterator[tuple[int, int, V]]:
        return iter(list(zip(self._starts, self._ends, self._values, strict=True)))

    @property
    def end(self) -> int:
        """The first position behind the last stretch; 0 without any."""
        return self._ends[-1] if self._ends else 0

    def image(self) -> Image[V]:
        """All of it as a value."""
        return tuple(self._starts), tuple(self._ends), tuple(self._values)

    def load(self, image: Image[V]) -> None:
        """Becomes what an image says."""
        self._starts, self._ends, self._values = list(image[0]), list(image[1]), list(image[2])
        self.changes += 1

    def get(self, at: int) -> V | None:
        """The value at a position."""
        index = bisect_right(self._starts, at) - 1
        if index < 0 or self._ends[index] <= at:
            return None
        return self.advanced(self._values[index], at - self._starts[index])

    def within(self, start: int, end: int) -> list[tuple[int, int, V]]:
        """The stretches between two positions, cut to them."""
        found: list[tuple[int, int, V]] = []
        index = bisect_right(self._starts, start) - 1
        if index < 0 or self._ends[index] <= start:
            index += 1
        count = len(self._starts)
        while index < count and self._starts[index] < end:
            first, last, value = self._starts[index], self._ends[index], self._values[index]
            if first < start:
                value = self.advanced(value, start - first)
                first = start
            found.append((first, min(last, end), value))
            index += 1
        return found

    def whole(self, start: int, end: int) -> list[tuple[int, int, V | None]]:
        """The same, with the gaps between them as None."""
        found: list[tuple[int, int, V | None]] = []
        for first, last, value in self.within(start, end):
            if first > start:
                found.append((start, first, None))
            found.append((first, last, value))
            start = last
        if start < end:
            found.append((start, end, None))
        return found

    def put(self, start: int, end: int, value: V) -> None:
        """Gives the positions from `start` to before `end` a value."""
        if start >= end:
            return
        low, high = self._cut(start), self._cut(end)
        if low and self._ends[low - 1] == start:
            before, length = self._values[low - 1], start - self._starts[low - 1]
            if self.advanced(before, length) == value:
                start, value, low = self._starts[low - 1], before, low - 1
        follows = high < len(self._starts) and self._starts[high] == end
        if follows and self.advanced(value, end - start) == self._values[high]:
            end, high = self._ends[high], high + 1
        self._starts[low:high], self._ends[low:high], self._values[low:high] = [start], [end], [value]
        self.changes += 1

    def drop(self, start: int, end: int) -> None:
        """Takes the values of a range away."""
        if start >= end or not self._starts or start >= self._ends[-1]:
            return
        low, high = self._cut(start), self._cut(end)
        if low < high:
            del self._starts[low:high], self._ends[low:high], self._values[low:high]
            self.changes += 1

    def clear(self) -> None:
        """Takes all values away."""
        if self._starts:
            self._starts, self._ends, self._values = [], [], []
            self.changes += 1

    def shift(self, start: int, by: int) -> None:
        """Moves all from `start` on by so many positions; where it moves back, the way must be free."""
        index = self._cut(start)
        moved = list(zip(self._starts[index:], self._ends[index:], self._values[index:], strict=True))
        del self._starts[index:], self._ends[index:], self._values[index:]
        for first, last, value in moved:
            self.put(first + by, last + by, value)
        self.changes += 1

    def _cut(self, at: int) -> int:
        """The first stretch that begins at `at` or behind it, after cutting the one that lies across."""
        index = bisect_left(self._starts, at)
        if index and self._ends[index - 1] > at:
            self._starts.insert(index, at)
            self._ends.insert(index, self._ends[index - 1])
            self._values.insert(index, self.advanced(self._values[index - 1], at - self._starts[index - 1]))
            self._ends[index - 1] = at
        return index
