"""Load and capacity -> how many replicas are right."""

from collections.abc import Sequence
from math import ceil
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from autoscaling.worlds import autoscaling, pod
from fleet_operator.autoscale import PodLoad
from fleet_operator.autoscale.capacity import Capacity, Recent
from fleet_operator.autoscale.decide import Recommendation, recommend
from fleet_operator.autoscale.loads import pool_load

KNOWN = Capacity(per_replica=8_000.0, strength=1.0, recent=Recent(1, 1, 8_000, 8_000), time=0.0)
UNKNOWN = Capacity()


def recommended(
    loads: Sequence[PodLoad],
    *,
    current: int | None = None,
    ready: int | None = None,
    capacity: Capacity = KNOWN,
    answered: int | None = None,
    silent: float = 0.0,
    **spec: Any,
) -> Recommendation:
    """For a pool whose replicas are all ready and seen, where nothing else is said."""
    current = len(loads) if current is None else current
    return recommend(
        autoscaling(**spec),
        current=current,
        ready=current if ready is None else ready,
        load=pool_load(loads),
        capacity=capacity,
        answered=len(loads) if answered is None else answered,
        silent_seconds=silent,
    )


def pods(count: int, demand: float, **fields: Any) -> list[PodLoad]:
    """`count` pods that share `demand`."""
    return [pod(demand / count, **{"busy": 0.5, **fields})] * count


@pytest.mark.parametrize(
    ("current", "demand", "expected"),
    [
        (2, 14_200, 3),
        (2, 12_000, 2),
        (2, 24_000, 4),
        (2, 24_001, 5),
        (2, 6_000, 1),
        (4, 0, 1),
        (10, 600_000, 100),
        # Within 10 percent of what there is.
        (10, 65_900, 10),
        (10, 66_100, 12),
        (10, 54_100, 10),
        (10, 53_900, 9),
        (2, 13_100, 2),
        (1, 6_500, 1),
    ],
)
def test_replicas_for_the_demand(current: int, demand: float, expected: int) -> None:
    assert recommended(pods(current, demand)).replicas == expected


@pytest.mark.parametrize(
    ("loads", "fields", "reason"),
    [
        (pods(2, 14_200), {}, "14k patches/s asked for, 2 replicas do 12k at 75 %: 3 needed"),
        (pods(1, 6_500), {}, "6.5k patches/s asked for, 1 replica does 6k at 75 %: 2 needed, 1 is within 10 %"),
        (
            pods(2, 90_000, pending=58_000),
            {"maxReplicas": 10},
            "90k patches/s asked for (100k waiting), 2 replicas do 12k at 75 %: 17 needed; maxReplicas is 10",
        ),
        (
            pods(3, 0, busy=0.0),
            {"minReplicas": 2},
            "0 patches/s asked for (nearly idle), 3 replicas do 18k at 75 %: 0 needed; minReplicas is 2",
        ),
        (
            pods(2, 2_000),
            {"current": 4},
            "2k patches/s asked for, 2 replicas do 12k at 75 %: 3 needed with 2 not seen, taken to be at the target",
        ),
        (
            pods(2, 15_000),
            {"current": 4},
            "15k patches/s asked for, 2 replicas do 12k at 75 %: 3 needed with 2 not seen, taken to be idle, 4 kept",
        ),
        (
            pods(2, 30_000),
            {"capacity": Capacity(8_000, 1, Recent(2, 2, 4_000, 10_000), 0)},
            "30k patches/s asked for (60 % of them cached), 2 replicas do 28k at 75 %: 3 needed, 2 is within 10 %",
        ),
        ([], {"current": 3}, "no replica tells its load: 3 held"),
        ([], {"current": 0}, "the pool has 0 replicas: set spec.replicas to scale it by load"),
        (
            pods(2, 100, busy=0.05),
            {"capacity": UNKNOWN},
            "what a replica can encode is not known yet; 2 replicas 5 % busy: 1 needed",
        ),
    ],
)
def test_the_reason_says_the_arithmetic(loads: list[PodLoad], fields: dict[str, Any], reason: str) -> None:
    assert recommended(loads, **fields).reason == reason


