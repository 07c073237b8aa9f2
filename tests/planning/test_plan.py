from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_operator.plan import NodeShape, plan
from planning.pools import a_pool


@pytest.mark.parametrize(
    ("cpus", "replicas", "asked", "each", "reason"),
    [
        (16, 2, None, 8, "16 CPUs / 2 replicas"),
        (17, 2, None, 8, "17 CPUs / 2 replicas, rounded down"),
        (2, 1, None, 2, "2 CPUs / 1 replica"),
        (1, 3, None, 1, "1 CPU / 3 replicas, but at least 1"),
        (8, 0, None, 8, "8 CPUs, as for one replica"),
        (16, 2, 4, 4, "spec.resources.cpus; the share would be 8"),
        (16, 2, "2500m", 2, "spec.resources.cpus (2500m, rounded down); the share would be 8"),
        (16, 2, "500m", 1, "spec.resources.cpus (500m, but at least 1); the share would be 8"),
        (8, 2, 6, 4, "8 CPUs / 2 replicas; spec.resources.cpus asks for 6"),
    ],
)
def test_replicas_share_the_cpus(cpus: int, replicas: int, asked: Any, each: int, reason: str) -> None:
    made = plan(a_pool(replicas=replicas, resources={} if asked is None else {"cpus": asked}), NodeShape(cpus, 0))
    assert (made.cpus_per_replica, made.reasons["cpus_per_replica"]) == (each, reason)
    assert made.budget.cpus == each


@pytest.mark.parametrize(
    ("gpus", "replicas", "asked", "each", "warning"),
    [
        (0, 1, None, 0, None),
        (0, 1, 0, 0, None),
        (0, 2, 1, 0, "spec.resources.gpus: this machine has no GPU: the replicas run on the CPU, slower"),
        (8, 2, None, 1, None),
        (8, 2, 1, 1, None),
        (8, 2, 0, 0, None),
        (1, 2, 1, 0, "spec.replicas: 1 GPU for 2 replicas: too few for one each, so all of them run on the CPU"),
        (3, 4, None, 0, "spec.replicas: 3 GPUs for 4 replicas: too few for one each, so all of them run on the CPU"),
        (8, 2, 2, 2, "spec.resources.gpus: an encoder computes on one GPU: 1 of 2 will idle, ask for 1"),
        (2, 1, 4, 2, "spec.resources.gpus: 4 a replica are asked for, there are 2 (2 GPUs / 1 replica)"),
        (1, 0, 1, 1, None),
    ],
)
def test_replicas_share_the_gpus(gpus: int, replicas: int, asked: int | None, each: int, warning: str | None) -> None:
    made = plan(a_pool(replicas=replicas, resources={} if asked is None else {"gpus": asked}), NodeShape(64, gpus))
    assert made.gpus_per_replica == each
    assert [text.startswith(warning or "") for text in made.warnings] == [True] * (warning is not None)
    env = {variable.name: variable.value for variable in made.env}
    assert env["ENCODERFLEET_DEVICE"] == ("cuda" if each else "cpu")


def test_more_replicas_than_cpus_is_warned_of() -> None:
    (warning,) = plan(a_pool(replicas=4), NodeShape(2, 0)).warnings
    assert "4 replicas on 2 CPUs" in warning
    assert "at most 2 fit" in warning


def test_more_cpus_than_there_are_is_warned_of() -> None:
    (warning,) = plan(a_pool(replicas=2, resources={"cpus": 8}), NodeShape(8, 0)).warnings
    assert warning.startswith("spec.resources.cpus: 8 a replica are asked for, there are 4")


def test_numbers_over_the_cpus_of_a_replica_are_warned_of() -> None:
    threads = {"policy": "Manual", "videoDecodeThreads": 8, "ffmpegThreads": 2}
    (warning,) = plan(a_pool(replicas=2, threads=threads), NodeShape(16, 0)).warnings
    assert "videoDecodeThreads 8 x ffmpegThreads 2 = 16 threads on 8 CPUs" in warning


@given(
    cpus=st.integers(1, 512),
    gpus=st.integers(0, 16),
    replicas=st.integers(0, 64),
    asked_cpus=st.none() | st.integers(1, 512) | st.sampled_from(["100m", "1500m", "1e1"]),
    asked_gpus=st.none() | st.integers(0, 16),
)
def test_a_machine_is_shared_out_and_never_overdrawn(
    cpus: int, gpus: int, replicas: int, asked_cpus: Any, asked_gpus: int | None
) -> None:
    wishes = {"cpus": asked_cpus, "gpus": asked_gpus}
    resources = {name: wish for name, wish in wishes.items() if wish is not None}
    made = plan(a_pool(replicas=replicas, resources=resources), NodeShape(cpus, gpus))
    assert made.cpus_per_replica >= 1
    assert replicas > cpus or made.cpus_per_replica * replicas <= cpus
    assert made.gpus_per_replica * replicas <= gpus
    if asked_gpus is not None:
        assert made.gpus_per_replica <= asked_gpus
    if replicas > cpus:
        assert any(text.startswith("spec.replicas") for text in made.warnings)
    names = [variable.name for variable in made.env]
    assert len(names) == len(set(names))
    assert all(variable.reason for variable in made.env)


def test_the_plan_depends_on_nothing_but_pool_and_machine() -> None:
    assert plan(a_pool(), NodeShape(8, 1)) == plan(a_pool(), NodeShape(8, 1))


@pytest.mark.parametrize(("cpus", "gpus"), [(0, 0), (1, -1)])
def test_there_is_no_machine_without_a_cpu(cpus: int, gpus: int) -> None:
    with pytest.raises(ValueError, match="has a CPU"):
        NodeShape(cpus, gpus)


@pytest.mark.parametrize(
    ("replicas", "memory", "warned"),
    [(2, 4 << 30, False), (2, (4 << 30) - 1, True), (0, 2 << 30, False), (9, None, False)],
)
def test_more_than_the_memory_is_told(replicas: int, memory: int | None, warned: bool) -> None:
    warnings = plan(a_pool(replicas=replicas), NodeShape(16, 0, memory)).warnings
    assert any("spec.cache.size, spec.admission.maxPendingBytes" in warning for warning in warnings) is warned
