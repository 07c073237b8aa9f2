"""How fast replicas follow, as a HorizontalPodAutoscaler's `behavior` has it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_operator.api.scaling import ScalingBehavior
from fleet_operator.autoscale.behavior import At, History, Step, follow


def behavior(up: dict[str, Any] | None = None, down: dict[str, Any] | None = None) -> ScalingBehavior:
    return ScalingBehavior.model_validate({"scaleUp": up or {}, "scaleDown": down or {}})


def policies(*each: tuple[str, int, int], select: str = "Max", window: int = 0) -> dict[str, Any]:
    return {
        "stabilizationWindowSeconds": window,
        "selectPolicy": select,
        "policies": [{"type": kind, "value": value, "periodSeconds": seconds} for kind, value, seconds in each],
    }


def next_step(
    rules: ScalingBehavior, current: int, recommended: int, changes: tuple[tuple[float, int], ...] = ()
) -> int:
    """At time 1000, after `changes` at times, no recommendations before."""
    history = History((At(0.0, recommended),), tuple(At(*each) for each in changes))
    return follow(rules, history, current=current, recommended=recommended, now=1000.0)[1].replicas


@pytest.mark.parametrize(
    ("current", "recommended", "changes", "expected"),
    [
        # Four pods or twice as many in 15 seconds, whichever is more.
        (1, 100, (), 5),
        (4, 100, (), 8),
        (5, 100, (), 10),
        (50, 60, (), 60),
        # Of what there was 15 seconds ago.
        (5, 100, ((995, 4),), 5),
        (5, 100, ((985, 4),), 10),
        (8, 100, ((999, 4),), 8),
        (20, 100, ((999, 2),), 36),
        # What was removed within the period may come back on top.
        (4, 100, ((999, -6),), 20),
        # Downwards all may go at once.
        (50, 1, (), 1),
        (50, 1, ((999, -50),), 1),
    ],
)
def test_where_nothing_is_said(
    current: int, recommended: int, changes: tuple[tuple[float, int], ...], expected: int
) -> None:
    assert next_step(behavior(down={"stabilizationWindowSeconds": 0}), current, recommended, changes) == expected


@pytest.mark.parametrize(
    ("rules", "current", "expected"),
    [
        (policies(("Pods", 2, 60)), 10, 12),
        (policies(("Percent", 10, 60)), 10, 11),
        (policies(("Percent", 10, 60)), 100, 110),
        (policies(("Percent", 10, 60)), 11, 13),
        (policies(("Percent", 1, 60)), 1, 2),
        (policies(("Pods", 2, 60), ("Percent", 50, 60)), 10, 15),
        (policies(("Pods", 2, 60), ("Percent", 50, 60), select="Min"), 10, 12),
        (policies(("Pods", 2, 60), select="Disabled"), 10, 10),
        ({"selectPolicy": "Min"}, 1, 2),
        ({"selectPolicy": "Min"}, 10, 14),
    ],
)
def test_policies_upwards(rules: dict[str, Any], current: int, expected: int) -> None:
    assert next_step(behavior(up=rules), current, 1000) == expected


@pytest.mark.parametrize(
    ("rules", "current", "expected"),
    [
        (policies(("Pods", 2, 60)), 10, 8),
        (policies(("Percent", 10, 60)), 10, 9),
        (policies(("Percent", 10, 60)), 11, 9),
        (policies(("Percent", 1, 60)), 2, 1),
        (policies(("Pods", 2, 60), ("Percent", 50, 60)), 10, 5),
        (policies(("Pods", 2, 60), ("Percent", 50, 60), select="Min"), 10, 8),
        (policies(("Pods", 2, 60), select="Disabled"), 10, 10),
        (policies(("Pods", 20, 60)), 10, 1),
    ],
)
def test_policies_downwards(rules: dict[str, Any], current: int, expected: int) -> None:
    assert next_step(behavior(down=rules), current, 1) == expected


@pytest.mark.parametrize(
    ("changes", "up", "down"),
    [
        ((), 12, 8),
        (((970, 2),), 10, 6),
        (((940, 2),), 12, 8),
        (((970, 1), (990, 1)), 10, 6),
        (((930, 1), (990, 1)), 11, 7),
        (((970, -2),), 14, 10),
        (((970, 2), (980, -1)), 11, 7),
        # Removed by hand in between: no limit is on the wrong side.
        (((970, 90),), 10, 1),
        (((970, -90),), 30, 10),
    ],
)
def test_a_period_looks_back_on_what_was_done(changes: tuple[tuple[float, int], ...], up: int, down: int) -> None:
    rules = behavior(policies(("Pods", 2, 60)), policies(("Pods", 2, 60)))
    assert next_step(rules, 10, 30, changes) == up
    assert next_step(rules, 10, 1, changes) == down


@pytest.mark.parametrize(
    ("before", "current", "recommended", "expected"),
    [
        # Downwards: the highest of the last 300 seconds.
        (((701, 9), (900, 3)), 10, 2, 9),
        (((700, 9), (900, 3)), 10, 2, 3),
        (((701, 20),), 10, 2, 10),
        (((701, 1),), 10, 2, 2),
        # Upwards: the lowest of the last 60 seconds.
        (((941, 12), (950, 14)), 10, 20, 12),
        (((940, 12), (950, 14)), 10, 20, 14),
        (((941, 5),), 10, 20, 10),
        (((941, 50),), 10, 20, 20),
        # Between the two: as it is.
        (((950, 5), (960, 20)), 10, 12, 10),
        (((950, 5), (960, 20)), 10, 8, 10),
    ],
)
def test_windows(before: tuple[tuple[float, int], ...], current: int, recommended: int, expected: int) -> None:
    history = History(tuple(At(*each) for each in before))
    rules = behavior(policies(("Pods", 100, 1), window=60))
    _, found = follow(rules, history, current=current, recommended=recommended, now=1000.0)
    assert found.replicas == expected
    assert bool(found.held_by) == (expected != recommended)


def test_who_starts_anew_takes_nothing_away_for_a_whole_window() -> None:
    history, now, found = History(), 0.0, Step(10, "")
    while now < 300:
        history, found = follow(behavior(), history, current=10, recommended=1, now=now)
        assert found == Step(10, "the highest of the last 300 s counts")
        now += 15
    assert follow(behavior(), history, current=10, recommended=1, now=now)[1] == Step(1, "")


def test_who_starts_anew_adds_at_once_where_no_window_is_set() -> None:
    assert follow(behavior(), History(), current=10, recommended=15, now=0.0)[1] == Step(15, "")


def test_what_no_window_needs_is_forgotten() -> None:
    history = History()
    for n in range(10_000):
        history = history.changed(15.0 * n, 1, 2)
        history, _ = follow(behavior(), history, current=2, recommended=2, now=15.0 * n)
    assert len(history.recommendations) <= 300 / 15 + 1
    assert len(history.changes) <= 1800 / 15 + 1


KINDS = st.sampled_from(["Pods", "Percent"])
ONE_POLICY = st.tuples(KINDS, st.integers(1, 150), st.integers(1, 120))
RULES = st.builds(
    lambda each, select, window: policies(*each, select=select, window=window),
    st.lists(ONE_POLICY, max_size=3),
    st.sampled_from(["Max", "Min", "Disabled"]),
    st.integers(0, 120),
)
WALK = st.lists(st.tuples(st.integers(1, 60), st.integers(1, 500)), min_size=1, max_size=30)


def walked(rules: ScalingBehavior, current: int, walk: list[tuple[int, int]]) -> list[tuple[float, int, int]]:
    """(time, replicas before, replicas after) of each recommendation, made at its distance to the last."""
    history, now, steps = History(), 0.0, []
    for seconds, recommended in walk:
        now += seconds
        history, found = follow(rules, history, current=current, recommended=recommended, now=now)
        if found.replicas != current:
            history = history.changed(now, current, found.replicas)
        steps.append((now, current, found.replicas))
        current = found.replicas
    return steps


@given(RULES, RULES, st.integers(1, 500), WALK)
def test_a_step_lies_between_what_is_and_what_was_recommended_within_the_windows(
    up: dict[str, Any], down: dict[str, Any], current: int, walk: list[tuple[int, int]]
) -> None:
    for (_, before, after), (_, recommended) in zip(walked(behavior(up, down), current, walk), walk, strict=True):
        assert min(before, recommended) <= after <= max(before, recommended)


@given(ONE_POLICY, ONE_POLICY, st.integers(1, 500), WALK)
def test_no_period_sees_more_change_than_its_policy_allows(
    up: tuple[str, int, int], down: tuple[str, int, int], current: int, walk: list[tuple[int, int]]
) -> None:
    steps = walked(behavior(policies(up), policies(down)), current, walk)

    def replicas_at(time: float) -> int:
        return ([current] + [after for when, _, after in steps if when <= time])[-1]

    for now, before, after in steps:
        kind, value, seconds = up if after > before else down
        start = replicas_at(now - seconds)
        share = value if kind == "Pods" else start * value / 100
        if after > before:
            assert after < start + share + 1
        if after < before:
            assert after > start - share - 1


@given(RULES, RULES, st.integers(1, 500), st.integers(1, 500))
def test_a_steady_recommendation_is_reached_and_kept(
    up: dict[str, Any], down: dict[str, Any], current: int, recommended: int
) -> None:
    steps = walked(behavior(up, down), current, [(121, recommended)] * 600)
    disabled = (up if recommended > current else down)["selectPolicy"] == "Disabled"
    assert steps[-1][2] == (current if disabled else recommended)
    towards = [abs(after - recommended) for _, _, after in steps]
    assert towards == sorted(towards, reverse=True)
