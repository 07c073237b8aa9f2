"""Schemas of Kubernetes' own kinds, as its Python client has them."""

from typing import Any

from kubernetes.client import models

VOLUMES = frozenset(
    {
        "name",
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "hostPath",
        "image",
        "nfs",
        "persistentVolumeClaim",
        "secret",
    }
)
"""Volumes that a pool may name. All of them would make the definition larger than `kubectl apply` can keep, and most
are kinds of storage that Kubernetes has dropped."""


def kind_schema(name: str) -> dict[str, Any]:
    """JSON Schema of a class of `kubernetes.client`, such as `V1Toleration`. Of each description the first sentence.

    Raises:
        AttributeError: There is no such class.
    """
    schema: dict[str, Any] = getattr(models, name).model_json_schema()
    for part in (schema, *schema.get("$defs", {}).values()):
        for each in (part, *part.get("properties", {}).values()):
            if "description" in each:
                each["description"] = _first_sentence(each["description"])
    if name == "V1Volume":
        schema["properties"] = {key: each for key, each in schema["properties"].items() if key in VOLUMES}
    return schema


def _first_sentence(text: str) -> str:
    return text.partition("\n")[0].partition(". ")[0].rstrip(".") + "."
