"""PodMonitor, of the Prometheus operator: scrape every encoder."""

from fleet_operator.api import EncoderPool
from fleet_operator.specs.names import POOL_LABEL, Object, labels, metadata, selector
from fleet_operator.specs.runtime import Runtime, http_port


def pod_monitor(pool: EncoderPool, uid: str, program: Runtime) -> Object:
    """The object. Each series gets the pool's name as label `pool`."""
    meta = metadata(pool, uid)
    meta["labels"] = {**pool.spec.monitoring.labels, **labels(pool)}
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PodMonitor",
        "metadata": meta,
        "spec": {
            "selector": {"matchLabels": selector(pool.metadata.name)},
            "podMetricsEndpoints": [
                {
                    "port": http_port(program),
                    "path": "/metrics",
                    "interval": "15s",
                    "relabelings": [
                        {
                            "sourceLabels": [f"__meta_kubernetes_pod_label_{POOL_LABEL.translate(_LABEL)}"],
                            "targetLabel": "pool",
                        }
                    ],
                }
            ],
        },
    }


_LABEL = str.maketrans("./-", "___")
"""As Prometheus writes the names of Kubernetes' labels."""
