"""JSON Schema, as pydantic writes it -> structural schema, as a CustomResourceDefinition wants it. Pure.

A structural schema has no references and no unions, says the type at every level, and lets unknown fields be pruned.
See "Specifying a structural schema" in Kubernetes' documentation.
"""

from collections.abc import Callable, Mapping
from typing import Any

from fleet_operator.api.amounts import AS_BYTES
from fleet_operator.api.borrowed import KUBERNETES_KIND
from fleet_operator.quantity import format_quantity

Schema = dict[str, Any]
KindSchema = Callable[[str], Schema]

_DROPPED = ("title", "additionalProperties", "patternProperties", "propertyNames", "$defs", KUBERNETES_KIND, AS_BYTES)
_BOUNDS_OF_OTHERS = {
    "string": {"maxLength": 4096},
    "array": {"maxItems": 256},
    "object": {"maxProperties": 256},
    "integer": {"minimum": -(2**31), "maximum": 2**31 - 1},
}


def structural(schema: Mapping[str, Any], kind: KindSchema) -> Schema:
    """The schema of a class, without references.

    Args:
        schema: `model_json_schema()` of it.
        kind: Gives the JSON Schema of a kind of Kubernetes' own API by its name.
    """
    return _convert(schema, schema.get("$defs", {}), kind)


def _convert(schema: Mapping[str, Any], definitions: Mapping[str, Any], kind: KindSchema) -> Schema:
    node = _resolve(schema, definitions)
    if KUBERNETES_KIND in node:
        theirs = _bounded(structural(kind(node[KUBERNETES_KIND]), kind))
        return {**theirs, **{key: node[key] for key in ("description", "default") if node.get(key) is not None}}
    result = {key: value for key, value in node.items() if key not in _DROPPED}
    if result.get("default", result) is None:
        del result["default"]
    if AS_BYTES in node and isinstance(result.get("default"), int):
        result["default"] = format_quantity(result["default"], binary=True)
    if result.get("type") == "integer" and result.get("maximum", 0) >= 2**31:
        result["format"] = "int64"
    if "const" in result:
        result["enum"] = [result.pop("const")]
    if result.get("type") == "object":
        _object(result, node, definitions, kind)
    if "items" in result:
        result["items"] = _convert(result["items"], definitions, kind)
    if result.get("x-kubernetes-int-or-string"):
        result.pop("anyOf", None)  # says the same once more, and each of them would be a further line of an error
    return result


def _object(result: Schema, node: Mapping[str, Any], definitions: Mapping[str, Any], kind: KindSchema) -> None:
    """Fields of a section, or values of a map."""
    if "properties" not in node:
        values = [node["additionalProperties"]] if isinstance(node.get("additionalProperties"), dict) else []
        values += list(node.get("patternProperties", {}).values())
        result["additionalProperties"] = _convert(values[0] if values else {"type": "string"}, definitions, kind)
        return
    result["properties"] = {name: _convert(each, definitions, kind) for name, each in node["properties"].items()}
    for name, each in result["properties"].items():
        # So that the defaults inside a section that was left out are filled in too. All of them, as the rules of the
        # section are held against what stands here.
        if name not in node.get("required", ()) and (inside := _defaults(each)):
            each["default"] = inside


def _defaults(section: Schema) -> dict[str, Any] | None:
    """A section with nothing but its defaults; None where there are none, or where something is required."""
    if "properties" not in section or section.get("required"):
        return None
    return {name: each["default"] for name, each in section["properties"].items() if "default" in each}


def _resolve(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Schema:
    """The schema itself in place of a reference to it, and of a union of it with null."""
    node = dict(schema)
    while True:
        if "$ref" in node:
            target = definitions[node.pop("$ref").rpartition("/")[2]]
        elif "allOf" in node and len(node["allOf"]) == 1:
            (target,) = node.pop("allOf")
        elif "anyOf" in node and not node.get("x-kubernetes-int-or-string"):
            some = [each for each in node.pop("anyOf") if each.get("type") != "null"]
            if len(some) > 1:
                raise ValueError(f"a structural schema has no unions: {some}")
            (target,) = some
        else:
            return node
        node = {**target, **node}


def _bounded(schema: Schema) -> Schema:
    """With a bound on every text, list, map and number of a schema that has none of its own."""
    bounded = {**schema}
    if "enum" not in schema and "properties" not in schema:
        bounded = {**_BOUNDS_OF_OTHERS.get(schema.get("type", ""), {}), **schema}
    for inner in ("items", "additionalProperties"):
        if isinstance(schema.get(inner), dict):
            bounded[inner] = _bounded(schema[inner])
    if "properties" in schema:
        bounded["properties"] = {name: _bounded(each) for name, each in schema["properties"].items()}
    return bounded
