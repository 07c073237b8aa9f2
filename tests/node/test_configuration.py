"""Nodes are told apart, and each is told what it shall be."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from tests.node import containerd, kubelet
from tests.node.addresses import NODES, PODS, Place

FIRST, SECOND = Place("a", 0), Place("b", 1)


def configuration(exclusive_after: int | None = None, gpus: bool = False) -> dict[str, Any]:
    return kubelet.configuration(
        FIRST, Path("/n"), authority=Path("/ca.crt"), cgroup="/g/a", exclusive_after=exclusive_after, gpus=gpus
    )


def test_no_two_nodes_share_an_address() -> None:
    assert FIRST.address != SECOND.address
    assert not FIRST.pods.overlaps(SECOND.pods)
    assert FIRST.pods.subnet_of(PODS)
    assert not PODS.overlaps(NODES)


@pytest.mark.parametrize(("cpu", "policy", "reserved"), [(None, None, None), (0, "static", "0"), (1, "static", "1")])
def test_cores_are_exclusive_where_that_is_asked_for(cpu: int | None, policy: str | None, reserved: str | None) -> None:
    made = configuration(cpu)
    assert (made.get("cpuManagerPolicy"), made.get("reservedSystemCPUs")) == (policy, reserved)


def test_a_node_with_gpus_takes_only_who_wants_one() -> None:
    (taint,) = configuration(gpus=True)["registerWithTaints"]
    assert (taint["key"], taint["effect"]) == (kubelet.GPU, "NoSchedule")
    assert "registerWithTaints" not in configuration()


def test_kubelet_and_containerd_meet_at_one_socket() -> None:
    told = tomllib.loads(containerd.configuration(Path("/n")))
    assert configuration()["containerRuntimeEndpoint"] == f"unix://{told['grpc']['address']}"
    assert told["plugins"]["io.containerd.cri.v1.runtime"]["cni"]["conf_dir"] == "/n/cni"


def test_pods_of_a_node_have_its_addresses() -> None:
    (bridge, _) = kubelet.network(SECOND, Path("/n"))["plugins"]
    assert bridge["ipam"]["ranges"] == [[{"subnet": str(SECOND.pods)}]]
