"""The nodes that a pool may use, grouped by shape. Pure.

A shape is the values of `spec.scheduling.shapeLabels`, by default instance type and GPU. It is made of labels, not of
CPU counts, because pods can be pinned to labels alone. What a node of the shape has is the least that any of its nodes
has: a replica that was planned with that fits on each of them.
"""

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from typing import Any

from fleet_operator.api.pool import PoolSpec
from fleet_operator.nodes.admission import Wishes, admits
from fleet_operator.nodes.fleet import NodeClass

ANY = "any"
"""Name of the shape that is all nodes, where nodes are not to be told apart."""

_SLUG = 24


@dataclass(frozen=True, slots=True)
class DaemonLoad:
    """What one DaemonSet holds on each node that takes its pods."""

    name: str
    wishes: Wishes
    cpus: Decimal


@dataclass(frozen=True, slots=True)
class Shape:
    """Nodes that are alike.

    Attributes:
        name: Readable and unique within the pool; part of the Deployment's name.
        labels: Value of each shape label, None where the nodes do not have it.
        nodes: How many the pool may use.
        usable: How many of them may start pods now.
        cpus: Allocatable of a node, the least.
        gpus: GPUs of a node, the least.
        held: CPUs of a node that DaemonSets hold, the most.
        some: Names of a few nodes.
    """

    name: str
    labels: tuple[tuple[str, str | None], ...]
    nodes: int
    usable: int
    cpus: Decimal
    gpus: int
    held: Decimal
    some: tuple[str, ...] = ()


def pool_wishes(spec: PoolSpec, *, gpus: bool) -> Wishes:
    """What the pool's pods ask of a node. With GPUs they tolerate the taint that is named after these."""
    scheduling = spec.scheduling
    tolerations: list[Mapping[str, Any]] = list(scheduling.tolerations)
    if gpus:
        tolerations.append(gpu_toleration(spec.resources.gpu_resource))
    return Wishes(scheduling.node_selector, scheduling.affinity or {}, tolerations)


def label_keys(spec: PoolSpec) -> list[str]:
    """Labels of nodes that matter to a pool."""
    return [*spec.scheduling.shape_labels, *pool_wishes(spec, gpus=True).keys()]


def gpu_toleration(resource: str) -> dict[str, str]:
    """Of the taint that keeps pods without GPU from nodes with one."""
    return {"key": resource, "operator": "Exists", "effect": "NoSchedule"}


def shapes(
    spec: PoolSpec, classes: Mapping[NodeClass, Collection[str]], daemons: Iterable[DaemonLoad]
) -> tuple[Shape, ...]:
    """Shapes of the nodes that take the pool's pods, sorted by name.

    Of a pool that wants GPUs only nodes that have enough, of one that wants none only nodes without, unless all have
    some. A pool that does not say gets the nodes with GPUs, where there are any.
    """
    asked, resource = spec.resources.gpus, spec.resources.gpu_resource
    with_gpus = [kind for kind in _admitted(spec, classes, gpus=True) if kind.device(resource) >= max(1, asked or 1)]
    # Pods without GPUs do not tolerate the taint of nodes whose GPUs are about to come.
    plain = _admitted(spec, classes, gpus=False)
    without = [kind for kind in plain if kind.device(resource) == 0]
    chosen = (without or plain) if asked == 0 else with_gpus if asked else with_gpus or without
    groups: dict[tuple[tuple[str, str | None], ...], list[NodeClass]] = {}
    for kind in chosen:
        labels = dict(kind.labels)
        groups.setdefault(tuple((key, labels.get(key)) for key in spec.scheduling.shape_labels), []).append(kind)
    daemons = tuple(daemons)
    made = [_shape(labels, kinds, classes, daemons, resource) for labels, kinds in groups.items()]
    return tuple(sorted(made, key=lambda shape: shape.name))


def _admitted(spec: PoolSpec, classes: Iterable[NodeClass], *, gpus: bool) -> list[NodeClass]:
    wishes = pool_wishes(spec, gpus=gpus)
    return [kind for kind in classes if kind.cpus >= 1 and admits(dict(kind.labels), kind.taints, wishes)]


def _shape(
    labels: tuple[tuple[str, str | None], ...],
    kinds: Iterable[NodeClass],
    classes: Mapping[NodeClass, Collection[str]],
    daemons: tuple[DaemonLoad, ...],
    resource: str,
) -> Shape:
    kinds = list(kinds)
    return Shape(
        name=shape_name(labels),
        labels=labels,
        nodes=sum(len(classes[kind]) for kind in kinds),
        usable=sum(len(classes[kind]) for kind in kinds if kind.usable),
        cpus=min(kind.cpus for kind in kinds),
        gpus=min(kind.device(resource) for kind in kinds),
        held=max(_held(kind, daemons) for kind in kinds),
        some=tuple(name for kind in kinds for name in islice(classes[kind], 4))[:8],
    )


def _held(kind: NodeClass, daemons: Iterable[DaemonLoad]) -> Decimal:
    labels = dict(kind.labels)
    # One that asks for more than a node has holds nothing there: its pod never comes.
    possible = (each for each in daemons if each.cpus <= kind.cpus)
    return sum((each.cpus for each in possible if admits(labels, kind.taints, each.wishes)), Decimal(0))


def shape_name(labels: Iterable[tuple[str, str | None]]) -> str:
    """`p5-48xlarge-nvidia-h100-3f9a1`: of the values what a name may have, and a hash that tells them apart."""
    labels = tuple(labels)
    values = [value for _, value in labels if value is not None]
    if not values:
        return ANY
    slug = _cut(re.sub(r"[^a-z0-9]+", "-", "-".join(values).lower()).strip("-"))
    digest = hashlib.sha256(repr(labels).encode()).hexdigest()[:5]
    return f"{slug}-{digest}" if slug else digest


def _cut(slug: str) -> str:
    """At most `_SLUG` of it, whole words where the first is no longer than that."""
    if len(slug) <= _SLUG:
        return slug
    whole, dash, _ = slug[: _SLUG + 1].rpartition("-")
    return whole if dash else slug[:_SLUG]
