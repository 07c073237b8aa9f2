"""Objects of the site. Pure."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.node import images

from fleet_operator.specs.names import POOL_LABEL, WIRE_PORT

NAMESPACE = "fleet"
MEDIA = "/media"

Object = dict[str, Any]


def endpoint(pool: str) -> str:
    """Where pods reach a pool's encoders."""
    return f"{pool}.{NAMESPACE}.svc:{WIRE_PORT}"


def no_driver() -> list[Object]:
    """A policy for nodes whose GPUs are only said to be.

    An encoder that was given a GPU computes on it, or ends with an error. Here it takes what it finds.
    """
    kind = "MutatingAdmissionPolicy"
    api = {"apiVersion": "admissionregistration.k8s.io/v1"}
    variable = 'Object.spec.containers.env{name: "ENCODERFLEET_DEVICE", value: "auto"}'
    container = f'Object.spec.containers{{name: "main", env: [{variable}]}}'
    pods = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    spec = {
        "failurePolicy": "Fail",
        "reinvocationPolicy": "Never",
        "matchConstraints": {"resourceRules": [pods]},
        "matchConditions": [
            {"name": "encoder", "expression": f'"{POOL_LABEL}" in object.metadata.?labels.orValue({{}})'}
        ],
        "mutations": [
            {
                "patchType": "ApplyConfiguration",
                "applyConfiguration": {"expression": f"Object{{spec: Object.spec{{containers: [{container}]}}}}"},
            }
        ],
    }
    name = {"name": "no-gpu-driver"}
    return [
        {**api, "kind": kind, "metadata": name, "spec": spec},
        {**api, "kind": f"{kind}Binding", "metadata": name, "spec": {"policyName": name["name"]}},
    ]


def volume(name: str, folder: Path) -> list[Object]:
    """A volume with a folder of the nodes, and the claim to it."""
    size = {"storage": "1Gi"}
    common = {"accessModes": ["ReadOnlyMany"], "storageClassName": ""}
    claim = {"name": name, "namespace": NAMESPACE}
    return [
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": name},
            "spec": {**common, "capacity": size, "claimRef": claim, "hostPath": {"path": str(folder)}},
        },
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": claim,
            "spec": {**common, "volumeName": name, "resources": {"requests": size}},
        },
    ]


def client_pod(name: str, media: Sequence[str], command: Sequence[str]) -> Object:
    """A pod of the encoder's image that runs a command, and sees media."""
    container = {
        "name": "client",
        "image": images.ENCODER,
        "command": list(command),
        "env": [{"name": "HOME", "value": "/tmp"}],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": each, "mountPath": f"{MEDIA}/{each}", "readOnly": True} for each in media],
    }
    spec = {
        "nodeSelector": {"example.com/role": "system"},
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "terminationGracePeriodSeconds": 0,
        "restartPolicy": "Never",
        "containers": [container],
        "volumes": [{"name": each, "persistentVolumeClaim": {"claimName": each}} for each in media],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec}
