"""Parts of Kubernetes' own API that a pool may have. The cluster's schema has all of their fields.

Here only the first level is looked at, for the slips that people make: a misspelt field, a number where text must be, a
name that is missing. What is below is judged by the cluster.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

KUBERNETES_KIND = "x-encoderfleet-kind"
"""In a schema: put the schema of this kind of Kubernetes' own API here."""
VOLUME = "V1Volume"

_WORDS: dict[type, str] = {
    str: "text: put it in quotes",
    int: "a whole number",
    bool: "true or false",
    dict: "a mapping of fields",
    list: "a list",
}


def _kind(name: str, fields: Mapping[str, type], *required: str) -> Any:
    def known(value: Any) -> Any:
        """Without the fields that have no value."""
        if not isinstance(value, Mapping):
            return value
        return {key: each for key, each in value.items() if each is not None or key not in fields}

    def check(value: dict[str, Any]) -> dict[str, Any]:
        for key, each in value.items():
            if key not in fields:
                raise ValueError(f"{key} is not a field of it; there are {', '.join(fields)}")
            if type(each) is not fields[key]:
                raise ValueError(f"{key} must be {_WORDS[fields[key]]}")
        for key in required:
            if key not in value:
                raise ValueError(f"{key} is missing")
        return value

    KINDS[name] = dict(fields), required
    schema = WithJsonSchema({"type": "object", KUBERNETES_KIND: name})
    return Annotated[dict[str, Any], BeforeValidator(known), AfterValidator(check), schema]


KINDS: dict[str, tuple[dict[str, type], tuple[str, ...]]] = {}
"""Fields of each kind, and which of them are required; held against Kubernetes' own by a test."""

Affinity = _kind("V1Affinity", {"nodeAffinity": dict, "podAffinity": dict, "podAntiAffinity": dict})
EnvVar = _kind("V1EnvVar", {"name": str, "value": str, "valueFrom": dict}, "name")
LocalObjectReference = _kind("V1LocalObjectReference", {"name": str})
NetworkPolicyPeer = _kind("V1NetworkPolicyPeer", {"ipBlock": dict, "namespaceSelector": dict, "podSelector": dict})
Toleration = _kind("V1Toleration", {"effect": str, "key": str, "operator": str, "tolerationSeconds": int, "value": str})
Volume = _kind(
    VOLUME,
    {
        "name": str,
        "configMap": dict,
        "csi": dict,
        "downwardAPI": dict,
        "emptyDir": dict,
        "hostPath": dict,
        "image": dict,
        "nfs": dict,
        "persistentVolumeClaim": dict,
        "secret": dict,
    },
    "name",
)
VolumeMount = _kind(
    "V1VolumeMount",
    {
        "bindMountOptions": list,
        "mountPath": str,
        "mountPropagation": str,
        "name": str,
        "readOnly": bool,
        "recursiveReadOnly": str,
        "subPath": str,
        "subPathExpr": str,
    },
    "mountPath",
    "name",
)


def _each_name_once(entries: tuple[dict[str, Any], ...]) -> tuple[dict[str, Any], ...]:
    names = [each.get("name") for each in entries]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"names {twice} twice: remove one")
    return entries


EACH_NAME_ONCE = AfterValidator(_each_name_once)
"""For a list whose entries are told apart by their names; beside `rules.BY_NAME`."""
