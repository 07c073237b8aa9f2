"""How the API server finds who serves external metrics, and who may ask for them."""

import base64
from typing import Any

from tests.cluster.control_plane import ControlPlane

Object = dict[str, Any]

GROUP, VERSION = "external.metrics.k8s.io", "v1beta1"
API_SERVICE = f"{VERSION}.{GROUP}"
"""A cluster has one: of two programs that serve external metrics, the one that registered last is asked."""
CONTROLLER = {"kind": "ServiceAccount", "name": "horizontal-pod-autoscaler", "namespace": "kube-system"}
HPA_USER = f"system:serviceaccount:{CONTROLLER['namespace']}:{CONTROLLER['name']}"
"""Whom the API server takes the HPA controller for."""
_RBAC = "rbac.authorization.k8s.io"


def registration(name: str, namespace: str, address: str, port: int, authority: bytes) -> list[Object]:
    """Have the API server ask a program that runs beside it.

    Args:
        name: Of its Service; its certificate is for `<name>.<namespace>.svc`.
        namespace: Of its Service.
        address: Where it listens.
        port: There.
        authority: Certificate that its own is signed by, as PEM.
    """
    # With endpoints it would be reached by an address of a Service, which only nodes with kube-proxy know.
    service = {"type": "ExternalName", "externalName": address}
    return [
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace}, "spec": service},
        {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": API_SERVICE},
            "spec": {
                "group": GROUP,
                "version": VERSION,
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
                "service": {"name": name, "namespace": namespace, "port": port},
                "caBundle": base64.b64encode(authority).decode(),
            },
        },
    ]


def rights(name: str) -> list[Object]:
    """What a metrics adapter needs, the user `name`; and the HPA controller, to ask it."""
    subject = {"kind": "User", "apiGroup": _RBAC, "name": name}
    reader = {"name": "external-metrics-reader"}
    return [
        {
            "apiVersion": f"{_RBAC}/v1",
            "kind": "ClusterRole",
            "metadata": reader,
            "rules": [{"apiGroups": [GROUP], "resources": ["*"], "verbs": ["get", "list"]}],
        },
        _binding("ClusterRoleBinding", reader, "ClusterRole", reader["name"], CONTROLLER),
        # It asks the API server who a request comes from, and whether that one may.
        _binding("ClusterRoleBinding", {"name": name}, "ClusterRole", "system:auth-delegator", subject),
        _binding(
            "RoleBinding",
            {"name": name, "namespace": "kube-system"},
            "Role",
            "extension-apiserver-authentication-reader",
            subject,
        ),
    ]


def served(control_plane: ControlPlane) -> bool:
    """Whether the API server has somebody to ask."""
    condition = "{.status.conditions[?(@.type=='Available')].status}"
    told = control_plane.kubectl("get", "apiservice", API_SERVICE, "-o", f"jsonpath={condition}", check=False)
    return told == "True"


def _binding(kind: str, named: Object, role_kind: str, role: str, subject: Object) -> Object:
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": kind,
        "metadata": named,
        "roleRef": {"apiGroup": _RBAC, "kind": role_kind, "name": role},
        "subjects": [subject],
    }
