"""PodDisruptionBudget: how many replicas a drain of nodes may take at a time."""

from fleet_operator.api import EncoderPool
from fleet_operator.specs.names import Object, metadata, selector


def disruption_budget(pool: EncoderPool, uid: str) -> Object:
    """The object. At least one may go, else no node could ever be drained; pods that are not ready may always go."""
    allowed = pool.spec.rollout.max_unavailable
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata(pool, uid),
        "spec": {
            "maxUnavailable": 1 if allowed in (0, "0%") else allowed,
            "selector": {"matchLabels": selector(pool.metadata.name)},
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }
