"""How many CPUs a pod holds, by its template or its own spec. Pure."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from fleet_operator.quantity import quantity_or_zero


def cpu_request(spec: Mapping[str, Any]) -> Decimal:
    """CPUs that the scheduler counts for a pod.

    What the pod asks for as a whole, else the containers' sum, or more where an init container asks for more; init
    containers that go on running count with the containers, and with the init containers after them. The runtime's
    overhead comes on top.
    """
    running = sum((_cpu(each) for each in spec.get("containers") or ()), Decimal(0))
    highest = beside = Decimal(0)
    for each in spec.get("initContainers") or ():
        if each.get("restartPolicy") == "Always":
            beside += _cpu(each)
            highest = max(highest, beside)
        else:
            highest = max(highest, beside + _cpu(each))
    asked = _cpu(spec) or max(running + beside, highest)
    return asked + quantity_or_zero((spec.get("overhead") or {}).get("cpu"))


def devices(spec: Mapping[str, Any]) -> frozenset[str]:
    """Extended resources, such as `nvidia.com/gpu`, that containers of the pod have."""
    containers = spec.get("containers") or ()
    return frozenset(
        name for each in containers for name in (each.get("resources") or {}).get("limits") or {} if "/" in name
    )


def _cpu(part: Mapping[str, Any]) -> Decimal:
    """What a container, or a pod as a whole, asks for."""
    resources = part.get("resources") or {}
    requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
    return quantity_or_zero(requests.get("cpu", limits.get("cpu")))
