"""Deployment: the pods on nodes of one shape."""

from fleet_operator.api import EncoderPool
from fleet_operator.cluster_plan import ShapePlan
from fleet_operator.specs.container import container, volumes
from fleet_operator.specs.names import (
    PLAN_ANNOTATION,
    SHAPE_LABEL,
    Object,
    deployment_name,
    labels,
    metadata,
    selector,
)
from fleet_operator.specs.placement import affinity, spread, tolerations
from fleet_operator.specs.runtime import Runtime
from fleet_operator.specs.user import pod_security

LOAD_SECONDS = 3600
"""A model may take so long to load: over a network, from a hub. After that the rollout counts as stuck."""
STOP_SECONDS = 15
"""Beyond its drain, a pod gets so long to end."""


def deployment(pool: EncoderPool, uid: str, row: ShapePlan, replicas: int, program: Runtime) -> Object:
    """The object.

    Args:
        pool: Whose pods.
        uid: Of the pool.
        row: What a pod is.
        replicas: How many.
        program: What a pod runs.
    """
    shape = {SHAPE_LABEL: row.name}
    kept = row.kept.dump()
    meta = metadata(pool, uid, deployment_name(pool.metadata.name, row.name), annotations={PLAN_ANNOTATION: kept})
    meta["labels"] = labels(pool, shape)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": meta,
        "spec": {
            "replicas": replicas,
            "revisionHistoryLimit": 3,
            "progressDeadlineSeconds": LOAD_SECONDS,
            "selector": {"matchLabels": {**selector(pool.metadata.name), **shape}},
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {
                    "maxSurge": pool.spec.rollout.max_surge,
                    "maxUnavailable": pool.spec.rollout.max_unavailable,
                },
            },
            "template": _template(pool, row, program),
        },
    }


def grace_seconds(pool: EncoderPool) -> int:
    """How long a pod has from the announcement of its end to SIGKILL."""
    life = pool.spec.lifecycle
    return life.termination_grace_period_seconds or life.pre_stop_seconds + life.drain_seconds + STOP_SECONDS


def _template(pool: EncoderPool, row: ShapePlan, program: Runtime) -> Object:
    mine, scheduling = pool.spec.pod_template, pool.spec.scheduling
    spec: Object = {
        "serviceAccountName": pool.metadata.name,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": grace_seconds(pool),
        "securityContext": pod_security(pool),
        "topologySpreadConstraints": spread(pool, row.name),
        "containers": [container(pool, row, program)],
        "volumes": volumes(pool),
    }
    optional: Object = {
        "affinity": affinity(scheduling.affinity, row.labels),
        "nodeSelector": dict(scheduling.node_selector),
        "tolerations": tolerations(pool, gpus=row.share.gpus > 0),
        "runtimeClassName": scheduling.runtime_class_name,
        "priorityClassName": scheduling.priority_class_name,
        "imagePullSecrets": list(mine.image_pull_secrets),
    }
    spec |= {name: value for name, value in optional.items() if value}
    meta: Object = {"labels": {**mine.labels, **labels(pool, {SHAPE_LABEL: row.name})}}
    if mine.annotations:
        meta["annotations"] = dict(mine.annotations)
    return {"metadata": meta, "spec": spec}
