"""All nodes, grouped by what matters: thousands of nodes are a handful of classes, and a plan looks at classes.

Two nodes are of one class where they have the same taints, the same allocatable, and the same values of the labels that
some pool or DaemonSet asks for. A heartbeat of a node changes no class, so nobody plans anew.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from fleet_operator.nodes.admission import NAME
from fleet_operator.nodes.node import Node, Taint


@dataclass(frozen=True, slots=True)
class NodeClass:
    """What its nodes have in common; see `Node`. `labels` are those that matter, sorted."""

    labels: tuple[tuple[str, str], ...]
    taints: tuple[Taint, ...]
    cpus: Decimal
    devices: tuple[tuple[str, int], ...]
    usable: bool

    def device(self, name: str) -> int:
        """How many of a device a node has."""
        return dict(self.devices).get(name, 0)


class Fleet:
    """The nodes that there are."""

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}
        self._classes: dict[NodeClass, dict[str, None]] = {}
        self._of: dict[str, NodeClass] = {}
        self._keys: frozenset[str] = frozenset()

    @property
    def classes(self) -> Mapping[NodeClass, Collection[str]]:
        """Names of the nodes of each class, first come first. Not to be kept: it changes with the nodes."""
        return self._classes

    def __len__(self) -> int:
        return len(self._nodes)

    def put(self, node: Node) -> tuple[NodeClass, ...]:
        """A node is new, or was changed. Returns the classes that lost or gained it."""
        self._nodes[node.name] = node
        kind = self._class(node)
        if self._of.get(node.name) == kind:
            return ()
        left = self._leave(node.name)
        self._of[node.name] = kind
        self._classes.setdefault(kind, {})[node.name] = None
        return (*left, kind)

    def remove(self, name: str) -> tuple[NodeClass, ...]:
        """A node is gone. Returns the class that lost it."""
        self._nodes.pop(name, None)
        return self._leave(name)

    def names(self) -> Iterable[str]:
        """Names of all nodes."""
        return self._nodes.keys()

    def look_at(self, keys: Iterable[str]) -> bool:
        """From now on these labels matter too. Returns whether that is new; then all nodes were grouped again."""
        keys = self._keys.union(keys)
        if keys == self._keys:
            return False
        self._keys = keys
        self._classes.clear()
        self._of.clear()
        for node in self._nodes.values():
            self.put(node)
        return True

    def _leave(self, name: str) -> tuple[NodeClass, ...]:
        kind = self._of.pop(name, None)
        if kind is None:
            return ()
        del self._classes[kind][name]
        if not self._classes[kind]:
            del self._classes[kind]
        return (kind,)

    def _class(self, node: Node) -> NodeClass:
        labels = {key: node.labels[key] for key in self._keys if key in node.labels}
        if NAME in self._keys:
            labels[NAME] = node.name
        return NodeClass(tuple(sorted(labels.items())), node.taints, node.cpus, node.devices, node.usable)
