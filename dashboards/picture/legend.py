"""Draws the legend of a graph: a table in columns, the largest series first."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from dashboards.picture.canvas import Canvas
from dashboards.picture.lines import Line, by_most
from dashboards.picture.places import Box
from dashboards.picture.theme import FAINT, SMALL, TEXT, line
from dashboards.picture.units import written

ROW = 16
"""Height of a line."""
ROWS = 6
"""At most, without the headings; what has no room is counted in the last."""
FEW = 3
"""So many rows it may have for names to be whole; more would leave too little of the graph."""
COLUMN = 320
"""Width of a column, at least, where names are cut."""
SIDE = 12
"""At its left and right."""
GAP = 28
"""Between two columns."""
SPACE = 16
"""Before a number."""
MARK = 19
"""Width of a line's colour before its name."""


class Shape(NamedTuple):
    """How it is set.

    Attributes:
        across: Columns.
        rows: In each, without the headings.
        number: Width of a number, with the space before it.
    """

    across: int
    rows: int
    number: float

    @property
    def height(self) -> float:
        """Pixels that it takes."""
        return ROW * (1 + self.rows)


def shape(canvas: Canvas, found: Sequence[Line], width: float, unit: str) -> Shape:
    """As many columns as have room with whole names; more, with names that are cut, where that makes too many rows."""
    numbers = {"Last", "Max", *(written(value, unit) for each in found for value in (each.last, each.most))}
    number = SPACE + max(canvas.width_of(each, SMALL) for each in numbers)
    whole = MARK + max(canvas.width_of(each.name, SMALL) for each in found) + 2 * number
    across = max(1, min(len(found), int((width - 2 * SIDE + GAP) // (whole + GAP))))
    if math.ceil(len(found) / across) > FEW:
        across = max(across, min(len(found), int(width // COLUMN)))
    return Shape(across, min(ROWS, math.ceil(len(found) / across)), number)


def draw(canvas: Canvas, box: Box, found: Sequence[Line], unit: str, shaped: Shape) -> None:
    """Name, last value and maximum of each line, down one column after the other."""
    across, rows, number = shaped
    width = (box.width - 2 * SIDE - GAP * (across - 1)) / across
    fitting = by_most(found)
    if len(fitting) > rows * across:
        fitting = fitting[: rows * across - 1]

    def write(column: int, row: int, colour: str, name: str, last: str = "", most: str = "", mark: str = "") -> None:
        left, y = box.x + SIDE + column * (width + GAP), box.y + ROW * (row + 0.5)
        indent = MARK if mark else 0
        canvas.text(left + indent, y, name, SMALL, colour, room=width - 2 * number - indent)
        canvas.text(left + width - number, y, last, SMALL, colour, side="right")
        canvas.text(left + width, y, most, SMALL, colour, side="right")
        if mark:
            canvas.area(Box(left, y - 1.5, 13, 3), mark)

    for index, each in enumerate(fitting):
        column, row = divmod(index, rows)
        if row == 0:
            write(column, 0, FAINT, "Name", "Last", "Max")
        last, most = written(each.last, unit), written(each.most, unit)
        write(column, row + 1, TEXT, each.name, last, most, line(each.number))
    if len(fitting) < len(found):
        write(across - 1, rows, FAINT, f"and {len(found) - len(fitting)} more")
