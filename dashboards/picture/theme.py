"""Colours and sizes of letters, near those of Grafana's dark theme."""

from dashboards.picture.looks import PLAIN

PAGE = "#111217"
PANEL = "#181b1f"
EDGE = "#2a2d33"
GRID = "#2c2f36"
BRIGHT = "#e4e5ea"
TEXT = "#ccccdc"
FAINT = "#9a9ba6"
"""Still readable on a panel."""

SMALL, NORMAL, TITLE, LARGE, HUGE = 11.5, 12.5, 13.5, 20.0, 30.0
"""Sizes of letters, in pixels."""

NAMED = {"green": "#73bf69", "orange": "#ff9830", "red": "#f2495c", PLAIN: TEXT}
"""Colours that the dashboards call by their names."""

LINES = (
    "#73bf69",
    "#f2cc0c",
    "#8ab8ff",
    "#ff780a",
    "#f2495c",
    "#5794f2",
    "#b877d9",
    "#56d1c0",
    "#c4a26a",
    "#ff7eb6",
    "#a7d129",
    "#9fa8da",
)
"""Of a graph's lines, in turn."""
AREA, STACKED = 0.08, 0.4
"""How much of a line's colour is in the area below it, where it is alone, and where others lie on it."""


def line(number: int) -> str:
    """The colour of a graph's line."""
    return LINES[number % len(LINES)]


def mixed(colour: str, part: float) -> str:
    """A colour that lies on a panel and lets some of it through."""
    pairs = zip(bytes.fromhex(colour[1:]), bytes.fromhex(PANEL[1:]), strict=True)
    return "#" + bytes(round(over * part + under * (1 - part)) for over, under in pairs).hex()


ALL = (
    *(PAGE, PANEL, EDGE, GRID, BRIGHT, FAINT),
    *NAMED.values(),
    *LINES,
    *(mixed(each, part) for part in (AREA, STACKED) for each in LINES),
)
"""All colours, less the shades where they meet."""
