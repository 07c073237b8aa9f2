"""Pictures of the dashboards, drawn from a real Prometheus: something is in every panel, or "No data"."""

import time
from pathlib import Path

import pytest
from dashboards.picture.__main__ import main
from dashboards.picture.answers import answers
from dashboards.picture.asking import AskingError
from dashboards.picture.asking import Prometheus as Asked
from dashboards.picture.places import WIDTH, layout
from dashboards.picture.whole import draw
from dashboards.picture.window import Window, window
from dashboards.queries import panels, queries
from PIL import Image

from operating.operator_process import until
from showing.prometheus import Prometheus
from showing.test_queries import BOARDS

pytestmark = pytest.mark.timeout(600)
"""Whichever is first waits for the cluster, the encoders and some rounds of load."""

LARGEST = 300_000
"""Bytes: they are in the repository, and on a page."""


def shown() -> Window:
    return window(time.time(), minutes=2, scrape_interval=2)


@pytest.mark.parametrize("name", BOARDS)
def test_something_is_in_every_panel(prometheus: Prometheus, name: str, tmp_path: Path) -> None:
    board, server = BOARDS[name], Asked(prometheus.url)
    until(lambda: all(prometheus.ask(each.expression) for each in queries(board)))
    file = tmp_path / "picture.png"
    drawn = draw(board, answers(server, board, shown(), {}), file)
    assert list(drawn.panels) == [panel["title"] for panel in panels(board)]
    assert drawn.empty == []
    assert file.stat().st_size < LARGEST
    with Image.open(file) as opened:
        picture = opened.convert("RGB")
    assert picture.size == (drawn.width, drawn.height) == (WIDTH, layout(board).height)
    for panel, box in layout(board).places:
        if panel["type"] != "row":
            inner = box.inside(left=4, top=30, right=4, bottom=4)
            part = picture.crop((int(inner.x), int(inner.y), int(inner.x + inner.width), int(inner.y + inner.height)))
            assert len(part.getcolors() or range(256)) > 4, panel["title"]


def test_a_pool_that_is_not_has_no_data(prometheus: Prometheus, tmp_path: Path) -> None:
    board = BOARDS["pool"]
    none = {"pool": "no-such-pool"}
    drawn = draw(board, answers(Asked(prometheus.url), board, shown(), none), tmp_path / "picture.png")
    others = {each.panel for each in queries(board, **none) if "vector(0)" in each.expression}
    assert set(drawn.empty) == set(drawn.panels) - others
    assert (drawn.width, drawn.height) == layout(board)[1:]


def test_all_four_by_the_command(
    prometheus: Prometheus, tmp_path: Path, capsys: pytest.CaptureFixture[str], pool_namespace: str
) -> None:
    folder = tmp_path / "pictures"
    options = ["--minutes", "1", "--scrape-interval", "5", "--choose", f"namespace={pool_namespace}"]
    assert main([prometheus.url, str(folder), *options]) == 0
    assert {file.name for file in folder.iterdir()} == {f"{name}.png" for name in BOARDS}
    assert [line.partition(":")[0] for line in capsys.readouterr().out.splitlines()] == [
        f"{name}.png" for name in BOARDS
    ]


def test_what_prometheus_does_not_take_is_said_in_its_words(prometheus: Prometheus) -> None:
    with pytest.raises(AskingError, match="parse error"):
        Asked(prometheus.url).at("sum(", time.time())
