"""How many replicas each shape gets. Pure.

Replicas that exist stay where they are. New ones go where most places are free; where none is, to the largest group, so
that a cluster autoscaler sees what to add. Fewer: first those that no node takes, then those on nodes that are gone,
then from the smallest group. Replicas that found no node for a while move to a shape that has room, and the shape that
they left counts as full for a while: else they would come back to it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Group:
    """The replicas of one shape.

    Attributes:
        name: The shape.
        places: Replicas that its nodes take, those there included; None where nobody knows.
        replicas: As they are set now.
        stuck: Of these, how many have found no node for a while.
        full: Whether it was found full lately.
    """

    name: str
    places: int | None
    replicas: int = 0
    stuck: int = 0
    full: bool = False

    @property
    def free(self) -> int:
        """Places that new replicas may take; none where some are waiting for one already."""
        return 0 if self.full or self.stuck or self.places is None else max(0, self.places - self.replicas)


@dataclass(frozen=True, slots=True)
class Spread:
    """Replicas over shapes.

    Attributes:
        counts: Of each group.
        left: Groups that some replicas left for lack of room.
    """

    counts: Mapping[str, int]
    left: frozenset[str] = frozenset()


def distribute(desired: int, groups: Sequence[Group]) -> Spread:
    """Replicas of each group; their sum is `desired` wherever there is a group."""
    if not groups:
        return Spread({})
    counts = {group.name: group.replicas for group in groups}
    _remove(counts, groups, sum(counts.values()) - desired)
    left = _move_stuck(counts, groups)
    _add(counts, groups, desired - sum(counts.values()))
    return Spread(counts, left)


def _remove(counts: dict[str, int], groups: Sequence[Group], surplus: int) -> None:
    def take(name: str, most: int) -> None:
        nonlocal surplus
        taken = max(0, min(surplus, most, counts[name]))
        counts[name] -= taken
        surplus -= taken

    for group in groups:
        take(group.name, group.stuck)
    for group in groups:
        take(group.name, group.replicas - group.places if group.places is not None else 0)
    for group in sorted(groups, key=lambda each: (each.replicas, each.name)):
        take(group.name, counts[group.name])


def _move_stuck(counts: dict[str, int], groups: Sequence[Group]) -> frozenset[str]:
    left = set()
    waiting = {group.name: min(group.stuck, counts[group.name]) for group in groups}
    for group in sorted(groups, key=lambda each: (-each.free, each.name)):
        room = group.free
        for other in groups:
            moved = min(room, waiting[other.name])
            counts[other.name] -= moved
            waiting[other.name] -= moved
            counts[group.name] += moved
            room -= moved
            if moved:
                left.add(other.name)
    return frozenset(left)


def _add(counts: dict[str, int], groups: Sequence[Group], missing: int) -> None:
    if missing <= 0:
        return

    def room(group: Group) -> int:
        return max(0, group.free - (counts[group.name] - group.replicas))

    for group in sorted(groups, key=lambda each: (-room(each), each.name)):
        added = min(missing, room(group))
        counts[group.name] += added
        missing -= added
    largest = max(groups, key=lambda each: (each.places or 0, counts[each.name], each.name))
    counts[largest.name] += missing
