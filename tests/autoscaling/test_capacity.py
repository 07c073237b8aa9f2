"""Patches a second of a replica, learnt from pods at work."""

from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaling.worlds import pod
from fleet_operator.autoscale import PodLoad
from fleet_operator.autoscale.capacity import CACHED_COST, Capacity, learn
from fleet_operator.autoscale.loads import pool_load


def learnt(steps: Iterable[Sequence[PodLoad]], known: Capacity | None = None) -> Capacity:
    """What is known after steps of 15 seconds."""
    known = known or Capacity()
    now = known.time or 0.0
    for loads in steps:
        now += 15.0
        known = learn(known, pool_load(loads), now)
    return known


def at(load: float, capacity: float = 10_000.0) -> PodLoad:
    return pod(load * capacity, busy=load)


@pytest.mark.parametrize(
    ("loads", "expected"),
    [
        ([], None),
        ([at(0.0)], None),
        ([at(0.1)], None),
        ([pod(0.0, busy=1.0)], None),
        ([pod(5000, busy=1.0, ready=False)], None),
        ([pod(5000, busy=1.0, draining=True)], None),
        ([at(0.3)], 10_000),
        ([at(1.0)], 10_000),
        ([at(1.0), at(0.5), at(0.2)], 10_000),
        # Small and large nodes: a replica more is one of either.
        ([at(0.9, 8_000), at(0.9, 16_000)], 12_000),
        # GPU or CPU: the busier one limits.
        ([pod(6000, busy=0.3, device_busy=0.6)], 10_000),
    ],
)
def test_what_one_look_says(loads: list[PodLoad], expected: float | None) -> None:
    found = learnt([loads]).per_replica
    assert found == (None if expected is None else pytest.approx(expected))


def test_long_videos_that_end_in_lumps_count_as_what_they_are() -> None:
    # A clip of 60,000 patches takes 60 seconds: four windows, in three of them nothing ends.
    steps = [[pod(4000 if n % 4 == 3 else 0, busy=1.0)] for n in range(80)]
    found = learnt(steps).per_replica
    assert found == pytest.approx(1000, rel=0.2)


@pytest.mark.parametrize("cached", [0.0, 0.5, 0.9])
def test_the_cache_changes_the_work_of_a_patch_and_not_the_capacity(cached: float) -> None:
    cost = (1 - cached) + CACHED_COST * cached
    asked = 10_000 * 0.8 / cost
    known = learnt([[pod(asked, busy=0.8, computed=asked * (1 - cached))]] * 40)
    assert known.per_replica == pytest.approx(10_000)
    assert known.work_share == pytest.approx(cost)
    assert known.cached_share == pytest.approx(cached)


def test_idle_pods_teach_nothing_and_nothing_is_forgotten() -> None:
    known = learnt([[at(1.0)]] * 40)
    later = learnt([[at(0.0)]] * 4000, known)
    assert later.per_replica == known.per_replica


def test_after_a_quiet_day_the_first_item_is_no_surprise() -> None:
    known = learnt([[pod(0.0)]] * 6000, learnt([[pod(5000, busy=0.5, computed=0.0)]] * 10))
    assert known.work_share == CACHED_COST
    assert learnt([[at(0.5)]] * 40, known).work_share == pytest.approx(1.0)


def test_saturation_corrects_what_a_quiet_pool_seemed_to_say() -> None:
    # Small batches: half the device's time for a fifth of what it can.
    known = learnt([[pod(2000, busy=0.5)]] * 100)
    assert known.per_replica == pytest.approx(4000)
    assert learnt([[at(1.0)]] * 20, known).per_replica == pytest.approx(10_000, rel=0.1)


def test_a_quieter_pool_hardly_changes_what_saturation_showed() -> None:
    known = learnt([[pod(2000, busy=0.5)]] * 20, learnt([[at(1.0)]] * 40))
    assert known.per_replica == pytest.approx(10_000, rel=0.15)


@pytest.mark.parametrize(("new", "minutes"), [(2_500, 15), (40_000, 150)])
def test_another_mix_of_media_is_learnt(new: float, minutes: int) -> None:
    known = learnt([[at(0.9)]] * 100)
    later = learnt([[at(min(1.0, 9000 / new), new)]] * (minutes * 4), known)
    assert later.per_replica == pytest.approx(new, rel=0.1)


def test_a_second_look_at_the_same_time_teaches_nothing() -> None:
    known = learnt([[at(1.0)]])
    assert known.time is not None
    assert learn(known, pool_load([at(0.5, 500)]), known.time) == known


LOADS = st.lists(
    st.builds(
        lambda offered, served, computed, busy: pod(offered, served=served, computed=computed, busy=busy),
        st.floats(0, 1e9),
        st.floats(0, 1e9),
        st.floats(0, 1e9),
        st.floats(0, 1),
    ),
    max_size=4,
)


@given(st.lists(LOADS, max_size=20))
def test_whatever_pods_say_it_stays_a_number(steps: list[list[PodLoad]]) -> None:
    known = learnt(steps)
    assert known.per_replica is None or 1 <= known.per_replica < float("inf")
    assert CACHED_COST <= known.work_share <= 1
    assert 0 <= known.cached_share <= 1


@given(st.lists(st.lists(st.floats(0.25, 1), min_size=1, max_size=4), min_size=1, max_size=20), st.floats(10, 1e6))
def test_pods_that_agree_are_believed_however_busy_they_are(steps: list[list[float]], capacity: float) -> None:
    known = learnt([at(load, capacity) for load in loads] for loads in steps)
    assert known.per_replica == pytest.approx(capacity)
