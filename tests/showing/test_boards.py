"""The dashboards' files are those that the Python makes, and each panel says what it means."""

import json
from pathlib import Path
from typing import Any

import pytest
from dashboards.__main__ import FOLDER, files
from dashboards.board import NAMES
from dashboards.queries import panels, queries, substituted

MADE = files()
BOARDS: dict[str, dict[str, Any]] = {name: json.loads(text) for name, text in MADE.items()}
PANELS = [(name, panel) for name, board in BOARDS.items() for panel in panels(board)]
IDS = [f"{Path(name).stem}: {panel['title']}" for name, panel in PANELS]


def test_the_charts_files_are_as_made() -> None:
    assert {file.name: file.read_text() for file in FOLDER.glob("*")} == MADE, "make dashboards"


@pytest.mark.parametrize(("name", "panel"), PANELS, ids=IDS)
def test_a_panel_says_what_it_means(name: str, panel: dict[str, Any]) -> None:
    assert len(panel["description"].split()) >= 8
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["targets"]
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


@pytest.mark.parametrize(("name", "panel"), PANELS, ids=IDS)
def test_a_panels_series_have_names(name: str, panel: dict[str, Any]) -> None:
    if panel["type"] == "table":
        return  # rows have labels, and columns are named by their queries
    legends = [target["legendFormat"] for target in panel["targets"]]
    assert all(legends)
    assert len(set(legends)) == len(legends)


@pytest.mark.parametrize("name", BOARDS)
def test_a_dashboard_can_be_found_and_left(name: str) -> None:
    board = BOARDS[name]
    numbers = [panel["id"] for panel in board["panels"]]
    assert len(set(numbers)) == len(numbers)
    titles = [panel["title"] for panel in panels(board)]
    assert len(set(titles)) == len(titles)
    others = {f"/d/{each.uid}" for each in NAMES if each.uid != board["uid"]}
    assert {link["url"] for link in board["links"]} == others
    assert all(link["includeVars"] and link["keepTime"] for link in board["links"])


def test_addresses_stay_as_they_were() -> None:
    """People have them in their bookmarks, and alerts lead there."""
    assert [board["uid"] for board in BOARDS.values()] == [
        "encoderfleet-fleet",
        "encoderfleet-pool",
        "encoderfleet-encoder",
        "encoderfleet-operator",
    ]


def test_all_have_the_same_variables_so_that_links_carry_them() -> None:
    names = {tuple(each["name"] for each in board["templating"]["list"]) for board in BOARDS.values()}
    assert names == {("datasource", "namespace", "pool", "replica")}


@pytest.mark.parametrize("name", BOARDS)
def test_no_panel_overlaps_another(name: str) -> None:
    cells = [
        (x, y)
        for panel in BOARDS[name]["panels"]
        for place in [panel["gridPos"]]
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) == 23


@pytest.mark.parametrize("name", BOARDS)
def test_queries_have_no_variable_left(name: str) -> None:
    asked = queries(BOARDS[name])
    assert asked
    assert [each.expression for each in asked if "$" in each.expression.replace('"$1"', "")] == []


@pytest.mark.parametrize(
    ("expression", "chosen", "made"),
    [
        ('a{pool=~"$pool"}', {}, 'a{pool=~".*"}'),
        ('a{pool=~"$pool"}', {"pool": "vision"}, 'a{pool=~"vision"}'),
        ("rate(a[$__rate_interval])", {}, "rate(a[1m])"),
        ("rate(a[$__rate_interval])", {"__rate_interval": "5m"}, "rate(a[5m])"),
        ('label_replace(a, "b", "$1", "c", "(.*)")', {}, 'label_replace(a, "b", "$1", "c", "(.*)")'),
    ],
)
def test_values_take_the_place_of_variables(expression: str, chosen: dict[str, str], made: str) -> None:
    assert substituted(expression, **chosen) == made
