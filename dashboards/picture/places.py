"""Where everything lies in a picture, in pixels. Pure."""

from collections.abc import Mapping
from typing import Any, NamedTuple

COLUMNS = 24
"""Of Grafana's grid."""
WIDTH = 1400
"""Of a picture."""
HEAD = 64
"""Above the grid: the dashboard's name, and what is chosen."""
EDGE = 12
"""Around the grid."""
UNIT = 34
"""Height of a line of the grid, with the gap below it."""
GAP = 8
"""Between two panels."""


class Box(NamedTuple):
    """A rectangle; `x` and `y` are its upper left corner."""

    x: float
    y: float
    width: float
    height: float

    def inside(self, left: float = 0, top: float = 0, right: float = 0, bottom: float = 0) -> "Box":
        """What is left of it without some pixels at its sides."""
        return Box(self.x + left, self.y + top, self.width - left - right, self.height - top - bottom)


class Place(NamedTuple):
    """A panel, or the title of a row, and where it is.

    Attributes:
        panel: Its JSON.
        box: Where.
    """

    panel: Mapping[str, Any]
    box: Box


class Layout(NamedTuple):
    """All of a dashboard.

    Attributes:
        places: In the order of the JSON; panels of folded rows are unfolded, and push down what follows.
        width: In pixels.
        height: In pixels.
    """

    places: list[Place]
    width: int
    height: int


def layout(dashboard: Mapping[str, Any]) -> Layout:
    """Places of the rows' titles and of all panels of a dashboard."""
    places = []
    pushed = 0
    for panel in dashboard["panels"]:
        places.append(Place(panel, box(panel["gridPos"], pushed)))
        inner = panel.get("panels") or ()
        if not inner:
            continue
        below = panel["gridPos"]["y"] + panel["gridPos"]["h"]
        start = min(each["gridPos"]["y"] for each in inner)
        places += [Place(each, box(each["gridPos"], pushed + below - start)) for each in inner]
        pushed += max(each["gridPos"]["y"] + each["gridPos"]["h"] for each in inner) - start
    bottom = max(each.box.y + each.box.height for each in places)
    return Layout(places, WIDTH, round(bottom + EDGE))


def box(place: Mapping[str, int], pushed: int = 0) -> Box:
    """A place of the grid in pixels.

    Args:
        place: `gridPos` of a panel.
        pushed: Lines of the grid by which it is lower.
    """
    column = (WIDTH - 2 * EDGE + GAP) / COLUMNS
    return Box(
        EDGE + place["x"] * column,
        HEAD + (place["y"] + pushed) * UNIT,
        place["w"] * column - GAP,
        place["h"] * UNIT - GAP,
    )
