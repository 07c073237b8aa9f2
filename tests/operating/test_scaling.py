"""Replicas follow a real load: the operator's own process, and the encoder's own processes as pods."""

import io
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.cluster.fixtures import Nodes
from tests.cluster.kwok import CUSTOM

from fleet_client import Client, EncodeError, image
from operating.host_pods import HostPods
from operating.operator_process import Pools, until


def photo(random: np.random.Generator) -> bytes:
    """A picture that no cache has seen."""
    buffer = io.BytesIO()
    Image.fromarray(random.integers(0, 255, (336, 448, 3), dtype=np.uint8)).save(buffer, "JPEG")
    return buffer.getvalue()


class Callers:
    """Callers that ask for embeddings as fast as they get them, until they are stopped."""

    def __init__(self, pods: HostPods, count: int) -> None:
        self.encoded = 0
        self.lost: list[str] = []
        self._pods = pods
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._call, args=(seed,), daemon=True) for seed in range(count)]
        for each in self._threads:
            each.start()

    def _call(self, seed: int) -> None:
        random = np.random.default_rng(seed)
        while not self._stop.is_set():
            with Client(self._pods.endpoints) as client:
                for _ in range(5):
                    try:
                        client.encode([image(photo(random))], timeout=120)
                        self.encoded += 1
                    except EncodeError as error:
                        self.lost.append(repr(error))

    def stop(self) -> None:
        """Let each finish what it asked for."""
        self._stop.set()
        for each in self._threads:
            each.join(120)


@pytest.mark.timeout(600)
def test_replicas_follow_a_real_load_up_and_down(
    own_pools: Pools, start_operator: Any, nodes: Nodes, qwen2_5_vl: Path, tmp_path: Path
) -> None:
    nodes(3, cpus=2)
    operator = start_operator(ENCODERFLEET_SCALING_INTERVAL="2").wait_until_ready()
    own_pools.apply(
        "live",
        model={"path": str(qwen2_5_vl), "dtype": "float32"},
        resources={"gpus": 0},
        scheduling={"nodeSelector": nodes.selector},
        podTemplate={"annotations": CUSTOM},
        # So little is taken in that callers are refused: a load that only demand can show, as utilisation stops at 1.
        admission={"maxPendingPatches": 2000},
        autoscaling={
            "mode": "Auto",
            "maxReplicas": 3,
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 6}},
        },
        lifecycle={"drainSeconds": 60},
    )
    with HostPods(own_pools, "live", tmp_path) as pods:
        own_pools.wait("live", "Ready", "True")
        callers = Callers(pods, 8)
        until(lambda: own_pools.get("encp", "live")["spec"]["replicas"] == 3, why=lambda: str(own_pools.status("live")))
        own_pools.wait("live", "Ready", "True")
        until(lambda: callers.encoded > 50)
        status = own_pools.status("live")
        assert status["lastScale"]["newReplicas"] == 3
        assert status["fingerprint"]
        assert status["bottleneck"] == "cpu"
        assert operator.metric("encoderfleet_pool_demand_patches_per_second", pool="live") > 0

        callers.stop()
        until(lambda: own_pools.get("encp", "live")["spec"]["replicas"] == 1, why=lambda: str(own_pools.status("live")))
        until(lambda: sum(pod.process.poll() is None for pod in pods.pods.values()) == 1)
        assert [pod.process.returncode for pod in pods.pods.values() if pod.ending] == [0, 0]
        assert callers.lost == []
        assert {"ScaledUp", "ScaledDown"} <= {each["reason"] for each in own_pools.events("live")}
        assert operator.metric("encoderfleet_scrapes_total", outcome="ok") > 0
