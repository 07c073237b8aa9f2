"""How many replicas each shape gets. Pure.

Replicas that exist stay where they are. New ones go where most places are free; where none is, to the largest group, so
that a cluster autoscaler sees what to add. Fewer: first those that no node takes, then those of shapes that are the
pool's no more, then those on nodes that are gone, then from the smallest group. Replicas that found no node for a while
move to a shape that has room, and the shape that they left counts as full for a while: else they would come back to it.

A shape is the pool's no more where the pool was changed so that it is planned for others, say for nodes with GPUs. Its
replicas leave it as pods leave a Deployment that rolls out: at once those that do not serve, the others as far as not
too many are away.
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
        ready: Of these, how many serve.
        stuck: Of these, how many have found no node for a while.
        full: Whether it was found full lately.
        former: Whether it is the pool's no more.
    """

    name: str
    places: int | None
    replicas: int = 0
    ready: int = 0
    stuck: int = 0
    full: bool = False
    former: bool = False

    @property
    def free(self) -> int:
        """Places that new replicas may take; none where some are waiting for one already."""
        closed = self.full or self.stuck or self.former
        return 0 if closed or self.places is None else max(0, self.places - self.replicas)


@dataclass(frozen=True, slots=True)
class Spread:
    """Replicas over shapes.

    Attributes:
        counts: Of each group.
        left: Groups that some replicas left for lack of room.
    """

    counts: Mapping[str, int]
    left: frozenset[str] = frozenset()


def distribute(desired: int, groups: Sequence[Group], away: int = 1) -> Spread:
    """Replicas of each group; their sum is `desired` wherever there is a group.

    Args:
        desired: All replicas.
        groups: The shapes.
        away: Replicas that may be away while others leave former groups.
    """
    if not groups:
        return Spread({})
    counts = {group.name: group.replicas for group in groups}
    waiting = {group.name: 0 if group.former else min(group.stuck, group.replicas) for group in groups}
    _remove(counts, waiting, groups, sum(counts.values()) - desired)
    _leave_former(counts, groups, desired, away)
    left = _move_stuck(counts, waiting, groups)
    _add(counts, groups, desired - sum(counts.values()))
    return Spread(counts, left)


def _remove(counts: dict[str, int], waiting: dict[str, int], groups: Sequence[Group], surplus: int) -> None:
    def take(name: str, most: int) -> int:
        nonlocal surplus
        taken = max(0, min(surplus, most, counts[name]))
        counts[name] -= taken
        surplus -= taken
        return taken

    for group in groups:
        taken = take(group.name, group.stuck)
        waiting[group.name] = max(0, waiting[group.name] - taken)
    for group in groups:
        take(group.name, counts[group.name] if group.former else 0)
    for group in groups:
        take(group.name, 0 if group.places is None else counts[group.name] - group.places)
    for group in sorted(groups, key=lambda each: (counts[each.name], each.name)):
        take(group.name, counts[group.name])


def _leave_former(counts: dict[str, int], groups: Sequence[Group], desired: int, away: int) -> None:
    if all(group.former for group in groups):
        return
    serving = {group.name: min(group.ready, counts[group.name]) for group in groups}
    spare = max(0, away - (desired - sum(serving.values())))
    for group in groups:
        if group.former:
            leaving = min(spare, serving[group.name])
            spare -= leaving
            counts[group.name] = serving[group.name] - leaving


def _move_stuck(counts: dict[str, int], waiting: dict[str, int], groups: Sequence[Group]) -> frozenset[str]:
    left = set()
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
        return max(0, group.free - max(0, counts[group.name] - group.replicas))

    for group in sorted(groups, key=lambda each: (-room(each), each.name)):
        added = min(missing, room(group))
        counts[group.name] += added
        missing -= added
    largest = max(groups, key=lambda each: (not each.former, each.places or 0, each.replicas, each.name))
    counts[largest.name] += missing
