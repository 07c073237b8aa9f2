"""Of which variables a value is chosen, and which."""

import json
from typing import Any

import pytest
from dashboards.__main__ import FOLDER
from dashboards.picture.variables import Choice, choices, first, shown

BOARDS: dict[str, dict[str, Any]] = {file.stem: json.loads(file.read_text()) for file in FOLDER.glob("*.json")}


@pytest.mark.parametrize(
    ("name", "chosen"),
    [
        ("fleet", []),
        ("pool", ["pool"]),
        ("encoder", ["pool", "replica"]),
        ("operator", []),
    ],
)
def test_variables_of_which_one_value_is_chosen(name: str, chosen: list[str]) -> None:
    assert [each.name for each in choices(BOARDS[name])] == chosen


def test_one_narrows_the_next() -> None:
    choice = Choice("replica", 'encoder_ready{namespace=~"$namespace", pool=~"$pool"}', "pod")
    assert choice.asked({"pool": "vision"}) == 'encoder_ready{namespace=~".*", pool=~"vision"}'


@pytest.mark.parametrize(
    ("values", "value"),
    [([], ""), (["b", "a"], "a"), (["pod-10", "pod-9"], "pod-9"), (["pod-1-2", "pod-1"], "pod-1")],
)
def test_the_first_is_taken(values: list[str], value: str) -> None:
    assert first(values) == value


def test_what_stands_at_the_top() -> None:
    assert shown(BOARDS["fleet"], {}) == [("Namespace", "All"), ("Pool", "All")]
    chosen = {"pool": "vision", "replica": "vision-0"}
    assert shown(BOARDS["encoder"], chosen) == [("Namespace", "All"), ("Pool", "vision"), ("Replica", "vision-0")]


def test_another_kind_of_query_is_refused() -> None:
    variable = {"name": "pool", "type": "query", "query": {"query": "metrics(.*)"}}
    with pytest.raises(ValueError, match=r"metrics\(\.\*\)"):
        choices({"templating": {"list": [variable]}})
