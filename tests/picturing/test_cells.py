"""Tables as Grafana puts them together, and the words and colours of values."""

import json
import math
from typing import Any

import pytest
from dashboards.panels import BAD, FAIR, GOOD, Line, listing, number
from dashboards.picture.cells import Cell, Column, columns, merged
from dashboards.picture.looks import Look, look, words
from dashboards.picture.series import Series
from grafana_foundation_sdk.cog.encoder import JSONEncoder


def as_json(panel: Any) -> dict[str, Any]:
    return json.loads(JSONEncoder().encode(panel.build()))


def now(value: float, **labels: str) -> Series:
    return Series(labels, ((0.0, float(value)),))


@pytest.mark.parametrize(
    ("frames", "rows"),
    [
        ([], []),
        ([[], [{"a": "x", "v": 1.0}]], [{"a": "x", "v": 1.0}]),
        ([[{"a": "x", "v": 1.0}], [{"a": "x", "w": 2.0}]], [{"a": "x", "v": 1.0, "w": 2.0}]),
        (
            [[{"a": "x", "v": 1.0}], [{"a": "y", "w": 2.0}]],
            [{"a": "x", "v": 1.0}, {"a": "y", "w": 2.0}],
        ),
        (
            [[{"a": "x", "v": 1.0}], [{"a": "x", "s": "f", "w": 2.0}, {"a": "x", "s": "g", "w": 3.0}]],
            [{"a": "x", "v": 1.0, "s": "f", "w": 2.0}, {"a": "x", "s": "g", "w": 3.0}],
        ),
    ],
)
def test_rows_of_queries_are_merged(frames: list[list[dict[str, str | float]]], rows: list[Any]) -> None:
    assert merged(frames) == rows


def test_a_table() -> None:
    panel = as_json(
        listing(
            "Each pool",
            "What it means.",
            Line("a", "Ready"),
            Line("b", "Busy"),
            columns=("pool_namespace", "stage"),
            units={"Busy": "percentunit"},
            steps={"Busy": {0.8: FAIR, 0.95: BAD}},
        )
    )
    ready = [now(2, pool_namespace="a"), now(1, pool_namespace="b")]
    busy = [now(0.9, pool_namespace="a", stage="forward"), now(0.1, pool_namespace="b", stage="decode")]
    assert columns(panel, [ready, busy]) == [
        Column("Namespace", [Cell("a", None), Cell("b", None)], False),
        Column("Stage", [Cell("forward", None), Cell("decode", None)], False),
        Column("Ready", [Cell("2", None), Cell("1", None)], True),
        Column("Busy", [Cell("90%", FAIR), Cell("10%", GOOD)], True),
    ]
    assert columns(panel, [[], []]) == []


def test_a_table_without_values() -> None:
    panel = as_json(listing("What is wrong", "What it means.", Line("a", ""), columns=("condition", "reason")))
    assert columns(panel, [[now(0, reason="Full", condition="Ready")]]) == [
        Column("Condition", [Cell("Ready", None)], False),
        Column("Reason", [Cell("Full", None)], False),
    ]


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        (0.005, Look("0.5%", GOOD)),
        (0.01, Look("1%", FAIR)),
        (0.5, Look("50%", BAD)),
        (math.nan, Look("NaN", "text")),
    ],
)
def test_colours_by_thresholds(value: float, seen: Look) -> None:
    panel = as_json(number("Share", "What.", "percentunit", Line("a", "b"), steps={0.01: FAIR, 0.05: BAD}))
    assert look(value, panel["fieldConfig"]["defaults"]) == seen


def test_words_in_place_of_values() -> None:
    panel = as_json(number("State", "What.", "none", Line("a", "b"), words={1: ("ready", GOOD), 0: ("not", BAD)}))
    field = panel["fieldConfig"]["defaults"]
    assert [look(value, field) for value in (1.0, 0.0, 2.0)] == [
        Look("ready", GOOD),
        Look("not", BAD),
        Look("2", "text"),
    ]
    assert words(field) == [Look("ready", GOOD), Look("not", BAD)]
