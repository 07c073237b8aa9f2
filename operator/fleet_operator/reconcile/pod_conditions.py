"""What a pool's pods are like -> the conditions Schedulable and Healthy. Pure."""

from collections.abc import Sequence

from fleet_operator.cluster_plan import PoolPlan
from fleet_operator.observed.pods import PodState
from fleet_operator.reconcile.desired import SLOW_AFTER
from fleet_operator.reconcile.finding import Finding
from fleet_operator.reconcile.observation import Observation

_HEALTH = {
    "ImagePull": "the image cannot be pulled: check spec.image and spec.podTemplate.imagePullSecrets",
    "Config": "a container cannot be made: check the Secrets, ConfigMaps and volumes that the pool names",
    "RunsAsRoot": (
        "the pod would run as root, which the kubelet refuses: somebody has taken spec.podTemplate.securityContext."
        "runAsUser from the pod: look for an admission webhook that changes pods"
    ),
    "Crashing": "the encoder ends by itself: `kubectl logs --previous` has the rest",
}


def schedulable(seen: Observation, plan: PoolPlan, planned: Finding) -> Finding:
    """Whether every pod has found a node.

    Args:
        seen: The snapshot.
        plan: What can run where.
        planned: The condition ThreadsPlanned: where nothing can run, that is why.
    """
    if not plan.runnable:
        return Finding("Schedulable", "False", planned.reason, planned.message)
    for body in seen.deployments.values():
        for each in (body.get("status") or {}).get("conditions") or ():
            if each["type"] == "ReplicaFailure" and each["status"] == "True":
                return _refused(each.get("message") or "")
    staying = _staying(seen)
    waiting = [pod for pod in staying if pod.waiting]
    if waiting:
        find, them = ("1 pod finds", "it") if len(waiting) == 1 else (f"{len(waiting)} pods find", "them")
        said = next((pod.message for pod in waiting if pod.message), f"the scheduler has not looked at {them} yet")
        # What follows is about pods that would have to go for these: it adds nothing, as a rule.
        said = said.partition(" preemption: ")[0].rstrip(".")
        return Finding("Schedulable", "False", "Unschedulable", f"{find} no node: {said}: {_room(said)}")
    gated = [pod for pod in staying if pod.trouble == "Gated"]
    if gated:
        message = f"pods are held back by scheduling gates, which whoever set them must remove: {gated[0].message}"
        return Finding("Schedulable", "False", "Gated", message)
    return Finding("Schedulable", "True", "Schedulable", "every pod has found a node")


def _room(said: str) -> str:
    """What to do where the scheduler finds no node."""
    if "persistentvolumeclaim" in said:
        return "make that claim, in the pool's namespace"
    return "add nodes, or lower spec.replicas or spec.resources"


def _refused(message: str) -> Finding:
    """The API server refused to make pods."""
    if "exceeded quota" in message:
        advice = "raise the ResourceQuota, or lower spec.replicas or spec.resources"
        return Finding("Schedulable", "False", "QuotaExceeded", f"{message}: {advice}")
    if "violates PodSecurity" in message:
        advice = "remove from spec.podTemplate what the namespace's Pod Security level does not allow"
        return Finding("Schedulable", "False", "PodSecurity", f"{message}: {advice}")
    advice = "change what it names, in the pool or in the namespace"
    return Finding("Schedulable", "False", "PodsRefused", f"{message}: {advice}")


def healthy(seen: Observation) -> Finding:
    """Whether no pod is in trouble that has found a node."""
    staying = _staying(seen)
    sick = [pod for pod in staying if pod.trouble in _HEALTH]
    if sick:
        first = sick[0]
        return Finding("Healthy", "False", first.trouble, f"{_HEALTH[first.trouble]}. {_named(sick)}: {first.message}")
    slow = [pod for pod in staying if pod.starting is not None and seen.now - pod.starting >= SLOW_AFTER]
    if slow:
        advice = f"`kubectl describe pod {slow[0].name}` says what for, such as a volume or a large image"
        said = f" ({slow[0].holding})" if slow[0].holding else ""
        return Finding(
            "Healthy", "False", "Starting", f"{_named(slow)} has a node and starts no container{said}: {advice}"
        )
    return Finding("Healthy", "True", "Healthy", "no pod is in trouble")


def _staying(seen: Observation) -> list[PodState]:
    return sorted((pod for pod in seen.pods if not pod.leaving), key=lambda pod: pod.name)


def _named(pods: Sequence[PodState]) -> str:
    """The first, and how many there are."""
    return f"{pods[0].name}{f' ({len(pods)} pods)' if len(pods) > 1 else ''}"
