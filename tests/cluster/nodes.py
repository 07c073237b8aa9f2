"""Pretend nodes with any hardware: KWOK says that they are ready, and the real scheduler places pods on them."""

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kubernetes import client, config
from tests.cluster.kwok import FAKE

GPU = "nvidia.com/gpu"
THREADS = 8
PATIENCE = 120.0
Node = dict[str, Any]
Taint = Mapping[str, str]


def node(
    name: str,
    *,
    cpus: int | str = 32,
    gpus: int = 0,
    memory: str = "256Gi",
    pods: int = 110,
    labels: Mapping[str, str] | None = None,
    taints: Sequence[Taint] = (),
    allocatable: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
) -> Node:
    """A node object. Pure.

    Args:
        name: Also its label `kubernetes.io/hostname`.
        cpus: As a quantity, `32` or `31500m`.
        gpus: Of NVIDIA; with 0 the node does not know the resource at all.
        memory: As a quantity.
        pods: How many fit at most.
        labels: Over the usual ones.
        taints: As in `spec.taints`, `{"key": "gpu", "value": "yes", "effect": "NoSchedule"}`.
        allocatable: Where less (or more) than the capacity can be had: `{"cpu": "31500m"}`.
        annotations: Over KWOK's; `kwok.CUSTOM` leaves the status to the test.
    """
    capacity = {"cpu": str(cpus), "memory": memory, "pods": str(pods), "ephemeral-storage": "1Ti"}
    if gpus:
        capacity[GPU] = str(gpus)
    # The old names too, as kubelets do: else a controller adds them to each node.
    system = {"kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
    usual = {"kubernetes.io/hostname": name} | system | {f"beta.{key}": value for key, value in system.items()}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": usual | dict(labels or {}), "annotations": FAKE | dict(annotations or {})},
        "spec": {"taints": [dict(taint) for taint in taints]},
        "status": {"capacity": capacity, "allocatable": capacity | dict(allocatable or {})},
    }


def create(kubeconfig: Path, nodes: Iterable[Node]) -> None:
    """Create many nodes at once; they are ready a moment later."""
    with _core(kubeconfig) as core, ThreadPoolExecutor(THREADS) as threads:
        # The answers are not parsed: for thousands of nodes that is most of the work.
        list(threads.map(lambda each: core.create_node(each, _preload_content=False).data, nodes))


def delete(kubeconfig: Path, selector: str) -> None:
    """Delete all nodes that match a label selector, `key=value`."""
    with _core(kubeconfig) as core:
        core.delete_collection_node(label_selector=selector, _preload_content=False)


def wait_until_ready(kubeconfig: Path, selector: str, count: int) -> None:
    """Until `count` nodes that match the selector are ready, and pods may be placed on them."""
    deadline = time.monotonic() + PATIENCE
    with _core(kubeconfig) as core:
        while (ready := sum(_is_ready(each) for each in _listed(core, selector))) < count:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{ready} of {count} nodes are ready after {PATIENCE:.0f} s")
            # Listing thousands again and again would take the CPUs from those who make them ready.
            time.sleep(0.1 + count / 1000)


def _is_ready(node: Node) -> bool:
    conditions = node["status"].get("conditions", [])
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    # The controllers taint each new node until they have seen it ready.
    tainted = any(each["key"].startswith("node.kubernetes.io/not-ready") for each in node["spec"].get("taints", []))
    return ready and not tainted


def _listed(core: client.CoreV1Api, selector: str) -> list[Node]:
    answer = core.list_node(label_selector=selector, _preload_content=False)
    listed: list[Node] = json.loads(answer.data)["items"]
    return listed


@contextmanager
def _core(kubeconfig: Path) -> Iterator[client.CoreV1Api]:
    configuration = client.Configuration()
    config.load_kube_config(str(kubeconfig), client_configuration=configuration)
    configuration.connection_pool_maxsize = THREADS
    with client.ApiClient(configuration) as api:
        yield client.CoreV1Api(api)
