"""A Node object -> what a plan needs of it. Pure."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from fleet_operator.quantity import quantity_or_zero

TRANSIENT = frozenset({"node.cloudprovider.kubernetes.io/uninitialized"})
TRANSIENT_PREFIX = "node.kubernetes.io/"
"""Taints that say how a node is at the moment (not ready, cordoned, short of memory), not what it is for."""

_NOT_GPUS = ("hugepages-", "attachable-volumes-", "kubernetes.io/")


MAX_CPUS = 1 << 16
MAX_DEVICES = 1 << 16
"""More than any node has."""


@dataclass(frozen=True, slots=True)
class Taint:
    """What keeps pods from a node."""

    key: str
    value: str
    effect: str


@dataclass(frozen=True, slots=True)
class Node:
    """One node.

    Attributes:
        labels: All of its labels.
        taints: Those that say what it is for, sorted.
        cpus: Allocatable; 0 where the node does not tell.
        memory: Allocatable bytes.
        devices: Allocatable extended resources, such as `nvidia.com/gpu`, sorted.
        usable: Whether new pods may start there now: ready, and not cordoned.
    """

    name: str
    labels: Mapping[str, str]
    taints: tuple[Taint, ...]
    cpus: Decimal
    memory: int
    devices: tuple[tuple[str, int], ...]
    usable: bool


def read_node(body: Mapping[str, Any]) -> Node:
    """The node of an API object."""
    spec, status, metadata = body.get("spec") or {}, body.get("status") or {}, body["metadata"]
    allocatable = status.get("allocatable") or {}
    taints = {
        Taint(taint["key"], taint.get("value") or "", taint["effect"])
        for taint in spec.get("taints") or ()
        if taint["key"] not in TRANSIENT and not taint["key"].startswith(TRANSIENT_PREFIX)
    }
    amounts = {
        name: int(_sane(quantity_or_zero(amount), MAX_DEVICES))
        for name, amount in sorted(allocatable.items())
        if "/" in name and not name.startswith(_NOT_GPUS)
    }
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in status.get("conditions") or ())
    return Node(
        name=metadata["name"],
        # Thousands of nodes have the same few texts.
        labels={sys.intern(key): sys.intern(value) for key, value in (metadata.get("labels") or {}).items()},
        taints=tuple(sorted(taints, key=lambda taint: (taint.key, taint.value, taint.effect))),
        cpus=_sane(quantity_or_zero(allocatable.get("cpu")), MAX_CPUS),
        memory=int(quantity_or_zero(allocatable.get("memory"))),
        devices=tuple((sys.intern(name), amount) for name, amount in amounts.items() if amount),
        usable=ready and not spec.get("unschedulable", False),
    )


def _sane(amount: Decimal, most: int) -> Decimal:
    """0 where a node says what none has: that would be in plans, and in no status."""
    return amount if amount <= most else Decimal(0)
