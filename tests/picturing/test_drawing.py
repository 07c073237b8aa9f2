"""Dashboards drawn from plain answers: none at all, and more than there is room for."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dashboards.__main__ import FOLDER
from dashboards.picture.__main__ import main
from dashboards.picture.answers import Answers
from dashboards.picture.canvas import Canvas, nearest
from dashboards.picture.series import Series
from dashboards.picture.theme import NORMAL, PAGE
from dashboards.picture.whole import draw
from dashboards.picture.window import Window
from dashboards.queries import panels
from PIL import Image
from tests.cluster import ports

BOARDS: dict[str, dict[str, Any]] = {file.stem: json.loads(file.read_text()) for file in sorted(FOLDER.glob("*.json"))}
SHOWN = Window(1_000_000_000, 1_000_000_300, 15, 60)
MANY = 15
"""Of a legend 12 have room, of a table 6."""


def answered(board: dict[str, Any], count: int) -> Answers:
    """`count` series for every query."""
    points = tuple((float(time), float(time % 7)) for time in SHOWN.times)
    series = [Series({"pod": f"encoder-{number}", "kind": f"${number} <b>"}, points) for number in range(count)]
    return Answers({}, SHOWN, {each["title"]: [series for _ in each["targets"]] for each in panels(board)})


@pytest.mark.parametrize("name", BOARDS)
def test_no_data_at_all(name: str, tmp_path: Path) -> None:
    drawn = draw(BOARDS[name], answered(BOARDS[name], 0), tmp_path / "picture.png")
    assert drawn.empty == [each["title"] for each in panels(BOARDS[name])]
    with Image.open(tmp_path / "picture.png") as picture:
        assert picture.size == (drawn.width, drawn.height)
        assert picture.convert("RGB").getpixel((0, 0)) == tuple(bytes.fromhex(PAGE[1:]))


def test_more_than_there_is_room_for(tmp_path: Path) -> None:
    board = BOARDS["pool"]  # it has all kinds of panels
    drawn = draw(board, answered(board, MANY), tmp_path / "picture.png")
    assert drawn.panels == {
        each["title"]: MANY if each["type"] == "table" else MANY * len(each["targets"]) for each in panels(board)
    }


def test_words_are_cut_to_the_room_that_they_have() -> None:
    canvas = Canvas(100, 100)
    room = canvas.width_of("preprocess_im…")
    assert canvas.cut("preprocess_image", NORMAL, room) == "preprocess_im…"
    assert canvas.cut("preprocess", NORMAL, room) == "preprocess"
    assert canvas.fitting("preprocess", (90, 45, 5), 45) == 5


def test_each_pixel_takes_the_nearest_colour() -> None:
    palette = np.array([[0, 0, 0], [255, 120, 10], [242, 204, 12]], np.uint8)
    pixels = np.array([[[1, 1, 1], [250, 125, 10]], [[242, 204, 12], [255, 120, 10]]], np.uint8)
    assert nearest(pixels, palette).tolist() == [[0, 1], [2, 1]]


def test_a_prometheus_that_does_not_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (port,) = ports.free(1)
    url = f"http://127.0.0.1:{port}"
    assert main([url, str(tmp_path)]) == 1
    assert f"{url} does not answer as Prometheus does" in capsys.readouterr().err
