"""Where pods may run: the shape's nodes, on top of what the pool itself asks for."""

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from fleet_operator.api import EncoderPool
from fleet_operator.nodes.shapes import gpu_toleration
from fleet_operator.specs.names import SHAPE_LABEL, Object, selector

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def affinity(mine: Mapping[str, Any] | None, shape: Iterable[tuple[str, str | None]]) -> Object:
    """The pool's own affinity, each of its alternatives narrowed to the shape."""
    result = copy.deepcopy(dict(mine or {}))
    pins = [_pin(key, value) for key, value in shape]
    if not pins:
        return result
    node: Object = result.setdefault("nodeAffinity", {})
    if node.get(_REQUIRED) is None:
        node[_REQUIRED] = {"nodeSelectorTerms": [{"matchExpressions": pins}]}
        return result
    # A term without expressions matches nothing, and stays so.
    node[_REQUIRED] = {
        "nodeSelectorTerms": [
            {**term, "matchExpressions": [*(term.get("matchExpressions") or ()), *pins]}
            if term.get("matchExpressions") or term.get("matchFields")
            else term
            for term in node[_REQUIRED].get("nodeSelectorTerms") or ()
        ]
    }
    return result


def _pin(key: str, value: str | None) -> Object:
    if value is None:
        return {"key": key, "operator": "DoesNotExist"}
    return {"key": key, "operator": "In", "values": [value]}


def tolerations(pool: EncoderPool, *, gpus: bool) -> list[Object]:
    """The pool's own, and of the taint of nodes with GPUs."""
    own = [dict(each) for each in pool.spec.scheduling.tolerations]
    theirs = gpu_toleration(pool.spec.resources.gpu_resource)
    return [*own, theirs] if gpus and theirs not in own else own


def spread(pool: EncoderPool, shape: str) -> list[Object]:
    """Over zones, then over nodes, as far as there is room: a preference, so that a full zone stops nobody."""
    return [
        {
            "maxSkew": 1,
            "topologyKey": key,
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": {**selector(pool.metadata.name), SHAPE_LABEL: shape}},
        }
        for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
    ]
