from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_operator.api.parts import Resources
from fleet_operator.nodes.share import blind_share, share
from planning.clusters import a_shape


def resources(**fields: Any) -> Resources:
    return Resources.model_validate({name: value for name, value in fields.items() if value is not None})


@pytest.mark.parametrize(
    ("shape", "others", "asked", "expected", "reason"),
    [
        # Without GPUs.
        (
            {"cpus": "15.89", "held": "0.35"},
            0,
            {},
            (14, 0, 1),
            "15890m allocatable - 350m DaemonSets - 1 reserved = 14; one replica takes a node: set "
            "spec.resources.cpus for several on each",
        ),
        (
            {"cpus": 32},
            0,
            {"cpus": 8},
            (8, 0, 3),
            "32 allocatable - 1 reserved = 31; spec.resources.cpus: 8",
        ),
        (
            {"cpus": 8},
            2,
            {"cpus": 8},
            (5, 0, 1),
            "8 allocatable - 2 other pods - 1 reserved = 5; spec.resources.cpus: 8, a node gives 5",
        ),
        (
            {"cpus": 32},
            0,
            {"cpus": "2500m", "reservedCpus": 0},
            (2, 0, 16),
            "32 allocatable = 32; spec.resources.cpus: 2500m",
        ),
        ({"cpus": 4}, 0, {"cpus": "500m"}, (1, 0, 3), "4 allocatable - 1 reserved = 3; spec.resources.cpus: 500m"),
        (
            {"cpus": 2, "held": "1.5"},
            0,
            {"cpus": 4},
            (0, 0, 0),
            "2 allocatable - 1500m DaemonSets - 1 reserved = 0; spec.resources.cpus: 4, a node gives 0",
        ),
        # With GPUs.
        (
            {"cpus": 192, "gpus": 8, "held": 3},
            0,
            {},
            (23, 1, 8),
            "192 allocatable - 3 DaemonSets - 1 reserved = 188; x 1/8 GPUs = 23",
        ),
        (
            {"cpus": 192, "gpus": 8},
            "40.5",
            {"gpus": 2, "reservedCpus": "500m"},
            (37, 2, 4),
            "192 allocatable - 40500m other pods - 500m reserved = 151; x 2/8 GPUs = 37",
        ),
        (
            {"cpus": 192, "gpus": 8},
            0,
            {"gpus": 3, "cpus": 16},
            (16, 3, 2),
            "192 allocatable - 1 reserved = 191; x 3/8 GPUs = 71; spec.resources.cpus: 16",
        ),
        (
            {"cpus": 16, "gpus": 8},
            0,
            {"cpus": 16},
            (1, 1, 8),
            "16 allocatable - 1 reserved = 15; x 1/8 GPUs = 1; spec.resources.cpus: 16, a node gives 1",
        ),
        ({"cpus": 8, "gpus": 8}, 0, {}, (0, 1, 0), "8 allocatable - 1 reserved = 7; x 1/8 GPUs = 0"),
        (
            {"cpus": 32, "gpus": 8},
            0,
            {"gpus": 0, "cpus": 4},
            (4, 0, 7),
            "32 allocatable - 1 reserved = 31; spec.resources.cpus: 4",
        ),
    ],
)
def test_a_replica_gets_its_share_of_a_node(
    shape: dict[str, Any], others: Any, asked: dict[str, Any], expected: tuple[int, int, int], reason: str
) -> None:
    made = share(a_shape(**shape), Decimal(others), resources(**asked))
    assert (made.cpus, made.gpus, made.fit) == expected
    assert made.reason == reason


AMOUNT = st.integers(0, 600_000).map(lambda thousandths: Decimal(thousandths) / 1000)


@given(
    cpus=st.integers(1000, 512_000).map(lambda thousandths: Decimal(thousandths) / 1000),
    gpus=st.integers(0, 16),
    held=AMOUNT,
    others=AMOUNT,
    reserved=AMOUNT,
    asked_cpus=st.none() | st.integers(1, 600) | st.sampled_from(["100m", "1500m", "7999m"]),
    data=st.data(),
)
def test_replicas_that_fit_never_take_more_than_is_free(
    cpus: Decimal, gpus: int, held: Decimal, others: Decimal, reserved: Decimal, asked_cpus: Any, data: st.DataObject
) -> None:
    asked_gpus = data.draw(st.none() | st.integers(0, gpus), label="asked GPUs")
    wish = resources(cpus=asked_cpus, gpus=asked_gpus, reservedCpus=str(reserved))
    made = share(a_shape(cpus=cpus, gpus=gpus, held=held), others, wish)
    free = cpus - held - others - reserved
    assert made.cpus >= 0
    assert made.fit >= 0
    assert isinstance(made.cpus, int)
    assert made.fit * made.cpus <= max(Decimal(0), free)
    assert made.fit * made.gpus <= gpus
    assert bool(made.cpus) == bool(made.fit)
    assert made.gpus == (0 if gpus == 0 else 1 if asked_gpus is None else asked_gpus)
    if wish.cpus is not None:
        assert made.cpus <= max(1, int(wish.cpus))


@given(cpus=st.integers(2, 512), asked=st.integers(1, 512))
def test_a_node_without_gpus_takes_as_many_as_fit(cpus: int, asked: int) -> None:
    made = share(a_shape(cpus=cpus), Decimal(0), resources(cpus=asked))
    assert made.cpus == min(asked, cpus - 1)
    assert made.fit == (cpus - 1) // made.cpus


@given(cpus=st.integers(32, 512), gpus=st.integers(1, 16))
def test_every_gpu_of_a_node_that_is_large_enough_can_be_used(cpus: int, gpus: int) -> None:
    made = share(a_shape(cpus=cpus, gpus=gpus), Decimal(0), resources())
    assert (made.gpus, made.fit) == (1, gpus)
    assert made.cpus == (cpus - 1) // gpus


def test_an_amount_that_is_held_beyond_the_node_leaves_nothing() -> None:
    made = share(a_shape(cpus=4, held=9), Decimal(9), resources(cpus=2))
    assert (made.cpus, made.fit) == (0, 0)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, None),
        ({"gpus": 1}, None),
        ({"cpus": 8}, (8, 0)),
        ({"cpus": "8500m", "gpus": 2}, (8, 2)),
        ({"cpus": "100m"}, (1, 0)),
    ],
)
def test_without_nodes_a_replica_is_what_the_pool_says(asked: dict[str, Any], expected: tuple[int, int] | None) -> None:
    made = blind_share(resources(**asked))
    assert (made and (made.cpus, made.gpus)) == expected
    if made is not None:
        assert made.fit == 0
        assert made.reason.startswith("spec.resources.cpus: ")
