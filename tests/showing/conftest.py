"""A pool of two real encoders, their operator on a real API server, load, and a Prometheus that scrapes all of them."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.control_plane import ControlPlane
from tests.cluster.fixtures import Nodes
from tests.cluster.kwok import CUSTOM

from operating.host_pods import HostPods
from operating.operator_process import OperatorProcess, Pools, until
from showing.load import Load
from showing.prometheus import Prometheus, Target, static

RULES = Path(__file__).parents[2] / "charts" / "encoder-fleet" / "rules" / "encoder-fleet.yaml"
POOL = "vision"
LANGUAGE_SERVER = {"app": "vlm"}


def a_deaf_language_server(pools: Pools) -> None:
    """A pod that is ready, at an address of this machine at which nobody listens."""
    body = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "vlm-0", "labels": LANGUAGE_SERVER},
        "spec": {"nodeSelector": {"no": "node"}, "containers": [{"name": "main", "image": "sglang"}]},
    }
    pools.kubectl("apply", "-f", "-", input=json.dumps(body))
    ready = [{"type": "Ready", "status": "True"}]
    status = {"phase": "Running", "podIP": "127.77.7.7", "podIPs": [{"ip": "127.77.7.7"}], "conditions": ready}
    patch = json.dumps({"status": status})
    pools.kubectl("patch", "pod", "vlm-0", "--subresource=status", "--type=merge", "-p", patch)


def targets(pods: HostPods, operator: OperatorProcess, namespace: str) -> Iterator[Target]:
    """All that there is to scrape, with the labels that the two monitors give."""
    for name, pod in pods.pods.items():
        labels = {"namespace": namespace, "pool": POOL, "pod": name, "container": "main"}
        yield Target(f"{pod.address}:8080", labels)
    yield Target(operator.address, {"namespace": "fleet", "pod": "encoder-fleet-0", "container": "operator"})


@pytest.fixture(scope="module")
def module_nodes(control_plane: ControlPlane) -> Iterator[Nodes]:
    """As `nodes`, for a module."""
    made = Nodes(control_plane)
    yield made
    made.delete()


@pytest.fixture(scope="module")
def pool_namespace(control_plane: ControlPlane, definition: None) -> Iterator[str]:
    """Of the pool."""
    name = control_plane.create_namespace()
    yield name
    control_plane.delete_namespace(name)


@pytest.fixture(scope="module")
def prometheus(
    control_plane: ControlPlane,
    pool_namespace: str,
    module_nodes: Nodes,
    qwen2_5_vl: Path,
    photos: Path,
    clips: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Prometheus]:
    """It has seen some rounds of the load, and sees more."""
    folder = tmp_path_factory.mktemp("showing")
    module_nodes(2, cpus=2)
    pools = Pools(control_plane, pool_namespace)
    a_deaf_language_server(pools)
    flags = {"ENCODERFLEET_SCALING_INTERVAL": "2"}
    operator = OperatorProcess(control_plane.kubeconfig, (pool_namespace,), folder / "operator.log", **flags)
    try:
        operator.wait_until_ready()
        pools.apply(
            POOL,
            replicas=2,
            model={"path": str(qwen2_5_vl), "dtype": "float32"},
            resources={"gpus": 0, "cpus": 1},
            scheduling={"nodeSelector": module_nodes.selector},
            podTemplate={"annotations": CUSTOM},
            admission={"maxPendingPatches": 8000},
            consumers=[{"selector": {"matchLabels": LANGUAGE_SERVER}}],
        )
        with HostPods(pools, POOL, folder) as pods:
            pools.wait(POOL, "Ready", "True")

            def hosts() -> list[str]:
                return [pod.address for pod in pods.pods.values()]

            with (
                Load(hosts, photos / "rocket.jpg", clips / "bikes.mp4") as load,
                Prometheus(static(targets(pods, operator, pool_namespace), RULES), folder) as started,
            ):
                until(lambda: load.failed or load.rounds >= 3)
                assert load.failed == []
                yield started
                assert load.failed == []
    finally:
        operator.kill()
