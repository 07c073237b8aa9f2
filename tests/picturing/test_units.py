"""Numbers as Grafana writes them, and round ones beside a graph."""

import json

import pytest
from dashboards.__main__ import FOLDER
from dashboards.picture.units import UNITS, ticks, written
from dashboards.queries import panels


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0, "none", "0"),
        (2.0, "none", "2"),
        (1234.0, "none", "1234"),
        (-1.5, "none", "-1.5"),
        (0.0526, "short", "0.0526"),
        (999.4, "short", "999"),
        (1500, "short", "1.5 K"),
        (2_345_678, "short", "2.35 Mil"),
        (0, "percentunit", "0%"),
        (0.005, "percentunit", "0.5%"),
        (0.5666, "percentunit", "56.7%"),
        (1, "percentunit", "100%"),
        (0, "bytes", "0 B"),
        (1023, "bytes", "1023 B"),
        (1536, "bytes", "1.5 KiB"),
        (2**30, "bytes", "1 GiB"),
        (917_000, "Bps", "917 kB/s"),
        (0.105, "ops", "0.105 ops/s"),
        (1200, "reqps", "1.2K req/s"),
        (0, "s", "0 s"),
        (0.0000005, "s", "500 ns"),
        (0.00099, "s", "990 µs"),
        (0.25, "s", "250 ms"),
        (29.31, "s", "29.3 s"),
        (90, "s", "1.5 mins"),
        (7200, "s", "2 hours"),
        (3 * 86400, "s", "3 days"),
    ],
)
def test_numbers(value: float, unit: str, text: str) -> None:
    assert written(value, unit) == text


@pytest.mark.parametrize(
    ("low", "high", "unit", "made"),
    [
        (0, 1, "percentunit", [0, 0.25, 0.5, 0.75, 1]),
        (0, 7540, "short", [0, 2000, 4000, 6000, 8000]),
        (-1, 8, "none", [-2.5, 0, 2.5, 5, 7.5, 10]),
        (0, 0.105, "ops", [0, 0.05, 0.1, 0.15]),
        (0, 1.4 * 2**30, "bytes", [0, 2**29, 2**30, 3 * 2**29]),
        (0, 630, "s", [0, 300, 600, 900]),
        (0, 0.098, "s", [0, 0.025, 0.05, 0.075, 0.1]),
    ],
)
def test_ticks(low: float, high: float, unit: str, made: list[float]) -> None:
    assert ticks(low, high, unit, 4) == pytest.approx(made)


def test_all_units_of_the_dashboards_are_known() -> None:
    boards = [json.loads(file.read_text()) for file in FOLDER.glob("*.json")]
    assert boards
    for panel in (panel for board in boards for panel in panels(board)):
        overridden = [
            each["value"]
            for override in panel["fieldConfig"].get("overrides") or ()
            for each in override["properties"]
            if each["id"] == "unit"
        ]
        assert {panel["fieldConfig"]["defaults"]["unit"], *overridden} <= UNITS
