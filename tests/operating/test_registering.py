"""Language servers where the operator may not look."""

import json
from typing import Any

import pytest
from tests.cluster.control_plane import ControlPlane
from tests.cluster.fixtures import Nodes
from tests.cluster.kwok import CUSTOM

from operating.operator_process import Pools

TYPE = "ConsumersRegistered"
LABELS = {"app": "vlm"}

RULES = [
    {"apiGroups": [group], "resources": resources, "verbs": ["get", "list", "watch", "create", "patch", "delete"]}
    for group, resources in {
        "encoderfleet.io": ["encoderpools", "encoderpools/status", "encoderpools/scale"],
        "apps": ["deployments"],
        "": ["serviceaccounts", "pods", "events", "services"],
        "policy": ["poddisruptionbudgets"],
        "networking.k8s.io": ["networkpolicies"],
        "autoscaling": ["horizontalpodautoscalers"],
    }.items()
]
"""Of an operator that serves some namespaces."""


@pytest.mark.parametrize(
    "server",
    [
        {"service": {"name": "vlm", "namespace": "kube-system"}},
        {"selector": {"matchLabels": LABELS}, "namespace": "kube-system"},
    ],
)
def test_where_the_operator_may_not_look_it_says_so(
    own_pools: Pools, start_operator: Any, nodes: Nodes, control_plane: ControlPlane, server: dict[str, Any]
) -> None:
    nodes(1, cpus=4)
    name = f"only-{own_pools.namespace}"
    rbac, subjects = "rbac.authorization.k8s.io", [{"kind": "User", "name": name}]
    for kind, more in {
        "Role": {"rules": RULES},
        "RoleBinding": {"roleRef": {"apiGroup": rbac, "kind": "Role", "name": name}, "subjects": subjects},
    }.items():
        body = {"apiVersion": f"{rbac}/v1", "kind": kind, "metadata": {"name": name}, **more}
        own_pools.kubectl("apply", "-f", "-", input=json.dumps(body))
    operator = start_operator(control_plane.kubeconfig_for_user(name)).wait_until_ready()
    own_pools.apply(
        "vision",
        resources={"gpus": 0, "cpus": 1},
        scheduling={"nodeSelector": nodes.selector},
        podTemplate={"annotations": CUSTOM},
        consumers=[server],
    )
    found = own_pools.wait("vision", TYPE, "False", "ConsumersUnreadable")
    assert "the operator may not" in found["message"]
    assert "list pods of the namespace kube-system: give its service account that right there" in found["message"]
    # It is not asked again and again.
    refused = operator.metric("encoderfleet_api_requests_total", code="403")
    assert refused <= 3


def test_language_servers_of_another_namespace_have_to_agree(
    own_pools: Pools, start_operator: Any, nodes: Nodes, control_plane: ControlPlane
) -> None:
    nodes(1, cpus=4)
    start_operator().wait_until_ready()
    chat = control_plane.create_namespace()
    try:
        servers = Pools(control_plane, chat)
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "vlm-0", "labels": LABELS}}
        spec = {"nodeSelector": {"no": "node"}, "containers": [{"name": "main", "image": "sglang"}]}
        servers.kubectl("apply", "-f", "-", input=json.dumps({**pod, "spec": spec}))
        ready = [{"type": "Ready", "status": "True"}]
        # An address of this machine at which nobody listens.
        status = {"phase": "Running", "podIP": "127.77.7.7", "podIPs": [{"ip": "127.77.7.7"}], "conditions": ready}
        patch = json.dumps({"status": status})
        servers.kubectl("patch", "pod", "vlm-0", "--subresource=status", "--type=merge", "-p", patch)
        own_pools.apply(
            "vision",
            resources={"gpus": 0, "cpus": 1},
            scheduling={"nodeSelector": nodes.selector},
            podTemplate={"annotations": CUSTOM},
            consumers=[{"selector": {"matchLabels": LABELS}, "namespace": chat}],
        )
        found = own_pools.wait("vision", TYPE, "False", "NotAllowed")
        assert (
            f"{chat}/vlm-0: of another namespace, and told of no encoder of {own_pools.namespace}" in found["message"]
        )
        servers.kubectl("annotate", "pod", "vlm-0", f"encoderfleet.io/encoders-from={own_pools.namespace}")
        # Now it is asked.
        found = own_pools.wait("vision", TYPE, "False", "Unreachable")
        assert f"{chat}/vlm-0: its list of encoders, port 8997, refuses connections" in found["message"]
    finally:
        control_plane.delete_namespace(chat)
