"""A pool's state -> its conditions. Pure.

All of them are set at the first visit. Each says one thing, `True` being good or, for Progressing and ScalingActive,
merely so. A message that is bad news says what to do.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fleet_operator.cluster_plan import REPLAN, PoolPlan
from fleet_operator.observed.pods import PodState
from fleet_operator.reconcile.desired import Desired
from fleet_operator.reconcile.observation import Observation, Trouble

_HEALTH = {
    "ImagePull": "the image cannot be pulled: check spec.image and spec.podTemplate.imagePullSecrets",
    "Config": "a container cannot be made: check the Secrets, ConfigMaps and volumes that the pool names",
    "Crashing": "the encoder ends by itself: `kubectl logs --previous` has the rest",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One condition, without its times."""

    type: str
    status: str
    reason: str
    message: str


def findings(seen: Observation, made: Desired, troubles: Sequence[Trouble]) -> tuple[Finding, ...]:
    """All conditions of a pool.

    Args:
        seen: The snapshot.
        made: What shall be.
        troubles: Writes that failed at this visit.
    """
    planned = threads_planned(seen, made.plan)
    schedulable = _schedulable(seen, planned)
    healthy = _healthy(seen.pods)
    return (
        _ready(seen, planned, schedulable, healthy, troubles),
        _progressing(seen, troubles),
        planned,
        _scaling(seen),
        schedulable,
        healthy,
    )


def totals(deployments: Iterable[Mapping[str, Any]]) -> tuple[int, int]:
    """Pods that there are, and pods that serve."""
    statuses = [body.get("status") or {} for body in deployments]
    return sum(each.get("replicas") or 0 for each in statuses), sum(each.get("readyReplicas") or 0 for each in statuses)


def threads_planned(seen: Observation, plan: PoolPlan) -> Finding:
    """Whether there is a thread plan."""
    runnable = plan.runnable
    if runnable:
        warnings = list(plan.warnings)
        notes = [row.note for row in plan.rows if row.note]
        text = "; ".join(f"{row.name}: {row.share.cpus} CPUs a replica" for row in runnable)
        if seen.shapes is None:
            why = "nodes cannot be read (ClusterRole without `nodes`): spec.resources.cpus is the plan"
            return Finding("ThreadsPlanned", "True", "FromResources", f"{text}; {why}")
        if warnings:
            return Finding("ThreadsPlanned", "True", "CpuOvercommitted", "; ".join(warnings))
        if notes:
            hint = f"restarting pods is yours to decide: another value of the annotation {REPLAN} plans anew"
            return Finding("ThreadsPlanned", "True", "Kept", f"{'; '.join(notes)}; {hint}")
        return Finding("ThreadsPlanned", "True", "Planned", text)
    if seen.shapes is None:
        message = "nodes cannot be read (ClusterRole without `nodes`): set spec.resources.cpus to plan with"
        return Finding("ThreadsPlanned", "False", "NodesUnreadable", message)
    if not seen.shapes:
        message = (
            "no node takes the pool's pods: check spec.scheduling and spec.resources.gpus against `kubectl describe "
            "nodes`; where a cluster autoscaler is to add nodes, set spec.resources.cpus, so that pods can ask for them"
        )
        return Finding("ThreadsPlanned", "False", "NoNodeFits", message)
    rows = "; ".join(f"{row.name}: {row.share.reason}" for row in plan.rows)
    return Finding("ThreadsPlanned", "False", "NodesTooSmall", f"no node has a whole CPU left for a replica: {rows}")


def _ready(
    seen: Observation, planned: Finding, schedulable: Finding, healthy: Finding, troubles: Sequence[Trouble]
) -> Finding:
    want = seen.pool.spec.replicas
    _, ready = totals(seen.deployments.values())
    if ready >= want:
        return Finding("Ready", "True", "Ready" if want else "ScaledToZero", f"{ready} of {want} replicas are ready")
    causes: list[Finding | Trouble] = [each for each in (planned, schedulable, healthy) if each.status == "False"]
    for cause in (*causes, *troubles):
        return Finding("Ready", "False", cause.reason, f"{ready} of {want} replicas are ready: {cause.message}")
    reason = "Paused" if seen.pool.spec.paused else "ReplicasNotReady"
    return Finding("Ready", "False", reason, f"{ready} of {want} replicas are ready")


