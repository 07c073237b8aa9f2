"""Cutting a batch into forward passes that fit in memory.

An hour of video is a single item of a million patches. Towers that attend within a grid step (or within a window of
audio) only may compute it a part at a time, with the same result.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import TypeVar

_R = TypeVar("_R")


@dataclass(frozen=True, slots=True)
class Piece:
    """Units `start` to `stop` (exclusive) of item number `item`."""

    item: int
    start: int
    stop: int


def passes(units: Sequence[tuple[int, int]], limit: int) -> list[list[Piece]]:
    """Cut items of (count, cost of each) into passes, in order, each within `limit` or of one single unit."""
    result: list[list[Piece]] = []
    room = 0
    for item, (count, cost) in enumerate(units):
        start = 0
        while start < count:
            if not result or room < cost:
                result.append([])
                room = limit
            take = min(count - start, max(1, room // cost))
            result[-1].append(Piece(item, start, start + take))
            start += take
            room -= take * cost
    return result


def run_all(steps: Generator[None, None, _R]) -> _R:
    """Run a generator to its end, for callers that need no break; what it returns."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: _R = end.value
            return result
