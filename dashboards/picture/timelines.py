"""Draws how things stood over time: a bar for each, and what its colours mean."""

from collections.abc import Mapping, Sequence
from typing import Any

from dashboards.picture.canvas import Canvas
from dashboards.picture.graphs import TIMES, times
from dashboards.picture.lines import Line
from dashboards.picture.looks import words
from dashboards.picture.places import Box
from dashboards.picture.spans import spans
from dashboards.picture.theme import NAMED, NORMAL, SMALL
from dashboards.picture.window import Window

BAR = 48
"""Height of a bar, with the gap, at most."""
LEGEND = 22
"""Height of what the colours mean."""


def draw(canvas: Canvas, box: Box, found: Sequence[Line], field: Mapping[str, Any], shown: Window) -> None:
    """All bars, the first on top."""
    names = max(canvas.width_of(each.name) for each in found)
    room = box.inside(24 + names, 2, 12, LEGEND + TIMES + 4)
    inside = room._replace(height=min(room.height, BAR * len(found)))
    axes = canvas.axes(inside)
    axes.set_xlim(shown.start, shown.end)
    axes.set_ylim(len(found), 0)
    for row, each in enumerate(found):
        for span in spans(each, shown.times, field):
            colour = NAMED[span.colour]
            axes.broken_barh([(span.start, span.end - span.start)], (row + 0.1, 0.8), color=colour, linewidth=0)
        y = inside.y + inside.height * (row + 0.5) / len(found)
        canvas.text(inside.x - 10, y, each.name, NORMAL, side="right")
    times(canvas, axes, inside, shown)
    x, y = box.x + 12, box.y + box.height - LEGEND / 2
    for seen in words(field):
        canvas.area(Box(x, y - 4, 12, 8), NAMED[seen.colour], radius=2)
        canvas.text(x + 18, y, seen.text, SMALL)
        x += 18 + canvas.width_of(seen.text, SMALL) + 22
