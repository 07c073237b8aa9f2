"""Draws a table."""

from collections.abc import Sequence

from dashboards.picture.canvas import Canvas, Side
from dashboards.picture.cells import Column
from dashboards.picture.places import Box
from dashboards.picture.theme import EDGE, FAINT, NAMED, NORMAL, PAGE, TEXT

ROW = 28
"""Height of a row."""
SPACE = 22
"""Between two columns."""


def draw(canvas: Canvas, box: Box, columns: Sequence[Column]) -> None:
    """Headings and as many rows as there is room for; how many are left out is said below."""
    inner = box.inside(left=12, right=12)
    widths = _widths(canvas, columns, inner.width)
    count = len(columns[0].cells)
    fitting = min(count, int(inner.height // ROW) - 1)
    if fitting < count:
        fitting -= 1
        said = f"and {count - fitting} more rows"
        canvas.text(inner.x, inner.y + ROW * (fitting + 1.5), said, NORMAL, FAINT)
    for row in range(fitting):
        canvas.area(Box(inner.x, inner.y + ROW * (row + 1) - 0.5, inner.width, 1), EDGE)
    left = inner.x
    for column, width in zip(columns, widths, strict=True):
        x = left + width - SPACE / 2 if column.numbers else left
        side: Side = "right" if column.numbers else "left"
        room = width - SPACE / 2
        canvas.text(x, inner.y + ROW / 2, column.heading, NORMAL, FAINT, side=side, room=room)
        for row, cell in enumerate(column.cells[:fitting]):
            y = inner.y + ROW * (row + 1.5)
            if cell.colour:
                canvas.area(Box(left, y - ROW / 2 + 2, width - 2, ROW - 3), NAMED[cell.colour], radius=2)
            colour = PAGE if cell.colour else TEXT
            canvas.text(x, y, cell.text, NORMAL, colour, side=side, room=room)
        left += width


def _widths(canvas: Canvas, columns: Sequence[Column], room: float) -> list[float]:
    """As wide as their words, with what is left shared; where they do not fit, the widest give most."""
    wanted = [
        SPACE + max(canvas.width_of(words, NORMAL) for words in (each.heading, *(cell.text for cell in each.cells)))
        for each in columns
    ]
    over = sum(wanted) - room
    if over <= 0:
        return [each - over / len(wanted) for each in wanted]
    largest = max(wanted)
    while sum(min(each, largest) for each in wanted) > room:
        largest -= 1
    return [min(each, largest) for each in wanted]
