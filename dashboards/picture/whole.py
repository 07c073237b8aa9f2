"""Draws a whole dashboard."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from dashboards.picture import graphs, numbers, tables, timelines
from dashboards.picture.answers import Answers
from dashboards.picture.canvas import Canvas
from dashboards.picture.cells import columns
from dashboards.picture.lines import axis, is_stacked, lines
from dashboards.picture.places import EDGE as MARGIN
from dashboards.picture.places import HEAD, Box, layout
from dashboards.picture.series import Series
from dashboards.picture.theme import BRIGHT, EDGE, FAINT, LARGE, NORMAL, PANEL, SMALL, TEXT, TITLE
from dashboards.picture.variables import shown as shown_variables
from dashboards.picture.window import Window

NOTHING = "No data"
"""In a panel to whose queries there is no answer, unless it has words of its own for that."""


class Drawn(NamedTuple):
    """What is in a picture.

    Attributes:
        width: In pixels.
        height: In pixels.
        panels: By title, how many series or rows are drawn of each.
    """

    width: int
    height: int
    panels: dict[str, int]

    @property
    def empty(self) -> list[str]:
        """Titles of panels without data."""
        return [title for title, count in self.panels.items() if not count]


def draw(dashboard: Mapping[str, Any], answered: Answers, file: Path) -> Drawn:
    """Draw a dashboard into a PNG.

    Args:
        dashboard: As its JSON says.
        answered: To its queries.
        file: Where to.
    """
    places, width, height = layout(dashboard)
    canvas = Canvas(width, height)
    _head(canvas, dashboard, answered)
    counts = {}
    for panel, box in places:
        if panel["type"] == "row":
            canvas.text(box.x + 2, box.y + box.height / 2, panel["title"], TITLE + 1.5, BRIGHT, bold=True)
            continue
        canvas.area(box, PANEL, EDGE, radius=3)
        room = box.width - 20
        size = canvas.fitting(panel["title"], (TITLE, NORMAL, SMALL, SMALL - 1), room)
        canvas.text(box.x + 12, box.y + 16, panel["title"], size, BRIGHT, room=room)
        inner = box.inside(top=30, bottom=6)
        title = panel["title"]
        counts[title] = _panel(canvas, inner, panel, answered.panels[title], answered.shown)
        if not counts[title]:
            said = panel["fieldConfig"]["defaults"].get("noValue", NOTHING)
            canvas.text(box.x + box.width / 2, box.y + box.height / 2 + 6, said, TITLE, FAINT, side="center")
    canvas.save(file)
    return Drawn(width, height, counts)


def _panel(
    canvas: Canvas, box: Box, panel: Mapping[str, Any], answers: Sequence[Sequence[Series]], shown: Window
) -> int:
    """Draw what is in a panel; how many series or rows, and nothing is drawn where there are none."""
    match panel["type"]:
        case "stat":
            count = sum(len(answer) for answer in answers)
            if count:
                numbers.draw(canvas, box, panel, answers)
            return count
        case "table":
            found = columns(panel, answers)
            if found:
                tables.draw(canvas, box, found)
            return len(found[0].cells) if found else 0
        case "timeseries" | "state-timeline" as kind:
            drawn = lines(panel, answers, shown.times)
            field = panel["fieldConfig"]["defaults"]
            if drawn and kind == "timeseries":
                stack = is_stacked(panel)
                graphs.draw(canvas, box, drawn, axis(panel, drawn), field["unit"], shown, stack=stack)
            elif drawn:
                timelines.draw(canvas, box, drawn, field, shown)
            return len(drawn)
        case other:
            raise ValueError(f"panel {panel['title']}: no picture of a {other} is known")


def _head(canvas: Canvas, dashboard: Mapping[str, Any], answered: Answers) -> None:
    canvas.text(MARGIN + 2, HEAD / 2, dashboard["title"], LARGE, BRIGHT, bold=True)
    x = MARGIN + 2 + canvas.width_of(dashboard["title"], LARGE, bold=True) + 32
    for label, value in shown_variables(dashboard, answered.chosen):
        wide = [canvas.width_of(words) for words in (label, value)]
        canvas.area(Box(x, HEAD / 2 - 14, wide[0] + wide[1] + 34, 28), PANEL, EDGE, radius=3)
        canvas.text(x + 10, HEAD / 2, label, NORMAL, FAINT)
        canvas.text(x + 22 + wide[0], HEAD / 2, value, NORMAL, TEXT)
        x += wide[0] + wide[1] + 34 + 10
    start, end = (datetime.fromtimestamp(each, UTC) for each in (answered.shown.start, answered.shown.end))
    said = f"{start:%Y-%m-%d %H:%M} to {end:%H:%M} UTC"
    canvas.text(canvas.width - MARGIN, HEAD / 2, said, NORMAL, FAINT, side="right")
