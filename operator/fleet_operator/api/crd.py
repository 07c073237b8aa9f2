"""The CustomResourceDefinition of EncoderPools, made from the typed API. Pure.

`crds/encoderpools.yaml` and `encoderfleet crd` are what this makes.
"""

import hashlib
import json
from typing import Any

from fleet_operator.api.fields import MAX_NAME, NAME_PATTERN
from fleet_operator.api.pool import GROUP, KIND, VERSION, EncoderPool, PoolSpec
from fleet_operator.api.status import PoolStatus
from fleet_operator.api.structural import KindSchema, Schema, structural

PLURAL = "encoderpools"
SHORT_NAME = "encp"
NAME = f"{PLURAL}.{GROUP}"
APPLY = "kubectl apply --server-side --force-conflicts -f crds/"
"""How the definition is put into a cluster, also over one that Helm brought."""
SCHEMA_ANNOTATION = f"{GROUP}/schema"
"""On the definition: hash of its schema, by which the operator sees that the cluster has another one than its own."""

_COLUMNS = (
    ("Desired", "integer", ".spec.replicas", "Replicas that shall be."),
    ("Ready", "integer", ".status.readyReplicas", "Replicas that serve."),
    ("Threads", "string", ".status.threads", "CPUs of a replica, by shape of node."),
    ("Bottleneck", "string", ".status.bottleneck", "Stage that limits throughput."),
    ("Model", "string", ".status.model", "Model that is served."),
    ("Age", "date", ".metadata.creationTimestamp", "Since when the pool exists."),
)


def crd(kind: KindSchema) -> dict[str, Any]:
    """The object to apply.

    Args:
        kind: See `structural`.
    """
    schema = _schema(kind)
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": NAME, "annotations": {SCHEMA_ANNOTATION: _hash(schema)}},
        "spec": {
            "group": GROUP,
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": KIND.lower(),
                "shortNames": [SHORT_NAME],
                "categories": ["all"],
            },
            "scope": "Namespaced",
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema},
                    "subresources": {
                        "status": {},
                        "scale": {
                            "specReplicasPath": ".spec.replicas",
                            "statusReplicasPath": ".status.replicas",
                            "labelSelectorPath": ".status.selector",
                        },
                    },
                    "additionalPrinterColumns": [
                        {"name": name, "type": kind_of, "jsonPath": path, "description": text}
                        for name, kind_of, path, text in _COLUMNS
                    ],
                }
            ],
        },
    }


def _schema(kind: KindSchema) -> Schema:
    return {
        "type": "object",
        "description": EncoderPool.__doc__,
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string", "description": EncoderPool.model_fields["api_version"].description},
            "kind": {"type": "string", "description": EncoderPool.model_fields["kind"].description},
            "metadata": {"type": "object", "properties": {"name": {"type": "string"}}},
            "spec": structural(PoolSpec.model_json_schema(), kind),
            "status": _as_written(structural(PoolStatus.model_json_schema(), kind)),
        },
        "x-kubernetes-validations": [
            {
                "rule": f"self.metadata.name.size() <= {MAX_NAME} && self.metadata.name.matches('{NAME_PATTERN}')",
                "message": "must be lower-case letters, digits and dashes, a letter first, "
                f"at most {MAX_NAME} of them: what belongs to the pool is named after it",
                "fieldPath": ".metadata.name",
            }
        ],
    }


def _as_written(schema: Schema) -> Schema:
    """A schema whose fields are never filled in: what the operator did not write is not there."""
    kept = {key: each for key, each in schema.items() if key != "default"}
    if "properties" in schema:
        kept["properties"] = {name: _as_written(each) for name, each in schema["properties"].items()}
    if "items" in schema:
        kept["items"] = _as_written(schema["items"])
    return kept


def _hash(schema: Schema) -> str:
    return hashlib.sha256(json.dumps(schema, sort_keys=True).encode()).hexdigest()[:16]
