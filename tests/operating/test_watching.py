"""A watch that says nothing any more."""

import itertools
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.control_plane import ControlPlane
from tests.cluster.fixtures import Nodes

from fleet_operator.resync import behind
from operating.operator_process import Pools, until
from operating.proxy import Proxy

CPU_ONLY: dict[str, Any] = {"resources": {"gpus": 0, "cpus": 1}}


@pytest.mark.parametrize(
    ("there", "known", "late"),
    [
        ({}, {}, []),
        ({"a": "5"}, {"a": "5"}, []),
        ({"a": "5"}, {"a": "7"}, []),
        ({"a": "10"}, {"a": "9"}, ["a"]),
        ({"a": "5", "b": "6"}, {"a": "5"}, ["b"]),
        ({"a": "5"}, {"a": ""}, []),
        ({}, {"a": "5"}, []),
    ],
)
def test_what_is_behind(there: dict[str, str], known: dict[str, str], late: list[str]) -> None:
    found = behind(
        {("ns", key): each for key, each in there.items()}, {("ns", key): each for key, each in known.items()}
    )
    assert [name for _, name in found] == late


@pytest.mark.timeout(300)
def test_a_silent_watch_is_noticed_and_made_up_for(
    own_pools: Pools, control_plane: ControlPlane, nodes: Nodes, start_operator: Any, tmp_path: Path
) -> None:
    nodes(1, cpus=16)
    spec = {**CPU_ONLY, "scheduling": {"nodeSelector": nodes.selector}}
    with Proxy(control_plane.kubeconfig, tmp_path) as proxy:
        operator = start_operator(proxy.kubeconfig, ENCODERFLEET_RESYNC_INTERVAL="3").wait_until_ready()
        own_pools.apply("seen", **spec)
        own_pools.wait("seen", "Ready", "True")
        assert operator.get("/healthz") == (200, "ok")

        proxy.silent = True
        own_pools.apply("missed", **spec)
        own_pools.kubectl("delete", "encp", "seen")
        until(lambda: own_pools.deployments("missed"))
        until(lambda: operator.metric("encoderfleet_watch_missed_total", kind="EncoderPool") >= 2)
        assert operator.metric("encoderfleet_pool_desired_replicas", pool="seen") == 0
        # Where it happens again and again, somebody has to restart the operator.
        count = itertools.count()

        def unwell() -> bool:
            own_pools.kubectl("annotate", "encp", "missed", f"again={next(count)}", "--overwrite")
            return operator.get("/healthz")[0] == 503

        until(unwell)
        assert "misses what happens" in operator.get("/healthz")[1]


def test_a_pool_whose_end_is_not_told_is_not_made_again(
    own_pools: Pools, control_plane: ControlPlane, nodes: Nodes, start_operator: Any, tmp_path: Path
) -> None:
    """Its children go, and that is told: made anew they would go again, and so on until a comparison."""
    nodes(1, cpus=16)
    spec = {**CPU_ONLY, "scheduling": {"nodeSelector": nodes.selector}}
    with Proxy(control_plane.kubeconfig, tmp_path) as proxy:
        operator = start_operator(proxy.kubeconfig).wait_until_ready()
        own_pools.apply("ended", **spec)
        own_pools.wait("ended", "Progressing", "False", "Complete")
        proxy.unheard = "/encoderpools"
        asked = len(proxy.requests)
        own_pools.kubectl("delete", "encp", "ended")
        until(lambda: operator.metric("encoderfleet_pool_desired_replicas", pool="ended") == 0)
        until(lambda: not own_pools.all("deployments") and not own_pools.all("services"))
        assert [each for each in proxy.requests[asked:] if each.method == "PATCH" and "/apis/apps/" in each.path] == []
        # Another one of its name is known as soon as it is looked up.
        own_pools.apply("ended", **spec)
        proxy.unheard = "-"
        own_pools.wait("ended", "Ready", "True")
