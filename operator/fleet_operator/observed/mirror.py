"""All that the operator knows of the cluster, from watches and from answers to its own writes. Decides nothing."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, NamedTuple

from fleet_operator.api import EncoderPool
from fleet_operator.api.load import read_stored
from fleet_operator.api.pool import KIND
from fleet_operator.nodes.admission import Wishes, admits
from fleet_operator.nodes.fleet import Fleet, NodeClass
from fleet_operator.nodes.node import read_node
from fleet_operator.nodes.requests import cpu_request
from fleet_operator.nodes.shapes import DaemonLoad, pool_wishes
from fleet_operator.observed.children import Child, newer
from fleet_operator.observed.pods import PodState, read_pod
from fleet_operator.specs.names import POOL_LABEL

Name = tuple[str, str]
"""Namespace (empty where there is none) and name of an object."""


class Key(NamedTuple):
    """A pool."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class Mirror:
    """The cluster, as last seen.

    Attributes:
        pools: API objects of the pools.
        fleet: The nodes.
    """

    def __init__(self) -> None:
        self.pools: dict[Key, dict[str, Any]] = {}
        self.fleet = Fleet()
        self._parsed: dict[Key, tuple[Any, EncoderPool]] = {}
        self._daemons: dict[tuple[str, str], DaemonLoad] = {}
        self._children: dict[Key, dict[tuple[str, str], Child]] = {}
        self._owners: dict[tuple[str, str, str], Key] = {}
        self._pods: dict[Key, dict[str, PodState]] = {}
        self._pools_of_pods: dict[Name, Key] = {}

    def put_pool(self, body: Mapping[str, Any]) -> Key | None:
        """A pool is new or was changed. Returns its key, None where what is known is newer."""
        meta = body["metadata"]
        key = Key(meta["namespace"], meta["name"])
        known = self.pools.get(key)
        if known and known["metadata"]["uid"] == meta["uid"] and not _newer(meta, known["metadata"]):
            return None
        meta = {name: value for name, value in meta.items() if name != "managedFields"}
        self.pools[key] = {**body, "metadata": meta}
        return key

    def update_pool(self, body: Mapping[str, Any]) -> None:
        """The answer to a write of ours. It may come after the pool's end was told, and brings no pool back."""
        known = self.pools.get(Key(body["metadata"]["namespace"], body["metadata"]["name"]))
        if known and known["metadata"]["uid"] == body["metadata"]["uid"]:
            self.put_pool(body)

    def remove_pool(self, namespace: str, name: str, uid: str) -> Key | None:
        """A pool is gone. Returns its key, None where another one has its name by now, or none had."""
        key = Key(namespace, name)
        known = self.pools.get(key)
        if known is None or known["metadata"]["uid"] != uid:
            return None
        del self.pools[key]
        self._parsed.pop(key, None)
        return key

    def parsed(self, key: Key) -> EncoderPool:
        """The pool of a key that is known.

        Raises:
            PoolError: It is wrong; has all problems.
        """
        body = self.pools[key]
        meta = body["metadata"]
        version = (meta["uid"], meta["generation"], tuple(sorted((meta.get("annotations") or {}).items())))
        known = self._parsed.get(key)
        if known is None or known[0] != version:
            known = self._parsed[key] = (version, read_stored(body))
        return known[1]

    def pools_on(self, kinds: Iterable[NodeClass]) -> list[Key]:
        """Pools that may use nodes of some of these classes."""
        kinds = list(kinds)
        return [key for key, (_, pool) in self._parsed.items() if any(_takes(kind, pool) for kind in kinds)]

    def put_node(self, body: Mapping[str, Any]) -> list[Key]:
        """A node is new or was changed. Returns the pools to which that matters."""
        return self.pools_on(self.fleet.put(read_node(body)))

    def remove_node(self, name: str) -> list[Key]:
        """A node is gone. Returns the pools to which that matters."""
        return self.pools_on(self.fleet.remove(name))

    def put_daemon(self, body: Mapping[str, Any]) -> bool:
        """A DaemonSet is new or was changed. Returns whether that matters to plans."""
        key = (body["metadata"]["namespace"], body["metadata"]["name"])
        load, known = read_daemon(body), self._daemons.get(key)
        if known == load:
            return False
        self._daemons[key] = load
        if load.cpus > 0:
            self.fleet.look_at(load.wishes.keys())
        return load.cpus > 0 or (known is not None and known.cpus > 0)

    def remove_daemon(self, namespace: str, name: str) -> bool:
        """A DaemonSet is gone. Returns whether that matters to plans."""
        gone = self._daemons.pop((namespace, name), None)
        return gone is not None and gone.cpus > 0

    @property
    def daemons(self) -> Iterable[DaemonLoad]:
        """What DaemonSets hold."""
        return [each for each in self._daemons.values() if each.cpus > 0]

    def put_child(self, child: Child) -> list[Key]:
        """A child is new or was changed. Returns the pools to which that matters; two where its label was changed."""
        key = Key(child.namespace, child.pool)
        place = (child.kind, child.namespace, child.name)
        others = [old for old in (self._owners.get(place),) if old not in (None, key)]
        known = self._children.get(self._owners.get(place, key), {}).get((child.kind, child.name))
        if known and known.uid == child.uid and not newer(child.version, known.version):
            return []
        for old in others:
            self._drop(old, child.kind, child.name)
        self._owners[place] = key
        self._children.setdefault(key, {})[child.kind, child.name] = child
        # Most changes are of a status that nobody looks at.
        same = known is not None and replace(known, version=child.version) == child
        return [] if same else [key, *others]

    def remove_child(self, kind: str, namespace: str, name: str, pool: str, uid: str) -> Key:
        """A child is gone."""
        key = self._owners.get((kind, namespace, name), Key(namespace, pool))
        known = self._children.get(key, {}).get((kind, name))
        if known and known.uid == uid:
            self._drop(key, kind, name)
            del self._owners[kind, namespace, name]
        return key

    def _drop(self, key: Key, kind: str, name: str) -> None:
        children = self._children.get(key, {})
        children.pop((kind, name), None)
        if not children:
            self._children.pop(key, None)

    def children(self, key: Key) -> Mapping[tuple[str, str], Child]:
        """Of a pool, by kind and name."""
        return self._children.get(key, {})

    def put_pod(self, body: Mapping[str, Any]) -> list[Key]:
        """A pod is new or was changed. Returns the pools to which that matters; two where its label was changed."""
        meta = body["metadata"]
        key = Key(meta["namespace"], meta["labels"][POOL_LABEL])
        state = read_pod(body)
        before = self._pools_of_pods.get((key.namespace, state.name), key)
        if before != key:
            self.remove_pod(key.namespace, state.name)
        elif self._pods.get(key, {}).get(state.name) == state:
            return []
        self._pools_of_pods[key.namespace, state.name] = key
        self._pods.setdefault(key, {})[state.name] = state
        return [key] if before == key else [key, before]

    def remove_pod(self, namespace: str, name: str) -> Key | None:
        """A pod is gone. Returns its pool's key where it was known."""
        key = self._pools_of_pods.pop((namespace, name), None)
        if key is None:
            return None
        pods = self._pods.get(key, {})
        pods.pop(name, None)
        if not pods:
            self._pods.pop(key, None)
        return key

    def pods(self, key: Key) -> tuple[PodState, ...]:
        """Of a pool."""
        return tuple(self._pods.get(key, {}).values())

    def versions(self, kind: str) -> dict[Name, str]:
        """`resourceVersion` of each object of a kind; empty of nodes, pods and DaemonSets, of which it is not kept."""
        if kind == KIND:
            return {key: body["metadata"]["resourceVersion"] for key, body in self.pools.items()}
        if kind == "Node":
            return {("", name): "" for name in self.fleet.names()}
        if kind == "DaemonSet":
            return dict.fromkeys(self._daemons, "")
        if kind == "Pod":
            return {(key.namespace, name): "" for key, pods in self._pods.items() for name in pods}
        return {
            (child.namespace, child.name): child.version
            for children in self._children.values()
            for child in children.values()
            if child.kind == kind
        }

    def remains(self, kind: str, namespace: str, name: str) -> dict[str, Any]:
        """What is known of an object, as a watch would tell of its end."""
        meta: dict[str, Any] = {"namespace": namespace, "name": name, "uid": ""}
        owner = self._owners.get((kind, namespace, name))
        if owner is not None:
            meta |= {"uid": self._children[owner][kind, name].uid, "labels": {POOL_LABEL: owner.name}}
        elif kind == KIND and (pool := self.pools.get(Key(namespace, name))):
            meta["uid"] = pool["metadata"]["uid"]
        return {"metadata": meta}


def read_daemon(body: Mapping[str, Any]) -> DaemonLoad:
    """What a DaemonSet holds on each node."""
    template = body["spec"]["template"]["spec"]
    wishes = Wishes(
        template.get("nodeSelector") or {}, template.get("affinity") or {}, template.get("tolerations") or ()
    )
    return DaemonLoad(body["metadata"]["name"], wishes, cpu_request(template) or Decimal(0))


def _takes(kind: NodeClass, pool: EncoderPool) -> bool:
    return admits(dict(kind.labels), kind.taints, pool_wishes(pool.spec, gpus=True))


def _newer(meta: Mapping[str, Any], known: Mapping[str, Any]) -> bool:
    return newer(meta["resourceVersion"], known["resourceVersion"])
