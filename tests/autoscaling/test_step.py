"""Decision after decision, on pools that behave like ones."""

from itertools import pairwise
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaling.worlds import World, autoscaling, pod
from fleet_operator.api.scaling import Autoscaling
from fleet_operator.api.status import Load
from fleet_operator.autoscale import Decision, Observation, State, step


@pytest.mark.parametrize("start_seconds", [0.0, 60.0, 200.0])
@pytest.mark.parametrize(("demand", "needed"), [(4_000, 1), (14_000, 2), (29_000, 4), (148_000, 20)])
@pytest.mark.parametrize("replicas", [1, 5, 40])
def test_a_steady_demand_is_met_and_the_number_stays(
    demand: float, needed: int, replicas: int, start_seconds: float
) -> None:
    world = World(autoscaling(), replicas=replicas, start_seconds=start_seconds)
    world.run_for(demand, 3600)
    assert set(world.run_for(demand, 3600)) == {needed}
    assert world.pending == 0


def test_the_decision_says_what_it_was_made_on() -> None:
    world = World(autoscaling(), replicas=2)
    world.run_for(14_234, 60)
    decision = world.run(14_234)
    assert decision == Decision(
        replicas=2,
        recommended=2,
        bottleneck="cpu",
        reason="14k patches/s asked for, 2 replicas do 15k at 75 %: 2 needed",
        basis="load",
        demand=14_000,
        served=14_000,
        capacity=20_000,
        pending=0,
    )
    Load.model_validate(
        {
            "demandPatchesPerSecond": decision.demand,
            "servedPatchesPerSecond": decision.served,
            "capacityPatchesPerSecond": decision.capacity,
            "pendingPatches": decision.pending,
        }
    )


def test_a_surge_is_met_in_steps_that_behavior_allows() -> None:
    world = World(autoscaling(), replicas=2)
    world.run_for(9_000, 600)
    assert world.run_for(180_000, 45) == [6, 12, 24]


@given(st.floats(1_000, 200_000), st.integers(0, 2**32))
def test_noise_of_five_percent_comes_to_rest(demand: float, seed: int) -> None:
    random = Random(seed)
    world = World(autoscaling())
    numbers = [world.run(demand * random.uniform(0.95, 1.05)).replicas for _ in range(400)]
    changes = [after - before for before, after in pairwise(numbers[240:]) if after != before]
    assert not any(one * other < 0 for one, other in pairwise(changes))


@pytest.mark.parametrize(
    "looks_busy",
    [
        lambda load: load**0.5,  # small batches keep a GPU busy for little
        lambda load: 0.5 * load + 0.5 * load**2,
    ],
)
def test_replicas_that_look_busier_or_idler_than_they_are_still_meet_the_demand(looks_busy: Any) -> None:
    world = World(autoscaling(), looks_busy=looks_busy)
    world.run_for(30_000, 1800)
    assert set(world.run_for(30_000, 7200)) <= {4, 5}
    assert world.pending == 0


@pytest.mark.parametrize("retries", [1.0, 3.0, 20.0])
def test_refused_work_that_is_offered_again_raises_the_number_for_a_while_only(retries: float) -> None:
    world = World(autoscaling(maxReplicas=40), retries=retries, start_seconds=30)
    world.run_for(5_000, 600)
    most = max(world.run_for(60_000, 600))
    assert 8 <= most <= 40
    world.run_for(60_000, 1800)
    assert set(world.run_for(60_000, 600)) == {8}


def test_a_cache_that_goes_cold_is_made_up_for() -> None:
    world = World(autoscaling(), cached=0.8)
    world.run_for(60_000, 1800)
    assert world.replicas <= 3
    world.cached = 0.0
    world.run_for(60_000, 1800)
    assert world.replicas >= 8
    assert world.pending == 0


def test_media_that_become_costlier_and_then_cheaper_again() -> None:
    world = World(autoscaling())
    world.run_for(30_000, 1800)
    assert world.replicas == 4
    world.capacity = 2_500
    world.run_for(30_000, 1800)
    assert world.replicas >= 13
    assert world.pending == 0
    world.capacity = 10_000
    world.run_for(30_000, 4 * 3600)
    assert world.replicas <= 5


@pytest.mark.parametrize("replicas", [1, 7, 30])
@pytest.mark.parametrize("demand", [0.0, 3_000.0, 20_000.0])
def test_an_operator_that_starts_anew_takes_nothing_away_before_a_full_window(replicas: int, demand: float) -> None:
    world = World(autoscaling(), replicas=replicas)
    world.run_for(demand, 3600)
    before, world.state = world.replicas, State()
    assert min(world.run_for(demand, 300)) >= before
    world.replicas, world.state = replicas, State()
    assert min(world.run_for(demand, 300)) >= replicas


def test_an_operator_that_starts_in_a_surge_adds_at_once() -> None:
    world = World(autoscaling(), replicas=2)
    world.run_for(10_000, 600)
    world.state = State()
    assert world.run(60_000).replicas > 2


def test_a_large_pool_of_unknown_capacity_that_is_idle_becomes_small() -> None:
    world = World(autoscaling(), replicas=40)
    world.run_for(500, 1800)
    assert world.replicas == 1


