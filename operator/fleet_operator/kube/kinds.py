"""Schemas of Kubernetes' own kinds, as its Python client has them."""

from typing import Any

from kubernetes.client import models

from fleet_operator.api.borrowed import KINDS, VOLUME


def kind_schema(name: str) -> dict[str, Any]:
    """JSON Schema of a class of `kubernetes.client`, such as `V1Toleration`. Of each description the first sentence.

    Of volumes only those that a pool may name: all of them would make the definition larger than `kubectl apply` can
    keep, and most are kinds of storage that Kubernetes has dropped.

    Raises:
        AttributeError: There is no such class.
    """
    schema: dict[str, Any] = getattr(models, name).model_json_schema()
    for part in (schema, *schema.get("$defs", {}).values()):
        for each in (part, *part.get("properties", {}).values()):
            if "description" in each:
                each["description"] = _first_sentence(each["description"])
    if name == VOLUME:
        known, _ = KINDS[VOLUME]
        schema["properties"] = {key: each for key, each in schema["properties"].items() if key in known}
    return schema


def _first_sentence(text: str) -> str:
    return text.partition("\n")[0].partition(". ")[0].rstrip(".") + "."
