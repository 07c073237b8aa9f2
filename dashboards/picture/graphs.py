"""Draws values over time, with the legend below."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime

from matplotlib.axes import Axes

from dashboards.picture import legend
from dashboards.picture.canvas import Canvas
from dashboards.picture.lines import Line, stacked
from dashboards.picture.places import Box
from dashboards.picture.theme import AREA, FAINT, GRID, SMALL, STACKED, line
from dashboards.picture.units import written
from dashboards.picture.window import Window, marks

SCALE = 76
"""Width of the values beside a graph."""
TIMES = 20
"""Height of the times below it."""


def draw(
    canvas: Canvas, box: Box, found: Sequence[Line], axis: Sequence[float], unit: str, shown: Window, *, stack: bool
) -> None:
    """A graph.

    Args:
        canvas: On which it is drawn.
        box: Where.
        found: Its lines.
        axis: Values beside it.
        unit: Of them.
        shown: The time.
        stack: Whether lines lie on top of each other.
    """
    shaped = legend.shape(canvas, found, box.width, unit)
    inside = box.inside(SCALE, 4, 6, TIMES + shaped.height + 2)
    axes = canvas.axes(inside)
    axes.set_xlim(shown.start, shown.end)
    half = (axis[-1] - axis[0]) / inside.height
    axes.set_ylim(axis[0] - half, axis[-1] + half)  # so that a line at an end has its whole width
    _scales(canvas, axes, inside, axis, unit, shown)
    _lines(axes, found, shown, stack=stack)
    legend.draw(canvas, box.inside(top=box.height - shaped.height), found, unit, shaped)


def times(canvas: Canvas, axes: Axes, inside: Box, shown: Window) -> None:
    """Times below, and faint lines above them."""
    round_times, seconds = marks(shown, max(2, int(inside.width // 90)))
    for each in round_times:
        axes.axvline(each, color=GRID, linewidth=0.8, zorder=0)
        said = datetime.fromtimestamp(each, UTC).strftime("%H:%M:%S" if seconds else "%H:%M")
        x = inside.x + inside.width * (each - shown.start) / (shown.end - shown.start)
        if x > inside.x + inside.width - 12:
            continue
        canvas.text(x, inside.y + inside.height + TIMES / 2 + 1, said, SMALL, FAINT, side="center")


def _scales(canvas: Canvas, axes: Axes, inside: Box, axis: Sequence[float], unit: str, shown: Window) -> None:
    for each in axis:
        axes.axhline(each, color=GRID, linewidth=0.8, zorder=0)
        y = inside.y + inside.height * (1 - (each - axis[0]) / (axis[-1] - axis[0]))
        canvas.text(inside.x - 8, y, written(each, unit), SMALL, FAINT, side="right")
    times(canvas, axes, inside, shown)


def _lines(axes: Axes, found: Sequence[Line], shown: Window, *, stack: bool) -> None:
    edges = stacked(found) if stack else [([0.0] * len(each.values), each.values) for each in found]
    order = list(zip(found, edges, strict=True))
    for each, (below, above) in reversed(order) if stack else order:  # what adds nothing hides nothing
        colour = line(each.number)
        axes.fill_between(shown.times, below, above, color=colour, alpha=STACKED if stack else AREA, linewidth=0)
        alone = [
            index
            for index, value in enumerate(above)
            if math.isfinite(value) and all(math.isnan(other) for other in _beside(above, index))
        ]
        axes.plot(shown.times, above, color=colour, linewidth=1.4, marker="o", markersize=2.5, markevery=alone)


def _beside(values: Sequence[float], index: int) -> list[float]:
    return [*values[max(0, index - 1) : index], *values[index + 1 : index + 2]]
