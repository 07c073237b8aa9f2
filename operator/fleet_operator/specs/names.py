"""Names and labels of what belongs to a pool."""

from collections.abc import Mapping
from typing import Any

from fleet_operator.api import EncoderPool
from fleet_operator.api.pool import API_VERSION, GROUP, KIND

Object = dict[str, Any]
"""A Kubernetes object as JSON."""

POOL_LABEL = f"{GROUP}/pool"
SHAPE_LABEL = f"{GROUP}/shape"
PLAN_ANNOTATION = f"{GROUP}/plan"
"""On a Deployment: what its pods were planned with, as JSON."""
ENCODERS_FROM = f"{GROUP}/encoders-from"
"""On a language server's pod: namespaces other than its own whose pools' encoders it takes."""
MANAGER = "encoderfleet"
"""Field manager of everything that the operator applies, and value of the label `managed-by`."""
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"

WIRE_PORT = 5570
HTTP_PORT = 8080
SGLANG_PORT = 30000
"""Where an encoder speaks SGLang's wire: ours beside its own one, SGLang's as its only one."""


def labels(pool: EncoderPool, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Of every object of a pool."""
    return {
        "app.kubernetes.io/name": "encoder",
        "app.kubernetes.io/instance": pool.metadata.name,
        "app.kubernetes.io/part-of": "encoderfleet",
        "app.kubernetes.io/managed-by": MANAGER,
        POOL_LABEL: pool.metadata.name,
        **(extra or {}),
    }


def selector(pool_name: str) -> dict[str, str]:
    """Of all pods of a pool."""
    return {POOL_LABEL: pool_name}


def deployment_name(pool_name: str, shape: str) -> str:
    """Of the pods on one shape of node."""
    return f"{pool_name}-{shape}"


def metadata(pool: EncoderPool, uid: str, name: str | None = None, **more: Any) -> Object:
    """Of an object that goes when the pool goes, with or without the operator.

    Args:
        pool: Whose.
        uid: Of the pool.
        name: Of the object; the pool's where not given.
        more: Further metadata.
    """
    return {
        "name": name or pool.metadata.name,
        "namespace": pool.metadata.namespace,
        "labels": labels(pool),
        "ownerReferences": [
            {
                "apiVersion": API_VERSION,
                "kind": KIND,
                "name": pool.metadata.name,
                "uid": uid,
                "controller": True,
                "blockOwnerDeletion": False,
            }
        ],
        **more,
    }
