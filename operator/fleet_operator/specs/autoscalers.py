"""HorizontalPodAutoscaler and KEDA's ScaledObject: autoscalers that set the pool's replicas by its subresource /scale.

Both follow one number, `encoderfleet_pool_needed_replicas`, that the operator exports: the replicas that the load asks
for. So demand, capacity and backlog are weighed in one place, and these add what they are good at: rates and windows.
"""

from fleet_operator.api import EncoderPool
from fleet_operator.api.pool import API_VERSION, KIND
from fleet_operator.api.scaling import ScalingRules
from fleet_operator.specs.names import Object, metadata

METRIC = "encoderfleet_pool_needed_replicas"
KEDA_PAUSED = "autoscaling.keda.sh/paused"
"""Annotation: KEDA lets the target be. Without it KEDA takes 0 replicas for fewer than minReplicaCount."""


def horizontal_autoscaler(pool: EncoderPool, uid: str) -> Object:
    """The object; the external metric comes from whatever metrics adapter the cluster has."""
    scaling = pool.spec.autoscaling
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": metadata(pool, uid),
        "spec": {
            "scaleTargetRef": _target(pool),
            "minReplicas": scaling.min_replicas,
            "maxReplicas": scaling.max_replicas,
            "metrics": [
                {
                    "type": "External",
                    "external": {
                        "metric": {"name": METRIC, "selector": {"matchLabels": _labels(pool)}},
                        "target": {"type": "AverageValue", "averageValue": "1"},
                    },
                }
            ],
            "behavior": _behavior(pool),
        },
    }


def scaled_object(pool: EncoderPool, uid: str) -> Object:
    """The object; KEDA asks Prometheus.

    It has no `fallback`: that of the pool is in the number already, and KEDA holds what there is where there is none.
    """
    scaling = pool.spec.autoscaling
    query = f'max({METRIC}{{pool_namespace="{pool.metadata.namespace}",pool="{pool.metadata.name}"}})'
    source = {"serverAddress": scaling.prometheus_address or "", "query": query, "threshold": "1"}
    # Else KEDA takes the empty answer, as it is while the operator is down, for 0.
    source["ignoreNullValues"] = "false"
    spec: Object = {
        "scaleTargetRef": _target(pool),
        "minReplicaCount": scaling.min_replicas,
        "maxReplicaCount": scaling.max_replicas,
        "advanced": {"horizontalPodAutoscalerConfig": {"behavior": _behavior(pool)}},
        "triggers": [{"type": "prometheus", "metricType": "AverageValue", "metadata": source}],
    }
    paused: Object = {} if pool.spec.replicas else {"annotations": {KEDA_PAUSED: "true"}}
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": metadata(pool, uid, **paused),
        "spec": spec,
    }


def _labels(pool: EncoderPool) -> dict[str, str]:
    """Of the pool's series."""
    return {"pool_namespace": pool.metadata.namespace or "", "pool": pool.metadata.name}


def _target(pool: EncoderPool) -> Object:
    return {"apiVersion": API_VERSION, "kind": KIND, "name": pool.metadata.name}


def _behavior(pool: EncoderPool) -> Object:
    behavior = pool.spec.autoscaling.behavior
    sides = {"scaleUp": _rules(behavior.scale_up), "scaleDown": _rules(behavior.scale_down)}
    return {name: rules for name, rules in sides.items() if rules}


def _rules(rules: ScalingRules) -> Object:
    result: Object = {}
    if rules.stabilization_window_seconds is not None:
        result["stabilizationWindowSeconds"] = rules.stabilization_window_seconds
    if rules.select_policy != "Max":
        result["selectPolicy"] = rules.select_policy
    if rules.policies:
        result["policies"] = [each.model_dump(by_alias=True) for each in rules.policies]
    return result
