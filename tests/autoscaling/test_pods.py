"""Which pods go first."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaling.worlds import pod
from fleet_operator.autoscale import PodLoad, deletion_costs


@pytest.mark.parametrize(
    ("load", "before", "cost"),
    [
        (pod(busy=0.0), None, 0),
        (pod(busy=0.6), None, 50),
        (pod(busy=1.0), None, 100),
        (pod(busy=0.0, device_busy=0.9), None, 100),
        (pod(busy=1.0, draining=True), 100, -100),
        (pod(busy=1.0, ready=False), None, -100),
        (None, None, 0),
        (None, 75, 75),
        (pod(busy=0.7), 50, 50),
        (pod(busy=0.3), 50, 50),
        (pod(busy=0.8), 50, 75),
        (pod(busy=0.2), 50, 25),
        (pod(busy=0.0), -100, 0),
    ],
)
def test_cost_of_a_pod(load: PodLoad | None, before: int | None, cost: int) -> None:
    assert deletion_costs({"a": load}, {} if before is None else {"a": before}) == {"a": cost}


def test_pods_that_are_gone_have_no_cost() -> None:
    assert deletion_costs({}, {"a": 50}) == {}


@given(st.floats(0, 1), st.lists(st.floats(-0.1, 0.1), max_size=20))
def test_small_changes_write_at_most_once(busy: float, noise: list[float]) -> None:
    costs, writes = deletion_costs({"a": pod(busy=busy)}, {}), 0
    for change in noise:
        now = deletion_costs({"a": pod(busy=min(1.0, max(0.0, busy + change)))}, costs)
        writes += now != costs
        costs = now
    assert writes <= 1


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_clearly_idler_pod_goes_first(one: float, other: float) -> None:
    costs = deletion_costs({"one": pod(busy=one), "other": pod(busy=other)}, {})
    if one <= other:
        assert costs["one"] <= costs["other"]
    if one + 0.3 < other:
        assert costs["one"] < costs["other"]
