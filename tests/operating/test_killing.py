"""The operator is killed before and after every single write, and the end is always the same."""

import copy
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.cluster.control_plane import ControlPlane
from tests.cluster.fixtures import Nodes

from operating.operator_process import OperatorProcess, Pools, until
from operating.proxy import Proxy, Request

KINDS = ("deployments", "services", "serviceaccounts", "pdb", "networkpolicies", "hpa")
SERVERS_OWN = ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields")


def end_state(pools: Pools, name: str) -> dict[str, Any]:
    """All that belongs to a pool and its status, without what differs from one pool to the next."""
    found: dict[str, Any] = {}
    for kind in KINDS:
        for each in pools.all(kind, f"encoderfleet.io/pool={name}"):
            kept = copy.deepcopy(each)
            kept.pop("status", None)
            for field in SERVERS_OWN:
                kept["metadata"].pop(field, None)
            (owner,) = kept["metadata"].pop("ownerReferences")
            assert owner["controller"]
            kept["metadata"]["annotations"].pop("deployment.kubernetes.io/revision", None)
            kept["metadata"]["annotations"].pop("encoderfleet.io/applied")
            found[f"{kind}/{kept['metadata']['name']}"] = kept
    status = pools.status(name)
    conditions = {each["type"]: (each["status"], each["reason"]) for each in status.pop("conditions")}
    status.pop("observedGeneration")
    return {"objects": found, "status": status, "conditions": conditions}


def same(state: Any, name: str) -> Any:
    """A state with the pool's own name taken out."""
    if isinstance(state, dict):
        return {key.replace(name, "POOL"): same(value, name) for key, value in state.items()}
    if isinstance(state, list):
        return [same(each, name) for each in state]
    return state.replace(name, "POOL") if isinstance(state, str) else state


class Killer:
    """Kills the operator around a write: `before` it is passed on, or `after` it was made and ere the answer is in."""

    def __init__(self, proxy: Proxy) -> None:
        self.victim: OperatorProcess | None = None
        self.when = ""
        self.writes: list[Request] = []
        proxy.before = self._before
        proxy.after = self._after

    async def _before(self, request: Request) -> web.Response | None:
        if not counts(request):
            return None
        self.writes.append(request)
        return self._kill("before")

    async def _after(self, request: Request) -> web.Response | None:
        return self._kill("after") if counts(request) else None

    def _kill(self, when: str) -> web.Response | None:
        """Kill; then nobody is left to read the answer."""
        if self.victim is None or when != self.when:
            return None
        self.victim.process.kill()
        return web.Response(status=502)


def counts(request: Request) -> bool:
    """Whether it writes something that lasts; events are told at best."""
    return request.write and not request.path.endswith("/events")


def settled(pools: Pools, name: str) -> dict[str, Any]:
    """The end state, when the pool is what it shall be."""
    generation = pools.get("encp", name)["metadata"]["generation"]
    until(lambda: pools.status(name).get("observedGeneration") == generation)
    pools.wait(name, "Ready", "True")
    pools.wait(name, "Progressing", "False", "Complete")
    return same(end_state(pools, name), name)


@pytest.mark.timeout(900)
def test_killed_around_every_write_of_a_new_pool(
    own_pools: Pools, control_plane: ControlPlane, nodes: Nodes, tmp_path: Path, start_operator: Any
) -> None:
    nodes(1, cpus=64)
    spec: dict[str, Any] = {
        "replicas": 2,
        "resources": {"gpus": 0, "cpus": 1},
        "scheduling": {"nodeSelector": nodes.selector},
        "networkPolicy": {"mode": "Restrict"},
        "autoscaling": {"mode": "Auto", "backend": "HPA", "maxReplicas": 4},
    }
    _kill_around_every_write(
        own_pools, control_plane, tmp_path, start_operator, lambda name: own_pools.apply(name, **spec)
    )


@pytest.mark.timeout(900)
def test_killed_around_every_write_of_a_change(
    own_pools: Pools, control_plane: ControlPlane, nodes: Nodes, tmp_path: Path, start_operator: Any
) -> None:
    nodes(1, cpus=64)
    spec: dict[str, Any] = {
        "replicas": 2,
        "resources": {"gpus": 0, "cpus": 1},
        "scheduling": {"nodeSelector": nodes.selector},
        "networkPolicy": {"mode": "Restrict"},
        "rollout": {"maxUnavailable": 1},
    }

    def change(name: str) -> None:
        first = start_operator().wait_until_ready()
        own_pools.apply(name, **spec)
        settled(own_pools, name)
        first.kill()
        changed = {"replicas": 1, "networkPolicy": {"mode": "Off"}, "rollout": {"maxUnavailable": 2}}
        own_pools.apply(name, **spec | changed | {"resources": {"gpus": 0, "cpus": 2}})

    _kill_around_every_write(own_pools, control_plane, tmp_path, start_operator, change)


def _kill_around_every_write(
    pools: Pools, control_plane: ControlPlane, folder: Path, start_operator: Any, prepare: Callable[[str], None]
) -> None:
    """One pool undisturbed; one with a kill before and after every write, so that a run gets at most one write done."""
    with Proxy(control_plane.kubeconfig, folder) as proxy:
        killer = Killer(proxy)
        prepare("never")
        operator = start_operator(proxy.kubeconfig)
        expected = settled(pools, "never")
        operator.kill()
        pools.kubectl("delete", "encp", "never")
        undisturbed = [same(request.path, "never") for request in killer.writes]
        assert len(set(undisturbed)) >= 4, undisturbed

        prepare("killed")
        killer.writes.clear()
        done = False
        while not done:
            for when in ("before", "after"):
                killer.when, killer.victim = when, None
                killer.victim = operator = start_operator(proxy.kubeconfig)
                # A pool that is all that it shall be is written no more: then nobody kills.
                until(lambda operator=operator: operator.process.poll() is not None or _has_settled(pools, operator))
                done = operator.process.poll() is None
                operator.kill()
            assert len(killer.writes) < 20 * len(undisturbed), killer.writes
        disturbed = Counter(same(request.path, "killed") for request in killer.writes)
        assert all(disturbed[path] >= 2 for path in undisturbed), (disturbed, undisturbed)
        killer.victim = None
        start_operator(proxy.kubeconfig)
        assert settled(pools, "killed") == expected


def _has_settled(pools: Pools, operator: OperatorProcess) -> bool:
    return operator.metric("encoderfleet_reconcile_seconds_count") > 0 and (
        pools.condition("killed", "Progressing").get("reason") == "Complete"
        and pools.condition("killed", "Ready").get("status") == "True"
    )
