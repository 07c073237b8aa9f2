"""Nodes, DaemonSets and shapes for tests, from the objects that an API server has."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import chain
from typing import Any

from fleet_operator.api import EncoderPool
from fleet_operator.nodes.admission import Wishes
from fleet_operator.nodes.fleet import Fleet
from fleet_operator.nodes.node import Node, read_node
from fleet_operator.nodes.shapes import DaemonLoad, Shape, label_keys, shapes

GPU = "nvidia.com/gpu"
TYPE = "node.kubernetes.io/instance-type"
GPU_TAINT = {"key": GPU, "value": "present", "effect": "NoSchedule"}


def a_node(
    name: str = "n",
    *,
    cpu: int | str = 32,
    gpus: int = 0,
    labels: Mapping[str, str] | None = None,
    taints: Sequence[Mapping[str, str]] = (),
    ready: bool = True,
    cordoned: bool = False,
    **allocatable: str,
) -> dict[str, Any]:
    """A Node object; `allocatable` may have more resources."""
    resources = {"cpu": str(cpu), "memory": "256Gi", "pods": "110", **allocatable}
    if gpus:
        resources[GPU] = str(gpus)
    spec: dict[str, Any] = {"taints": [dict(taint) for taint in taints]}
    if cordoned:
        spec["unschedulable"] = True
    return {
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, **(labels or {})}},
        "spec": spec,
        "status": {
            "allocatable": resources,
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
        },
    }


def a_fleet(nodes: Iterable[Mapping[str, Any] | Node], keys: Iterable[str] = ()) -> Fleet:
    """All these nodes, grouped by their hardware and the labels `keys`."""
    fleet = Fleet()
    fleet.look_at(keys)
    for node in nodes:
        fleet.put(node if isinstance(node, Node) else read_node(node))
    return fleet


def a_daemon(cpus: int | str, **wishes: Any) -> DaemonLoad:
    """A DaemonSet; `wishes` are `selector`, `affinity` and `tolerations`."""
    asked = Wishes(wishes.get("selector", {}), wishes.get("affinity", {}), wishes.get("tolerations", ()))
    return DaemonLoad("agent", asked, Decimal(cpus))


def shapes_for(
    pool: EncoderPool, nodes: Iterable[Mapping[str, Any] | Node], daemons: Iterable[DaemonLoad] = ()
) -> tuple[Shape, ...]:
    """Shapes that the pool may use, as the reconciler finds them."""
    daemons = tuple(daemons)
    keys = [*label_keys(pool.spec), *chain(*(each.wishes.keys() for each in daemons))]
    return shapes(pool.spec, a_fleet(nodes, keys).classes, daemons)


def a_shape(name: str = "any", **fields: Any) -> Shape:
    """A shape of one node with 32 CPUs; CPUs may be given as text."""
    made = {"labels": (), "nodes": 1, "usable": 1, "cpus": 32, "gpus": 0, "held": 0, **fields}
    for each in ("cpus", "held"):
        made[each] = Decimal(made[each])
    return Shape(name=name, **made)
