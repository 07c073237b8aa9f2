"""The condition ScalingActive: whether somebody sets `spec.replicas` by load, and what keeps them. Pure."""

from fleet_operator.autoscale.sglang_samples import REQUEST_PATCHES
from fleet_operator.reconcile.finding import PAUSED, Finding
from fleet_operator.reconcile.observation import Observation

_GOES_ON = {
    "HPA": "the HorizontalPodAutoscaler finds no metric, and holds what is within minReplicas and maxReplicas",
    "KEDA": (
        "KEDA finds no metric, and holds what is within minReplicas and maxReplicas; `kubectl annotate scaledobject "
        "{name} autoscaling.keda.sh/paused=true` stops it altogether"
    ),
}
"""What goes on while a pool is paused."""


def scaling(seen: Observation) -> Finding:
    """Whether somebody scales a pool."""
    inactive = _inactive(seen)
    if inactive is not None:
        reason, message = inactive
        return Finding("ScalingActive", "False", reason, message)
    backend = seen.pool.spec.autoscaling.backend
    if backend != "Builtin":
        return Finding("ScalingActive", "True", backend, f"a {backend} object sets spec.replicas")
    if seen.decision is None:
        return Finding("ScalingActive", "Unknown", "NoDecisionYet", "the load has not been looked at yet")
    said = "the operator sets spec.replicas by load"
    if seen.pool.spec.runtime == "SGLang":
        said += f"; SGLang's encoder tells requests, not patches: each counts as {REQUEST_PATCHES:g}"
    return Finding("ScalingActive", "True", "Builtin", said)


def _inactive(seen: Observation) -> tuple[str, str] | None:
    """Why nobody does."""
    spec = seen.pool.spec
    backend = spec.autoscaling.backend
    if spec.autoscaling.mode == "Off":
        return "Off", "spec.autoscaling.mode is Off: spec.replicas is yours"
    if spec.autoscaling.mode == "Advise":
        return "Advise", "spec.autoscaling.mode is Advise: spec.replicas is yours"
    if backend == "KEDA" and "ScaledObject" not in seen.kinds:
        return "KedaMissing", "the cluster has no ScaledObject: install KEDA, then restart the operator"
    if spec.paused:
        held = _GOES_ON.get(backend, "").format(name=seen.pool.metadata.name)
        return "Paused", f"{PAUSED}; {held}" if held else PAUSED
    if spec.replicas == 0:
        return "ScalingDisabled", "spec.replicas is 0: scale to at least 1 to have it scaled by load"
    if seen.refusal:
        advice = "give the operator's service account the right to patch encoderpools/scale, or change what refuses it"
        return "ScaleFailed", f"{seen.refusal}: {advice}; it is tried again and again"
    if backend == "Builtin" and seen.decision is not None and seen.decision.basis == "fallback":
        return "NoSamples", seen.decision.reason
    return None
