"""Colours that lie on a panel."""

import pytest
from dashboards.picture.theme import ALL, PANEL, line, mixed


@pytest.mark.parametrize(
    ("colour", "part", "seen"),
    [("#ffffff", 0, PANEL), ("#ffffff", 1, "#ffffff"), ("#18fb1f", 0.5, "#188b1f")],
)
def test_a_colour_on_a_panel(colour: str, part: float, seen: str) -> None:
    assert mixed(colour, part) == seen


def test_colours_of_lines_go_round() -> None:
    assert line(0) == line(12) != line(1)


def test_a_file_has_room_for_all_colours() -> None:
    assert len(ALL) < 200