def test_saturated_replicas_still_tell_how_much_is_missing() -> None:
    full = {"busy": 1.0, "served": 8_000.0, "computed": 8_000.0}
    assert recommended(pods(2, 1.5 * 16_000, **full)).replicas == 4
    assert recommended(pods(2, 3.0 * 16_000, **full)).replicas == 8


@pytest.mark.parametrize(
    ("pending", "seconds", "expected"),
    [
        (16_000, 10, 2),  # the work of one second waits always
        (76_000, 10, 3),
        (76_000, 60, 2),
        (316_000, 10, 7),
    ],
)
def test_what_waits_is_done_within_the_time_for_it(pending: float, seconds: int, expected: int) -> None:
    loads = pods(2, 12_000, pending=pending / 2)
    assert recommended(loads, targets={"backlogSeconds": seconds}).replicas == expected


@pytest.mark.parametrize(
    ("seen", "current", "ready", "demand", "expected"),
    [
        # Downwards a pod without a sample has the load of the target.
        (3, 4, 4, 6_000, 2),
        (2, 4, 4, 11_000, 4),
        # Upwards it has none.
        (2, 4, 4, 18_000, 4),
        (2, 4, 4, 36_000, 6),
        # Pods that start are on their way upwards, and not waited for downwards.
        (2, 4, 2, 18_000, 4),
        (2, 4, 2, 36_000, 6),
        (2, 4, 2, 6_000, 1),
    ],
)
def test_pods_without_a_sample_are_taken_carefully(
    seen: int, current: int, ready: int, demand: float, expected: int
) -> None:
    assert recommended(pods(seen, demand), current=current, ready=ready).replicas == expected


@pytest.mark.parametrize(
    ("silent", "replicas", "expected", "basis"),
    [
        (0, 8, 3, "hold"),
        (299, 8, 3, "hold"),
        (300, 8, 8, "fallback"),
        (300, 2, 3, "fallback"),
        (300, 200, 100, "fallback"),
        (1e9, None, 3, "hold"),
    ],
)
def test_a_silent_pool_is_held_and_then_falls_back(
    silent: float, replicas: int | None, expected: int, basis: str
) -> None:
    found = recommended([], current=3, silent=silent, fallback={"afterSeconds": 300, "replicas": replicas})
    assert (found.replicas, found.basis) == (expected, basis)


@pytest.mark.parametrize("loads", [[], pods(2, 0, ready=False), pods(2, 0, draining=True)])
def test_replicas_that_answer_and_are_not_ready_are_not_silent(loads: list[PodLoad]) -> None:
    """A model that is being loaded, and a first reading."""
    found = recommended(loads, current=3, answered=2, silent=0.0, fallback={"afterSeconds": 0, "replicas": 8})
    assert (found.replicas, found.basis) == (3, "hold")
    assert found.reason == "no ready replica has told its load yet: 3 held"


@pytest.mark.parametrize(
    ("loads", "current", "ready", "expected", "basis"),
    [
        (pods(2, 5_000, busy=0.5, computed=0.0), 2, 2, 2, "hold"),
        # Full, and work waits or is refused: one more, and then one more.
        (pods(2, 5_000, busy=1.0, computed=0.0, pending=9_000), 2, 2, 3, "load"),
        (pods(2, 5_000, busy=1.0, computed=0.0, pending=9_000), 3, 2, 3, "hold"),
        (pods(2, 5_000, busy=1.0, computed=0.0, served=0.0), 2, 2, 3, "load"),
        (pods(2, 0, busy=1.0), 2, 2, 2, "hold"),
        # Nearly idle: what is sure to be enough.
        (pods(10, 900, busy=0.1), 10, 10, 3, "load"),
        (pods(8, 900, busy=0.1), 10, 10, 5, "load"),
        (pods(1, 0, busy=0.0), 1, 1, 1, "load"),
    ],
)
def test_unknown_capacity(loads: list[PodLoad], current: int, ready: int, expected: int, basis: str) -> None:
    found = recommended(loads, current=current, ready=ready, capacity=UNKNOWN)
    assert (found.replicas, found.basis) == (expected, basis)