def _progressing(seen: Observation, troubles: Sequence[Trouble]) -> Finding:
    if seen.pool.spec.paused:
        return Finding("Progressing", "False", "Paused", "spec.paused: nothing is written until it is false")
    for trouble in troubles:
        return Finding("Progressing", "False", trouble.reason, trouble.message)
    for body in seen.deployments.values():
        conditions = {each["type"]: each for each in (body.get("status") or {}).get("conditions") or ()}
        progress = conditions.get("Progressing") or {}
        if progress.get("reason") == "ProgressDeadlineExceeded":
            return Finding("Progressing", "False", "Stuck", f"{body['metadata']['name']}: {progress.get('message')}")
    rolling = [body["metadata"]["name"] for body in seen.deployments.values() if not _settled(body)]
    if rolling:
        return Finding("Progressing", "True", "RollingOut", f"pods are coming or going: {', '.join(sorted(rolling))}")
    return Finding("Progressing", "False", "Complete", "all pods are as they shall be")


def _settled(body: Mapping[str, Any]) -> bool:
    status, want = body.get("status") or {}, (body.get("spec") or {}).get("replicas") or 0
    current = (status.get("observedGeneration") or 0) >= (body["metadata"].get("generation") or 0)
    counts = [status.get(name) or 0 for name in ("replicas", "updatedReplicas", "readyReplicas")]
    return current and counts == [want] * 3


def _schedulable(seen: Observation, planned: Finding) -> Finding:
    if planned.status == "False":
        return Finding("Schedulable", "False", planned.reason, planned.message)
    for body in seen.deployments.values():
        for each in (body.get("status") or {}).get("conditions") or ():
            if each["type"] == "ReplicaFailure" and each["status"] == "True":
                return _refused(each.get("message") or "")
    waiting = sorted((pod for pod in seen.pods if pod.waiting and not pod.leaving), key=lambda pod: pod.name)
    if waiting:
        said = next((pod.message for pod in waiting if pod.message), "the scheduler has not looked at them yet")
        message = f"{len(waiting)} pods find no node: {said}"
        return Finding("Schedulable", "False", "Unschedulable", message)
    return Finding("Schedulable", "True", "Schedulable", "every pod has found a node")


def _refused(message: str) -> Finding:
    """The API server refused to make pods."""
    if "exceeded quota" in message:
        advice = "raise the ResourceQuota, or lower spec.replicas or spec.resources"
        return Finding("Schedulable", "False", "QuotaExceeded", f"{message}: {advice}")
    if "violates PodSecurity" in message:
        advice = "remove from spec.podTemplate what the namespace's Pod Security level does not allow"
        return Finding("Schedulable", "False", "PodSecurity", f"{message}: {advice}")
    return Finding("Schedulable", "False", "PodsRefused", message)


def _healthy(pods: Iterable[PodState]) -> Finding:
    sick = sorted((pod for pod in pods if pod.trouble in _HEALTH and not pod.leaving), key=lambda pod: pod.name)
    if not sick:
        return Finding("Healthy", "True", "Healthy", "no pod is in trouble")
    first = sick[0]
    count = f" ({len(sick)} pods)" if len(sick) > 1 else ""
    return Finding("Healthy", "False", first.trouble, f"{_HEALTH[first.trouble]}. {first.name}{count}: {first.message}")


def _scaling(seen: Observation) -> Finding:
    scaling = seen.pool.spec.autoscaling
    if scaling.mode == "Off":
        return Finding("ScalingActive", "False", "Off", "spec.autoscaling.mode is Off: spec.replicas is yours")
    if seen.pool.spec.runtime == "SGLang" and scaling.backend == "Builtin":
        message = (
            "SGLang's encoder does not tell its load: scale it by hand, or by a HorizontalPodAutoscaler of your own"
        )
        return Finding("ScalingActive", "False", "NoLoadMetrics", message)
    if scaling.mode == "Advise":
        return Finding("ScalingActive", "False", "Advise", "spec.autoscaling.mode is Advise: spec.replicas is yours")
    if seen.pool.spec.replicas == 0:
        message = "spec.replicas is 0: scale to at least 1 to have it scaled by load"
        return Finding("ScalingActive", "False", "ScalingDisabled", message)
    if scaling.backend == "KEDA" and "ScaledObject" not in seen.kinds:
        return Finding("ScalingActive", "False", "KedaMissing", "the cluster has no ScaledObject: install KEDA")
    if scaling.backend != "Builtin":
        return Finding("ScalingActive", "True", scaling.backend, f"a {scaling.backend} object sets spec.replicas")
    if seen.decision is None:
        return Finding("ScalingActive", "Unknown", "NoDecisionYet", "the load has not been looked at yet")
    if seen.decision.basis == "fallback":
        return Finding("ScalingActive", "False", "NoSamples", seen.decision.reason)
    return Finding("ScalingActive", "True", "Builtin", "the operator sets spec.replicas by load")
