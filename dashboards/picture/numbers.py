"""Draws what is so now, large."""

from collections.abc import Mapping, Sequence
from typing import Any

from dashboards.picture.canvas import Canvas
from dashboards.picture.looks import look
from dashboards.picture.names import named
from dashboards.picture.places import Box
from dashboards.picture.series import Series
from dashboards.picture.theme import FAINT, HUGE, NAMED, NORMAL


def draw(canvas: Canvas, box: Box, panel: Mapping[str, Any], answers: Sequence[Sequence[Series]]) -> None:
    """Each value beside the next, with its name above where the panel says so."""
    field = panel["fieldConfig"]["defaults"]
    with_names = panel["options"]["textMode"] == "value_and_name"
    values = [
        (named(target["legendFormat"], each.labels), look(each.last, field))
        for target, answer in zip(panel["targets"], answers, strict=True)
        for each in answer
    ]
    width = box.width / len(values)
    for index, (name, seen) in enumerate(values):
        middle = box.x + width * (index + 0.5)
        if with_names:
            canvas.text(middle, box.y + 12, name, NORMAL, FAINT, side="center", room=width - 16)
        size = HUGE
        while canvas.width_of(seen.text, size, bold=True) > width - 16 and size > NORMAL:
            size -= 1
        y = box.y + box.height * (0.6 if with_names else 0.44)
        canvas.text(middle, y, seen.text, size, NAMED[seen.colour], side="center", bold=True)
