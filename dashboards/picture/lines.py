"""Series as lines of a graph: on one grid of times, named, summed up for the legend, and the axis beside them. Pure."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from dashboards.picture.names import named
from dashboards.picture.series import Series
from dashboards.picture.units import ticks

TICKS = 4
"""Steps of an axis, at most."""


class Line(NamedTuple):
    """A series of a graph.

    Attributes:
        name: In the legend.
        values: One for each time of the window; NaN where it has none.
        last: The last value that it has.
        most: The largest.
        number: Which of the graph's lines it is, as its colour goes by that.
    """

    name: str
    values: list[float]
    last: float
    most: float
    number: int


def lines(panel: Mapping[str, Any], answers: Sequence[Iterable[Series]], times: Sequence[int]) -> list[Line]:
    """All lines of a graph, in the order of its queries; series without any number are left out.

    Args:
        panel: Its JSON.
        answers: Of each of its queries.
        times: To which values belong.
    """
    found: list[Line] = []
    for target, answer in zip(panel["targets"], answers, strict=True):
        for each in sorted(answer, key=lambda series: sorted(series.labels.items())):
            values = on_grid(each, times)
            numbers = [value for value in values if math.isfinite(value)]
            if numbers:
                name = named(target["legendFormat"], each.labels)
                found.append(Line(name, values, numbers[-1], max(numbers), len(found)))
    return found


def on_grid(series: Series, times: Sequence[int]) -> list[float]:
    """A value for each time; what is infinite is not drawn either."""
    there = {round(time): value for time, value in series.points if math.isfinite(value)}
    return [there.get(time, math.nan) for time in times]


def by_most(found: Iterable[Line]) -> list[Line]:
    """In the order of the legend: the largest first."""
    return sorted(found, key=lambda line: (-line.most, line.number))


def stacked(found: Sequence[Line]) -> list[tuple[list[float], list[float]]]:
    """Lower and upper edge of each line's area, one on top of the other.

    Where a line has no value its upper edge is NaN, and the next lies on what is below it.
    """
    edges = []
    below = [0.0] * len(found[0].values) if found else []
    for line in found:
        above = [low + value for low, value in zip(below, line.values, strict=True)]
        edges.append((below, above))
        below = [low if math.isnan(high) else high for low, high in zip(below, above, strict=True)]
    return edges


def axis(panel: Mapping[str, Any], found: Sequence[Line]) -> list[float]:
    """Values beside a graph, from the lowest to the highest; the panel may say where it ends."""
    field = panel["fieldConfig"]["defaults"]
    if is_stacked(panel):
        values = [value for _, above in stacked(found) for value in above if math.isfinite(value)]
    else:
        values = [value for line in found for value in line.values if math.isfinite(value)]
    low = min([*values, 0]) if field.get("min") is None else field["min"]
    high = max([*values, 0]) if field.get("max") is None else field["max"]
    return ticks(low, high if high > low else low + 1, field["unit"], TICKS)


def is_stacked(panel: Mapping[str, Any]) -> bool:
    """Whether its series lie on top of each other."""
    return bool(panel["fieldConfig"]["defaults"]["custom"].get("stacking", {}).get("mode") == "normal")