def test_refused_work_that_keeps_nobody_busy_adds_nothing() -> None:
    # Such as items of a modality that the model does not have.
    assert recommended(pods(4, 1e6, served=0.0, computed=0.0, busy=0.0)).replicas <= 4


def test_what_the_cache_answers_needs_no_replicas() -> None:
    half = Capacity(8_000, 1, Recent(1, 1, 4_000, 8_000), 0)
    assert recommended(pods(2, 30_000)).replicas == 5
    assert recommended(pods(2, 30_000), capacity=half).replicas == 3


@pytest.mark.parametrize(
    ("cpu", "device", "expected"), [(0.1, 0.1, ""), (0.9, 0.0, "cpu"), (0.9, 0.5, "cpu"), (0.3, 0.9, "device")]
)
def test_the_bottleneck_is_the_busier_resource(cpu: float, device: float, expected: str) -> None:
    assert recommended(pods(2, 9_000, busy=cpu, device_busy=device)).bottleneck == expected
    assert recommended([]).bottleneck == ""


@pytest.mark.parametrize("fields", [{}, {"capacity": UNKNOWN}, {"silent": 1e9, "fallback": {"replicas": 9}}])
def test_a_pool_without_replicas_is_left_alone(fields: dict[str, Any]) -> None:
    found = recommended([], current=0, **fields)
    assert (found.replicas, found.basis) == (0, "disabled")


BOUNDS = st.tuples(st.integers(1, 200), st.integers(1, 200)).map(sorted)
FLOWS = st.floats(0, 1e9)
PODS = st.builds(
    pod,
    FLOWS,
    busy=st.floats(0, 1),
    served=FLOWS,
    pending=FLOWS,
    device_busy=st.floats(0, 1),
    ready=st.booleans(),
    draining=st.booleans(),
)
CAPACITIES = st.none() | st.floats(1, 1e9)


@given(st.lists(PODS, max_size=6), st.integers(1, 300), st.integers(0, 300), CAPACITIES, BOUNDS, st.floats(0, 1e6))
def test_the_bounds_hold_whatever_is_seen(
    loads: list[PodLoad], current: int, ready: int, capacity: float | None, bounds: list[int], silent: float
) -> None:
    found = recommended(
        loads,
        current=current,
        ready=ready,
        capacity=Capacity(capacity),
        silent=silent,
        minReplicas=bounds[0],
        maxReplicas=bounds[1],
        fallback={"replicas": 50},
    )
    assert bounds[0] <= found.replicas <= bounds[1]
    assert found.reason
    assert "\n" not in found.reason
    assert len(found.reason) <= 1024


@given(
    st.integers(1, 50),
    st.integers(0, 10),
    st.integers(0, 10),
    st.floats(0, 1),
    st.floats(100, 1e5),
    st.tuples(FLOWS, FLOWS).map(sorted),
    st.tuples(FLOWS, FLOWS).map(sorted),
)
def test_more_demand_never_asks_for_fewer(
    seen: int, missing: int, starting: int, busy: float, capacity: float, demand: list[float], pending: list[float]
) -> None:
    less, more = (
        recommended(
            pods(seen, demand[n], pending=pending[n], busy=busy),
            current=seen + missing + starting,
            ready=seen + missing,
            capacity=Capacity(capacity),
        ).replicas
        for n in (0, 1)
    )
    assert less <= more


@given(st.integers(1, 90), st.floats(0.0, 90.0))
def test_without_a_backlog_it_is_the_arithmetic(current: int, needed: float) -> None:
    assume(abs(needed / current - 1) > 0.101)
    assume(abs(needed - round(needed)) > 1e-6)
    found = recommended(pods(current, needed * 6_000)).replicas
    assert found == max(1, ceil(needed))


@given(st.integers(1, 40), st.integers(0, 20), st.floats(0, 1e6))
def test_pods_that_are_missed_never_turn_the_direction(seen: int, missing: int, demand: float) -> None:
    loads = pods(seen, demand)
    known = recommended(loads).replicas - seen
    found = recommended(loads, current=seen + missing).replicas - (seen + missing)
    assert found * known >= 0
    assert abs(found) <= abs(known) + 1
