"""Where panels lie: in Grafana's grid, and those of folded rows below their row."""

from typing import Any

import pytest
from dashboards.picture.places import EDGE, GAP, HEAD, UNIT, WIDTH, Box, box, layout


def panel(title: str, x: int, y: int, w: int, h: int, **more: Any) -> dict[str, Any]:
    return {"title": title, "gridPos": {"x": x, "y": y, "w": w, "h": h}, **more}


@pytest.mark.parametrize(
    ("place", "left", "right", "top", "bottom"),
    [
        ((0, 0, 24, 1), EDGE, WIDTH - EDGE, HEAD, HEAD + UNIT - GAP),
        ((0, 1, 12, 8), EDGE, (WIDTH - GAP) / 2, HEAD + UNIT, HEAD + 9 * UNIT - GAP),
        ((12, 1, 12, 8), (WIDTH + GAP) / 2, WIDTH - EDGE, HEAD + UNIT, HEAD + 9 * UNIT - GAP),
    ],
)
def test_boxes(place: tuple[int, int, int, int], left: float, right: float, top: float, bottom: float) -> None:
    found = box(dict(zip("xywh", place, strict=True)))
    assert (found.x, found.y) == pytest.approx((left, top))
    assert (found.x + found.width, found.y + found.height) == pytest.approx((right, bottom))


def test_inside() -> None:
    assert Box(10, 20, 100, 50).inside(left=1, top=2, right=3, bottom=4) == Box(11, 22, 96, 44)


def test_a_folded_row_is_unfolded_and_pushes_down_what_follows() -> None:
    folded = [panel("in it", 0, 2, 12, 8), panel("below that", 0, 10, 12, 4)]
    found = layout(
        {
            "panels": [
                panel("open", 0, 0, 24, 1),
                panel("folded", 0, 1, 24, 1, panels=folded),
                panel("next row", 0, 2, 24, 1),
                panel("in the next", 0, 3, 24, 8),
            ]
        }
    )
    tops = {each.panel["title"]: (each.box.y - HEAD) / UNIT for each in found.places}
    assert tops == {"open": 0, "folded": 1, "in it": 2, "below that": 10, "next row": 14, "in the next": 15}
    assert found.height == HEAD + 23 * UNIT - GAP + EDGE