def test_a_silent_pool_is_held_then_falls_back_and_comes_back_slowly() -> None:
    spec = autoscaling(fallback={"afterSeconds": 120, "replicas": 9})
    world = World(spec, replicas=4)
    world.run_for(27_000, 1200)
    silent = [world.run(27_000, unseen=world.replicas) for _ in range(20)]
    assert [each.basis for each in silent] == ["hold"] * 7 + ["fallback"] * 13
    assert [each.replicas for each in silent] == [4] * 7 + [8] + [9] * 12
    assert {(each.demand, each.capacity > 0) for each in silent} == {(0, True)}
    assert set(world.run_for(27_000, 285)) == {9}
    world.run_for(27_000, 60)
    assert world.replicas == 4


def test_a_model_that_is_loaded_for_long_is_no_silence() -> None:
    spec = autoscaling(fallback={"afterSeconds": 120, "replicas": 9})
    loads = {"pod": pod(0, ready=False)}
    state = State()
    for now in range(0, 3600, 15):
        state, decision = step(spec, state, Observation(4, 0, loads, 1), float(now))
        assert (decision.replicas, decision.basis) == (4, "hold")
    # Only from then on nobody answers.
    found = [step(spec, state, Observation(4, 0, {}, 0), 3585.0 + after)[1].basis for after in (15, 119, 120)]
    assert found == ["hold", "hold", "fallback"]


def test_samples_that_come_back_after_long_are_no_reason_to_hurry_down() -> None:
    world = World(autoscaling(), replicas=10)
    for _ in range(100):
        world.run(60_000, unseen=10)
    assert set(world.run_for(5_000, 285)) == {10}


def test_a_pool_that_somebody_set_to_none_is_left_alone_and_starts_afresh() -> None:
    spec = autoscaling(fallback={"afterSeconds": 60, "replicas": 50})
    world = World(spec, replicas=5)
    world.run_for(30_000, 600)
    world.replicas = 0
    decisions = [world.run(30_000) for _ in range(400)]
    assert {(each.replicas, each.basis) for each in decisions} == {(0, "disabled")}
    world.replicas = 3
    assert world.run(0, unseen=3).replicas == 3
    assert set(world.run_for(0, 270)) == {3}


@pytest.mark.parametrize(("replicas", "expected"), [(1, 4), (30, 10)])
def test_bounds_that_were_moved_hold_at_once(replicas: int, expected: int) -> None:
    world = World(autoscaling(minReplicas=4, maxReplicas=10), replicas=replicas)
    decision = world.run(20_000)
    assert decision.replicas == expected
    assert str(expected) in decision.reason


def test_changes_that_were_not_made_use_up_no_policy() -> None:
    rules = {"policies": [{"type": "Pods", "value": 2, "periodSeconds": 600}]}
    spec = autoscaling(behavior={"scaleUp": rules})
    loads = {f"pod-{n}": pod(50_000, busy=1.0, served=10_000.0, computed=10_000.0) for n in range(2)}
    state, now = State(), 0.0
    for _ in range(5):
        now += 15
        state, decision = step(spec, state, Observation(2, 2, loads, len(loads)), now)
        assert decision.replicas == 4
    state, decision = step(spec, state, Observation(4, 2, loads, len(loads)), now + 15)
    assert decision.replicas == 4
    assert "behavior.scaleUp" in decision.reason


DEMANDS = st.lists(st.tuples(st.floats(0, 500_000), st.integers(1, 8), st.floats(1, 60)), min_size=1, max_size=10)
SPECS = st.builds(
    lambda bounds, up, down, target: autoscaling(
        minReplicas=bounds[0],
        maxReplicas=bounds[1],
        targets={"utilizationPercent": target},
        behavior={
            "scaleUp": {"policies": [{"type": "Pods", "value": up, "periodSeconds": 60}]},
            "scaleDown": {
                "stabilizationWindowSeconds": 30,
                "policies": [{"type": "Percent", "value": down, "periodSeconds": 90}],
            },
        },
    ),
    st.tuples(st.integers(1, 60), st.integers(1, 60)).map(sorted),
    st.integers(1, 20),
    st.integers(1, 100),
    st.integers(10, 100),
)


@given(SPECS, DEMANDS, st.integers(1, 60), st.floats(0, 90), st.integers(0, 3))
def test_bounds_and_policies_hold_whatever_comes(
    spec: Autoscaling, demands: list[tuple[float, int, float]], replicas: int, start_seconds: float, unseen: int
) -> None:
    replicas = max(spec.min_replicas, min(spec.max_replicas, replicas))
    world = World(spec, replicas=replicas, start_seconds=start_seconds)
    for demand, steps, seconds in demands:
        for _ in range(steps):
            decision = world.run(demand, seconds=seconds, unseen=unseen)
            assert spec.min_replicas <= decision.replicas <= spec.max_replicas
            assert spec.min_replicas <= decision.recommended <= spec.max_replicas
            assert len(decision.reason) <= 1024

    def replicas_at(time: float) -> int:
        return ([replicas] + [decision.replicas for when, _, decision in world.decisions if when <= time])[-1]

    up, down = spec.behavior.scale_up.policies[0], spec.behavior.scale_down.policies[0]
    for now, before, decision in world.decisions:
        if decision.replicas > before:
            assert decision.replicas <= replicas_at(now - up.period_seconds) + up.value
        if decision.replicas < before:
            start = replicas_at(now - down.period_seconds)
            assert decision.replicas > start * (100 - down.value) / 100 - 1
