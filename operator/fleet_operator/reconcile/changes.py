"""What shall be, against what is -> the writes that are missing. Pure."""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from types import MappingProxyType

from fleet_operator.kube.resources import CHILDREN, DISPOSABLE
from fleet_operator.observed.children import Child
from fleet_operator.reconcile.drift import APPLIED, covers, differences
from fleet_operator.specs.names import Object


@dataclass(frozen=True, slots=True)
class Apply:
    """Apply an object.

    Attributes:
        body: The object.
        new: Whether none was seen: then it must be looked up first, as a name may be another's.
        restores: Whether it is as it was applied before, and somebody changed it since.
    """

    body: Object
    new: bool
    restores: bool


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete an object that the pool has no use for any more."""

    child: Child


@dataclass(frozen=True, slots=True)
class Blocked:
    """An object's name is in use.

    Attributes:
        body: The object.
        passing: Whether it is of a pool of that name that was deleted: it goes by itself.
    """

    body: Object
    passing: bool


@dataclass(frozen=True, slots=True)
class Resize:
    """Set a Deployment's replicas and leave its pods as they are: the rest of it waits; see `rollout`.

    Attributes:
        body: The Deployment as it shall be in the end.
        uid: Of the Deployment that is there.
        replicas: That it shall have now.
        annotations: That go with them; None removes one.
    """

    body: Object
    uid: str
    replicas: int
    annotations: Mapping[str, str | None]


Change = Apply | Delete | Blocked | Resize

_BEFORE_PODS = frozenset({"ServiceAccount", "NetworkPolicy"})


Rewritten = Mapping[tuple[str, str], frozenset[str]]
"""By kind and name: fields that do not stay as they are applied, as a webhook sets them to something else."""


def changes(
    objects: Iterable[Object],
    children: Mapping[tuple[str, str], Child],
    uid: str,
    rewritten: Rewritten = MappingProxyType({}),
) -> list[Change]:
    """The writes, in order; none where all is as it shall be, or as near to that as it can be.

    Args:
        objects: What shall be, sealed.
        children: What is, of any owner.
        uid: Of the pool.
        rewritten: What another apply would not change. An object that shall be another one is applied all the same.
    """
    result: list[Change] = []
    wanted = set()
    for body in objects:
        key = (body["kind"], body["metadata"]["name"])
        wanted.add(key)
        child = children.get(key)
        if child is None:
            result.append(Apply(body, new=True, restores=False))
        elif _is_orphan(child):
            result.append(Apply(body, new=False, restores=True))
        elif child.owner != uid or child.leaving:
            result.append(Blocked(body, passing=child.leaving or bool(child.owner)))
        elif not covers(child.body, content(body)) and not stays(child, body, rewritten.get(key, frozenset())):
            result.append(Apply(body, new=False, restores=_hash(child.body) == _hash(body)))
    extra = [
        child
        for key, child in children.items()
        if key not in wanted and child.owner == uid and not child.leaving and child.kind in DISPOSABLE
    ]
    # Last what was applied first: what pods need goes after them.
    extra.sort(key=lambda child: (-CHILDREN.index(child.kind), child.name))
    return result + [Delete(child) for child in extra]


def _is_orphan(child: Child) -> bool:
    """Whether it was a pool's and somebody has taken its owner away, as `kubectl delete --cascade=orphan` does."""
    meta = child.body["metadata"]
    return not child.leaving and not meta.get("ownerReferences") and _hash(child.body) is not None


def kind_of(change: Change) -> str:
    """Kind of the object that a change is about."""
    return change.child.kind if isinstance(change, Delete) else str(change.body["kind"])


def must_wait(change: Change, failed: Set[str]) -> bool:
    """Whether a change must not be made, as things are.

    Pods run under the ServiceAccount of the pool's name, with all that it may do: never under one of somebody else's.
    And where only some may reach them, never before that holds.

    Args:
        change: The next one.
        failed: Kinds of the pool's objects that are not as they shall be.
    """
    return isinstance(change, Apply) and kind_of(change) == "Deployment" and not failed.isdisjoint(_BEFORE_PODS)


def stays(child: Child, body: Object, rewritten: frozenset[str]) -> bool:
    """Whether an object differs from what was applied in nothing but fields that were rewritten."""
    return bool(rewritten) and differences(child.body, content(body)) <= rewritten


def content(body: Object) -> Object:
    """What a child keeps of an object."""
    return {key: value for key, value in body.items() if key not in ("apiVersion", "kind")}


def _hash(body: Mapping[str, Object]) -> object:
    return (body["metadata"].get("annotations") or {}).get(APPLIED)
