"""Series on one grid of times, their names, their sums in a legend, and stretches of equal values."""

import math
from typing import Any

import pytest
from dashboards.picture.lines import Line, axis, by_most, lines, on_grid, stacked
from dashboards.picture.names import named
from dashboards.picture.series import Series
from dashboards.picture.spans import Span, spans

TIMES = [0, 15, 30, 45]
NAN = math.nan


def line(*values: float, number: int = 0) -> Line:
    numbers = [each for each in values if math.isfinite(each)]
    return Line(f"line {number}", list(values), numbers[-1], max(numbers), number)


def panel(unit: str = "none", *, stack: bool = False, **field: Any) -> dict[str, Any]:
    custom = {"stacking": {"mode": "normal"}} if stack else {}
    return {"fieldConfig": {"defaults": {"unit": unit, "custom": custom, **field}}}


@pytest.mark.parametrize(
    ("legend", "labels", "name"),
    [
        ("asked for", {"pod": "a"}, "asked for"),
        ("{{modality}} p99", {"modality": "video"}, "video p99"),
        ("{{namespace}}/{{ pool }}", {"namespace": "a", "pool": "b"}, "a/b"),
        ("{{verb}} {{kind}}", {"verb": "list"}, "list"),
    ],
)
def test_names(legend: str, labels: dict[str, str], name: str) -> None:
    assert named(legend, labels) == name


def test_values_on_the_grid() -> None:
    series = Series({}, ((0.0, 1.0), (30.0, math.inf), (45.0, 4.0)))
    assert on_grid(series, TIMES) == pytest.approx([1, NAN, NAN, 4], nan_ok=True)


def test_lines_are_in_the_order_of_queries_and_those_without_numbers_are_left_out() -> None:
    targets = [{"legendFormat": "{{stage}}"}, {"legendFormat": "CPUs"}]
    answers = [
        [
            Series({"stage": "forward"}, ((0.0, 3.0), (15.0, 1.0))),
            Series({"stage": "audio"}, ((0.0, NAN),)),
            Series({"stage": "decode"}, ((30.0, 2.0),)),
        ],
        [Series({}, ((0.0, 8.0),))],
    ]
    found = lines({"targets": targets}, answers, TIMES)
    assert [(each.name, each.last, each.most, each.number) for each in found] == [
        ("decode", 2, 2, 0),
        ("forward", 1, 3, 1),
        ("CPUs", 8, 8, 2),
    ]
    assert [each.name for each in by_most(found)] == ["CPUs", "forward", "decode"]


def test_a_stack_goes_on_where_a_line_has_no_value() -> None:
    (low, middle), (_, high) = stacked([line(1, NAN, 1), line(2, 2, NAN, number=1)])
    assert low == [0, 0, 0]
    assert middle == pytest.approx([1, NAN, 1], nan_ok=True)
    assert high == pytest.approx([3, 2, NAN], nan_ok=True)


@pytest.mark.parametrize(
    ("shown", "found", "ends"),
    [
        (panel(min=0), [line(1, 7)], (0, 8)),
        (panel(min=0), [line(0, 0)], (0, 1)),
        (panel(), [line(-1, 8)], (-2.5, 10)),
        (panel("percentunit", min=0, max=1), [line(0.2, 2.1)], (0, 1)),
        (panel(min=0, stack=True), [line(3, 1), line(3, NAN, number=1)], (0, 6)),
    ],
)
def test_axes(shown: dict[str, Any], found: list[Line], ends: tuple[float, float]) -> None:
    made = axis(shown, found)
    assert (made[0], made[-1]) == ends


def test_spans() -> None:
    result = {"0": {"text": "no", "color": "red", "index": 0}, "1": {"text": "yes", "color": "green", "index": 1}}
    field = {"unit": "none", "mappings": [{"type": "value", "options": result}]}
    assert spans(line(1, 1, NAN, 0, 1), [0, 15, 30, 45, 60], field) == [
        Span(0, 30, "green"),
        Span(45, 60, "red"),
        Span(60, 60, "green"),
    ]
