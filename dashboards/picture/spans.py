"""How something stood over time: stretches of equal values. Pure."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from dashboards.picture.lines import Line
from dashboards.picture.looks import look


class Span(NamedTuple):
    """A stretch.

    Attributes:
        start: Seconds since 1970.
        end: As `start`.
        colour: As Grafana calls it.
    """

    start: int
    end: int
    colour: str


def spans(line: Line, times: Sequence[int], field: Mapping[str, Any]) -> list[Span]:
    """Stretches of one line; each value holds until the next time, and nothing is where there is no value."""
    found: list[Span] = []
    for value, start, end in zip(line.values, times, _ends(times), strict=True):
        if math.isnan(value):
            continue
        colour = look(value, field).colour
        if found and found[-1].colour == colour and found[-1].end == start:
            found[-1] = found[-1]._replace(end=end)
        else:
            found.append(Span(start, end, colour))
    return found


def _ends(times: Sequence[int]) -> Iterable[int]:
    return [*times[1:], times[-1]]
