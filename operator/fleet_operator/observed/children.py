"""An object that belongs to a pool, as it was last seen. Kept as JSON text: a tenth of the memory of its mappings."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fleet_operator.api.pool import KIND
from fleet_operator.specs.names import POOL_LABEL

_METADATA = ("name", "namespace", "uid", "labels", "annotations", "ownerReferences", "generation", "deletionTimestamp")


@dataclass(frozen=True, slots=True)
class Child:
    """The object.

    Attributes:
        pool: Name of the pool, by its label.
        owner: uid of the pool that controls it; empty where none does.
        version: `resourceVersion`.
    """

    kind: str
    namespace: str
    name: str
    pool: str
    uid: str
    owner: str
    version: str
    leaving: bool
    text: str

    @property
    def body(self) -> dict[str, Any]:
        """The object, without what the API server keeps for itself."""
        body: dict[str, Any] = json.loads(self.text)
        return body


def read_child(kind: str, body: Mapping[str, Any]) -> Child:
    """The child of an API object."""
    meta = body["metadata"]
    owners = [
        each["uid"] for each in meta.get("ownerReferences") or () if each.get("controller") and each["kind"] == KIND
    ]
    kept = {key: value for key, value in body.items() if key not in ("metadata", "apiVersion", "kind")}
    if kind != "Deployment":
        kept.pop("status", None)
    kept["metadata"] = {key: meta[key] for key in _METADATA if key in meta}
    return Child(
        kind=kind,
        namespace=meta["namespace"],
        name=meta["name"],
        pool=(meta.get("labels") or {}).get(POOL_LABEL, ""),
        uid=meta["uid"],
        owner=owners[0] if owners else "",
        version=meta["resourceVersion"],
        leaving="deletionTimestamp" in meta,
        text=json.dumps(kept, separators=(",", ":")),
    )


def newer(version: str, other: str) -> bool:
    """Whether one `resourceVersion` of a kind is later than another. They are whole numbers, and may be compared."""
    return (len(version), version) > (len(other), other)
