"""What a visit to a pool goes by, for tests: the pool, its nodes, what the API server has of it, its pods."""

import copy
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from fleet_operator.api import EncoderPool
from fleet_operator.autoscale import Decision
from fleet_operator.nodes.shapes import DaemonLoad
from fleet_operator.observed.children import Child, read_child
from fleet_operator.observed.pods import PodState
from fleet_operator.reconcile.desired import Desired
from fleet_operator.reconcile.observation import Observation
from fleet_operator.specs.names import POOL_LABEL, SHAPE_LABEL
from fleet_operator.specs.runtime import Images
from planning.clusters import shapes_for
from planning.pools import a_pool

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
UID = "uid-of-the-pool"
IMAGES = Images("example.com/encoder:1", "example.com/sglang:1")

Children = Mapping[tuple[str, str], Child]


def a_cluster_pool(*, annotations: Mapping[str, str] | None = None, **spec: Any) -> EncoderPool:
    """As `a_pool`, in a namespace."""
    pool = a_pool(**spec)
    meta = pool.metadata.model_copy(update={"namespace": "team", "annotations": dict(annotations or {})})
    return pool.model_copy(update={"metadata": meta})


def seen(
    pool: EncoderPool,
    nodes: Iterable[Mapping[str, Any]] | None = (),
    daemons: Sequence[DaemonLoad] = (),
    **fields: Any,
) -> Observation:
    """A snapshot.

    Args:
        pool: The pool.
        nodes: Node objects; None where nodes cannot be read.
        daemons: DaemonSets.
        fields: Of `Observation`, in place of: nothing there, no optional kinds, no autoscaler.
    """
    usual: dict[str, Any] = {
        "uid": UID,
        "generation": 1,
        "status": {},
        "others": {},
        "children": {},
        "pods": (),
        "kinds": frozenset(),
        "images": IMAGES,
        "decision": None,
        "now": NOW,
    }
    shapes = None if nodes is None else shapes_for(pool, nodes, daemons)
    return Observation(**{**usual, "pool": pool, "shapes": shapes, **fields})


def stored(body: Mapping[str, Any], **status: Any) -> dict[str, Any]:
    """An applied object as the API server has it. Pods of a Deployment are all ready, where `status` says nothing."""
    there = copy.deepcopy(dict(body))
    meta = there["metadata"]
    there["metadata"] = {**meta, "uid": f"uid-of-{meta['name']}", "resourceVersion": "1", "generation": 1}
    if there["kind"] == "Deployment":
        count = there["spec"]["replicas"]
        settled = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas"), count)
        there["status"] = {"observedGeneration": 1, **settled, **status}
    return there


def children_of(made: Desired | Iterable[Mapping[str, Any]], **status: Any) -> dict[tuple[str, str], Child]:
    """What is there once all was applied; `status` is that of every Deployment."""
    objects = made.objects if isinstance(made, Desired) else made
    bodies = [stored(body, **status) for body in objects]
    return {(body["kind"], body["metadata"]["name"]): read_child(body["kind"], body) for body in bodies}


def deployments(made: Desired) -> dict[str, Mapping[str, Any]]:
    """Deployments that shall be, by name."""
    return {body["metadata"]["name"]: body for body in made.objects if body["kind"] == "Deployment"}


def a_pod(name: str = "vision-any-1", **fields: Any) -> PodState:
    """A pod of shape `any` that serves."""
    usual: dict[str, Any] = {
        "name": name,
        "shape": "any",
        "ready": True,
        "leaving": False,
        "waiting": None,
        "trouble": "",
        "message": "",
        "ip": "10.0.0.1",
        "node": "n",
        "cost": 0,
        "over": False,
    }
    return PodState(**{**usual, **fields})


def a_waiting_pod(name: str = "vision-any-2", seconds: float = 300, **fields: Any) -> PodState:
    """A pod that has found no node for so long."""
    since = NOW - timedelta(seconds=seconds)
    message = "0/3 nodes are available: 3 Insufficient cpu."
    usual = {"ready": False, "waiting": since, "trouble": "Unschedulable", "message": message, "node": "", "ip": ""}
    return a_pod(name, **{**usual, **fields})


def a_pod_object(shape: str = "any", **status: Any) -> dict[str, Any]:
    """A Pod object of the pool, on a node."""
    labels = {POOL_LABEL: "vision", SHAPE_LABEL: shape}
    meta = {"name": f"vision-{shape}-1", "namespace": "team", "labels": labels}
    return {"metadata": meta, "spec": {"nodeName": "n"}, "status": {"podIP": "10.0.0.1", **status}}


def a_decision(**fields: Any) -> Decision:
    """The autoscaler's: 3 replicas by load."""
    usual: dict[str, Any] = {
        "replicas": 3,
        "recommended": 3,
        "bottleneck": "cpu",
        "reason": "30k patches/s asked for, 2 replicas do 20k at 75 %: 3 needed",
        "basis": "load",
        "demand": 30_000,
        "served": 20_000,
        "capacity": 27_000,
        "pending": 100,
    }
    return Decision(**{**usual, **fields})
