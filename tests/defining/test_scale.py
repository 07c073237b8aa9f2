"""The subresource /scale: what `kubectl scale`, HorizontalPodAutoscalers and KEDA go by."""

import json
from typing import Any

import pytest

from operating.operator_process import Pools, until

SELECTOR = "encoderfleet.io/pool=scaled"


def scale(pools: Pools, name: str) -> dict[str, Any]:
    path = f"/apis/encoderfleet.io/v1alpha1/namespaces/{pools.namespace}/encoderpools/{name}/scale"
    found: dict[str, Any] = json.loads(pools.control_plane.kubectl("get", "--raw", path))
    return found


def tell(pools: Pools, name: str, **status: Any) -> None:
    """As the operator writes it."""
    pools.kubectl("patch", "encp", name, "--subresource=status", "--type=merge", "-p", json.dumps({"status": status}))


def test_it_has_replicas_of_spec_and_status_and_the_selector_as_text(pools: Pools) -> None:
    pools.apply("scaled", replicas=2)
    assert scale(pools, "scaled")["spec"] == {"replicas": 2}
    assert "selector" not in scale(pools, "scaled")["status"]
    tell(pools, "scaled", replicas=1, selector=SELECTOR)
    assert scale(pools, "scaled")["status"] == {"replicas": 1, "selector": SELECTOR}


def test_kubectl_scale_sets_replicas_and_keeps_to_the_bounds(pools: Pools) -> None:
    pools.apply("resized", replicas=2)
    pools.kubectl("scale", "encp/resized", "--replicas=5")
    assert pools.get("encp", "resized")["spec"]["replicas"] == 5
    pools.kubectl("scale", "encp/resized", "--replicas=0")
    assert pools.get("encp", "resized")["spec"]["replicas"] == 0
    with pytest.raises(Exception, match="less than or equal to 100000"):
        pools.kubectl("scale", "encp/resized", "--replicas=100001")
    with pytest.raises(Exception, match="Expected replicas to be 7"):
        pools.kubectl("scale", "encp/resized", "--current-replicas=7", "--replicas=1")


def test_writing_the_status_changes_no_spec_and_the_other_way_round(pools: Pools) -> None:
    pools.apply("apart", replicas=2)
    patch = json.dumps({"spec": {"replicas": 9}, "status": {"replicas": 1}})
    pools.kubectl("patch", "encp", "apart", "--subresource=status", "--type=merge", "-p", patch)
    pools.kubectl("patch", "encp", "apart", "--type=merge", "-p", json.dumps({"status": {"replicas": 7}}))
    there = pools.get("encp", "apart")
    assert (there["spec"]["replicas"], there["status"]["replicas"]) == (2, 1)
    assert there["metadata"]["generation"] == 1


def test_an_autoscaler_reads_the_selector(pools: Pools) -> None:
    """The controller asks for it before it asks for any metric: without a selector it does not scale."""
    pools.apply("watched", replicas=2)
    resource = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}
    autoscaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "watched"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "encoderfleet.io/v1alpha1", "kind": "EncoderPool", "name": "watched"},
            "minReplicas": 1,
            "maxReplicas": 5,
            "metrics": [{"type": "Resource", "resource": resource}],
        },
    }
    pools.kubectl("apply", "-f", "-", input=json.dumps(autoscaler))

    def reason(kind: str) -> str:
        status = (pools.get("hpa", "watched") or {}).get("status") or {}
        found = [each["reason"] for each in status.get("conditions") or () if each["type"] == kind]
        return found[0] if found else ""

    until(lambda: reason("ScalingActive") == "InvalidSelector")
    assert reason("AbleToScale") == "SucceededGetScale"
    tell(pools, "watched", replicas=2, selector="encoderfleet.io/pool=watched")
    until(lambda: reason("ScalingActive") == "FailedGetResourceMetric")  # it is the metrics that lack now
    assert pools.get("hpa", "watched")["status"]["currentReplicas"] == 2
