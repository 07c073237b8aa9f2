"""A snapshot -> the plan, the replicas of each shape, and every object that the pool shall have. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from fleet_operator.api import EncoderPool
from fleet_operator.api.pool import GROUP
from fleet_operator.cluster_plan import PoolPlan, ShapePlan, plan_pool
from fleet_operator.kept_plan import Kept
from fleet_operator.nodes.distribute import Group, distribute
from fleet_operator.nodes.shapes import Shape
from fleet_operator.reconcile.drift import sealed
from fleet_operator.reconcile.observation import Observation
from fleet_operator.reconcile.rollout import spare
from fleet_operator.specs.account import account
from fleet_operator.specs.autoscalers import horizontal_autoscaler, scaled_object
from fleet_operator.specs.deployment import deployment, grace_seconds
from fleet_operator.specs.disruption import disruption_budget
from fleet_operator.specs.monitor import pod_monitor
from fleet_operator.specs.names import PLAN_ANNOTATION, Object, deployment_name
from fleet_operator.specs.network import network_policy
from fleet_operator.specs.runtime import runtime
from fleet_operator.specs.service import service
from fleet_operator.timestamps import read_time, write_time

STUCK_AFTER = timedelta(seconds=60)
"""A pod that has found no node for so long may go to another shape, unless it waits for one that is still leaving."""
SLOW_AFTER = timedelta(minutes=3)
"""A pod that has had a node for so long and has started no container is told of."""
FULL_FOR = timedelta(minutes=10)
"""So long a shape that pods moved away from gets no further ones."""
FULL_SINCE = f"{GROUP}/full-since"
"""Annotation of a Deployment whose pods moved to another shape for lack of room."""


@dataclass(frozen=True, slots=True)
class Desired:
    """What shall be.

    Attributes:
        plan: What a replica is, by shape.
        replicas: How many, by shape.
        objects: All that the pool shall own, in the order of application.
        again: After so many seconds the answer may be another one although nothing happened; None where not.
        waiting: Names of Deployments whose new template waits until others serve; see `turns`.
    """

    plan: PoolPlan
    replicas: Mapping[str, int]
    objects: tuple[Object, ...]
    again: float | None
    waiting: tuple[str, ...] = ()


def desired(seen: Observation) -> Desired:
    """What shall be, by what was seen."""
    plan = plan_pool(seen.pool, seen.shapes, seen.others, kept(seen.deployments.values()))
    groups = [_group(row, plan, seen) for row in plan.runnable]
    spread = distribute(seen.pool.spec.replicas, groups, spare(seen.pool, seen.deployments))
    objects = _shared(seen.pool, seen.uid, seen.kinds, seen)
    for row, group in zip(plan.runnable, groups, strict=True):
        count = spread.counts[row.name]
        # One that is of no use any more goes, and its plan is forgotten, but not yet that it was full.
        if count or group.full or _exists(row.name, seen):
            objects.append(_deployment(row, count, row.name in spread.left, seen))
    return Desired(plan, spread.counts, tuple(map(sealed, objects)), _again(groups, seen))


def unasked(made: Desired, seen: Observation) -> list[Shape]:
    """Shapes on which replicas are about to be planned, and of which it is not known yet what other pods hold there.

    Of no others: a plan that there is is kept, and what is not used is nobody's concern.
    """
    planned = {each.shape for each in kept(seen.deployments.values()) if each.inputs == made.plan.inputs}
    rows = [row for row in made.plan.runnable if made.replicas[row.name] and row.name not in planned]
    return [row.shape for row in rows if row.shape is not None and row.name not in seen.others]


def kept(deployments: Iterable[Mapping[str, Any]]) -> list[Kept]:
    """What the Deployments that have pods, or shall have some, were planned with."""
    texts = [(body["metadata"].get("annotations") or {}).get(PLAN_ANNOTATION) for body in deployments if _in_use(body)]
    return [kept for text in texts if text and (kept := Kept.load(text))]


def _in_use(body: Mapping[str, Any]) -> bool:
    return bool((body.get("spec") or {}).get("replicas") or (body.get("status") or {}).get("replicas"))


def _exists(shape: str, seen: Observation) -> bool:
    """Whether a Deployment is there and in use."""
    body = seen.deployments.get(deployment_name(seen.pool.metadata.name, shape))
    return body is not None and _in_use(body)


def _group(row: ShapePlan, plan: PoolPlan, seen: Observation) -> Group:
    body = seen.deployments.get(deployment_name(seen.pool.metadata.name, row.name)) or {}
    since, patience = _full_since(body), _patience(seen)
    waiting = [pod.waiting for pod in seen.pods if pod.shape == row.name and pod.waiting and not pod.leaving]
    replicas, status = (body.get("spec") or {}).get("replicas") or 0, body.get("status") or {}
    # A rollout that adds pods first, then takes others away, may find no node for them; no replica waits for one then.
    surplus = max(0, (status.get("replicas") or 0) - replicas)
    return Group(
        name=row.name,
        places=row.places,
        replicas=replicas,
        ready=status.get("readyReplicas") or 0,
        stuck=max(0, sum(seen.now - each >= patience for each in waiting) - surplus),
        full=since is not None and seen.now - since < FULL_FOR,
        former=row.inputs != plan.inputs,
    )


def _patience(seen: Observation) -> timedelta:
    """How long a pod may wait for a node: longer while others of the pool are leaving theirs."""
    leaving = any(pod.leaving and pod.node for pod in seen.pods)
    return STUCK_AFTER + (timedelta(seconds=grace_seconds(seen.pool)) if leaving else timedelta(0))


def _full_since(body: Mapping[str, Any]) -> datetime | None:
    text = (body.get("metadata", {}).get("annotations") or {}).get(FULL_SINCE)
    try:
        return read_time(text) if text else None
    except ValueError:
        return None


def _deployment(row: ShapePlan, replicas: int, left: bool, seen: Observation) -> Object:
    made = deployment(seen.pool, seen.uid, row, replicas, runtime(seen.pool, row.env, seen.images))
    before = seen.deployments.get(made["metadata"]["name"]) or {}
    since = _full_since(before)
    if left:
        since = seen.now
    if since is not None and seen.now - since < FULL_FOR:
        made["metadata"]["annotations"][FULL_SINCE] = write_time(since)
    return made


def _shared(pool: EncoderPool, uid: str, kinds: frozenset[str], seen: Observation) -> list[Object]:
    """What a pool has once, whatever its shapes."""
    program = runtime(pool, (), seen.images)
    objects = [account(pool, uid), service(pool, uid, program), disruption_budget(pool, uid)]
    if pool.spec.network_policy.mode == "Restrict":
        objects.append(network_policy(pool, uid, program))
    if _scaled_by(pool) == "HPA":
        objects.append(horizontal_autoscaler(pool, uid))
    others = optional_kinds(pool) & kinds
    if "ScaledObject" in others:
        objects.append(scaled_object(pool, uid))
    if "PodMonitor" in others:
        objects.append(pod_monitor(pool, uid, program))
    return objects


def optional_kinds(pool: EncoderPool) -> frozenset[str]:
    """Of the kinds that a cluster may lack, those that the pool has a use for."""
    wanted = {"ScaledObject": _scaled_by(pool) == "KEDA", "PodMonitor": pool.spec.monitoring.pod_monitor == "Auto"}
    return frozenset(kind for kind, use in wanted.items() if use)


def _scaled_by(pool: EncoderPool) -> str:
    """The backend that sets replicas; empty for none."""
    scaling = pool.spec.autoscaling
    return scaling.backend if scaling.mode == "Auto" else ""


def _again(groups: Iterable[Group], seen: Observation) -> float | None:
    """When a waiting pod counts as stuck, a starting one as slow, or a full shape as free again."""
    patience = _patience(seen)
    moments = [pod.waiting + patience for pod in seen.pods if pod.waiting is not None and not pod.leaving]
    moments += [pod.starting + SLOW_AFTER for pod in seen.pods if pod.starting is not None and not pod.leaving]
    if any(group.full for group in groups):
        moments += [since + FULL_FOR for body in seen.deployments.values() if (since := _full_since(body)) is not None]
    later = [(moment - seen.now).total_seconds() for moment in moments if moment > seen.now]
    return min(later) + 1 if later else None
