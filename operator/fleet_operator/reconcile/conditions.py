"""A pool's state -> its conditions. Pure.

All of them are set at the first visit. Each says one thing, `True` being good or, for Progressing and ScalingActive,
merely so. A message that is bad news says what to do.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fleet_operator.cluster_plan import REPLAN, UNPINNED, PoolPlan
from fleet_operator.reconcile.consumers_condition import consumers_registered
from fleet_operator.reconcile.desired import Desired
from fleet_operator.reconcile.finding import PAUSED, Finding
from fleet_operator.reconcile.observation import REWRITTEN, Observation, Trouble
from fleet_operator.reconcile.pod_conditions import healthy as healthy_condition
from fleet_operator.reconcile.pod_conditions import schedulable as schedulable_condition
from fleet_operator.reconcile.scaling_condition import scaling
from fleet_operator.wording import counted

_STUCK = (
    "the conditions Schedulable and Healthy say why; where both are True, the encoder runs and never says that it is "
    "ready: its log says what it waits for"
)


def findings(seen: Observation, made: Desired, troubles: Sequence[Trouble]) -> tuple[Finding, ...]:
    """All conditions of a pool.

    Args:
        seen: The snapshot.
        made: What shall be.
        troubles: Writes that failed at this visit.
    """
    planned = threads_planned(seen, made.plan)
    schedulable = schedulable_condition(seen, made.plan, planned)
    healthy = healthy_condition(seen)
    failed = [trouble for trouble in troubles if trouble.reason != REWRITTEN]
    progressing = _progressing(seen, made, planned, failed)
    if progressing.reason == "Complete" and troubles:
        progressing = _failed(troubles)
    return (
        _ready(seen, planned, schedulable, healthy, failed),
        progressing,
        planned,
        scaling(seen),
        schedulable,
        healthy,
        *consumers_registered(seen),
    )


def totals(deployments: Iterable[Mapping[str, Any]]) -> tuple[int, int]:
    """Pods that there are, and pods that serve."""
    statuses = [body.get("status") or {} for body in deployments]
    return sum(each.get("replicas") or 0 for each in statuses), sum(each.get("readyReplicas") or 0 for each in statuses)


def threads_planned(seen: Observation, plan: PoolPlan) -> Finding:
    """Whether there is a thread plan."""
    current = plan.current
    if not current:
        return _not_planned(seen, plan)
    text = "; ".join(f"{row.name}: {counted(row.share.cpus, 'CPU')} a replica" for row in current)
    former = [row.name for row in plan.runnable if row not in current]
    if former:
        text += f"; replicas leave {', '.join(former)}, as the pool is planned for other nodes now"
    blind = []
    if seen.shapes is None and any(row.name == UNPINNED for row in current):
        blind = ["nodes cannot be read (ClusterRole without `nodes`): spec.resources.cpus is the plan"]
    notes = [row.note for row in current if row.note]
    if plan.warnings:
        return Finding("ThreadsPlanned", "True", "CpuOvercommitted", "; ".join([*plan.warnings, *blind, *notes]))
    if blind:
        return Finding("ThreadsPlanned", "True", "FromResources", "; ".join([text, *blind]))
    if notes:
        hint = f"restarting pods is yours to decide: another value of the annotation {REPLAN} plans anew"
        return Finding("ThreadsPlanned", "True", "Kept", "; ".join([*notes, hint]))
    if seen.pool.spec.resources.memory is None:
        # The kubelet gives cores of their own to pods of quality `Guaranteed` alone.
        text += "; spec.resources.memory is not set: pods share their cores with others"
    return Finding("ThreadsPlanned", "True", "Planned", text)


def _not_planned(seen: Observation, plan: PoolPlan) -> Finding:
    if seen.shapes is None:
        reason = "NodesUnreadable"
        message = "nodes cannot be read (ClusterRole without `nodes`): set spec.resources.cpus to plan with"
    elif not seen.shapes:
        reason = "NoNodeFits"
        message = (
            "no node takes the pool's pods: check spec.scheduling and spec.resources.gpus against `kubectl describe "
            "nodes`; where a cluster autoscaler is to add nodes, set spec.resources.cpus, so that pods can ask for them"
        )
    else:
        reason = "NodesTooSmall"
        rows = "; ".join(f"{row.name}: {row.share.reason}" for row in plan.rows)
        message = (
            "no node has a whole CPU left for a replica: lower spec.resources.reservedCpus or what DaemonSets ask for, "
            f"or add larger nodes ({rows})"
        )
    if plan.runnable:
        message += "; pods that run go on as they are"
    return Finding("ThreadsPlanned", "False", reason, message)


def _ready(
    seen: Observation, planned: Finding, schedulable: Finding, healthy: Finding, troubles: Sequence[Trouble]
) -> Finding:
    want = seen.pool.spec.replicas
    _, ready = totals(seen.deployments.values())
    counted = f"{ready} of {want} replicas are ready"
    if ready >= want:
        return Finding("Ready", "True", "Ready" if want else "ScaledToZero", counted)
    causes: list[Finding | Trouble] = [each for each in (planned, schedulable, healthy) if each.status == "False"]
    for cause in (*causes, *troubles):
        return Finding("Ready", "False", cause.reason, f"{counted}: {cause.message}")
    if seen.pool.spec.paused:
        return Finding("Ready", "False", "Paused", f"{counted}: {PAUSED}")
    return Finding("Ready", "False", "ReplicasNotReady", counted)


def _progressing(seen: Observation, made: Desired, planned: Finding, troubles: Sequence[Trouble]) -> Finding:
    if seen.pool.spec.paused:
        return Finding("Progressing", "False", "Paused", PAUSED)
    if troubles:
        return _failed(troubles)
    if not made.plan.runnable and seen.pool.spec.replicas:
        return Finding("Progressing", "False", planned.reason, planned.message)
    for body in seen.deployments.values():
        conditions = {each["type"]: each for each in (body.get("status") or {}).get("conditions") or ()}
        progress = conditions.get("Progressing") or {}
        if progress.get("reason") == "ProgressDeadlineExceeded":
            said = f"{body['metadata']['name']}: {progress.get('message') or 'it takes too long'}"
            return Finding("Progressing", "False", "Stuck", f"{said}; {_STUCK}")
    rolling = {body["metadata"]["name"] for body in made.objects if body["kind"] == "Deployment"} | {*seen.deployments}
    rolling -= {name for name, body in seen.deployments.items() if _settled(body)}
    rolling -= {*made.waiting}
    if rolling or made.waiting:
        said = f"pods are coming or going: {', '.join(sorted(rolling))}" if rolling else "replicas are away"
        if made.waiting:
            said += f"; the new template of {', '.join(made.waiting)} waits until the others serve (spec.rollout)"
        return Finding("Progressing", "True", "RollingOut", said)
    return Finding("Progressing", "False", "Complete", "all pods are as they shall be")


def _failed(troubles: Sequence[Trouble]) -> Finding:
    messages = dict.fromkeys(trouble.message for trouble in troubles)
    return Finding("Progressing", "False", troubles[0].reason, "; ".join(messages))


def _settled(body: Mapping[str, Any]) -> bool:
    status, want = body.get("status") or {}, (body.get("spec") or {}).get("replicas") or 0
    current = (status.get("observedGeneration") or 0) >= (body["metadata"].get("generation") or 0)
    counts = [status.get(name) or 0 for name in ("replicas", "updatedReplicas", "readyReplicas")]
    return current and counts == [want] * 3
