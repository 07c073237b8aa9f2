from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_operator.nodes.distribute import Group, Spread, distribute


def counts(desired: int, *groups: Group, away: int = 1) -> dict[str, int]:
    return dict(distribute(desired, groups, away).counts)


@pytest.mark.parametrize(
    ("desired", "groups", "expected"),
    [
        (3, [Group("a", 8)], {"a": 3}),
        (9, [Group("a", 8)], {"a": 9}),
        (3, [Group("a", 8), Group("b", 16)], {"a": 0, "b": 3}),
        (20, [Group("a", 8), Group("b", 16)], {"a": 4, "b": 16}),
        (3, [Group("a", 8), Group("b", 8)], {"a": 3, "b": 0}),
        (16, [Group("a", 8, replicas=8), Group("b", 8, replicas=6)], {"a": 8, "b": 8}),
        # Beyond all places: to the largest, so that an autoscaler sees what to add.
        (30, [Group("a", 8), Group("b", 16)], {"a": 8, "b": 22}),
        (4, [Group("a", 0), Group("b", 0)], {"a": 0, "b": 4}),
        (4, [Group("a", 0, replicas=2), Group("b", 0)], {"a": 4, "b": 0}),
        # Where nobody knows of places.
        (4, [Group("unpinned", None)], {"unpinned": 4}),
        (4, [Group("a", 8), Group("unpinned", None, replicas=2)], {"a": 2, "unpinned": 2}),
        # A group that has some waiting, or had lately, gets no further ones.
        (5, [Group("a", 16, replicas=3, stuck=1), Group("b", 4)], {"a": 2, "b": 3}),
        (8, [Group("a", 8, replicas=5, stuck=2), Group("b", 2), Group("c", 3)], {"a": 3, "b": 2, "c": 3}),
        (5, [Group("a", 16, replicas=3, full=True), Group("b", 4)], {"a": 3, "b": 2}),
    ],
)
def test_new_replicas_go_where_places_are_free(desired: int, groups: list[Group], expected: Mapping[str, int]) -> None:
    assert counts(desired, *groups) == expected


@pytest.mark.parametrize(
    ("desired", "groups", "expected"),
    [
        (0, [Group("a", 8, replicas=3)], {"a": 0}),
        # Those that no node takes go first.
        (4, [Group("a", 8, replicas=2), Group("b", 8, replicas=3, stuck=1)], {"a": 2, "b": 2}),
        # Then those on nodes that are gone.
        (4, [Group("a", 8, replicas=2), Group("b", 2, replicas=3)], {"a": 2, "b": 2}),
        # Which are not more for those that were taken already.
        (4, [Group("a", 8, replicas=1), Group("b", 3, replicas=5, stuck=2)], {"a": 1, "b": 3}),
        (3, [Group("a", 8, replicas=1), Group("b", 3, replicas=5, stuck=2)], {"a": 0, "b": 3}),
        # Then from the smallest, as it is by then.
        (5, [Group("a", 8, replicas=3), Group("b", 8, replicas=4)], {"a": 1, "b": 4}),
        (3, [Group("a", 8, replicas=3), Group("b", 8, replicas=4)], {"a": 0, "b": 3}),
        (4, [Group("a", 8, replicas=3), Group("b", 8, replicas=5, stuck=3)], {"a": 3, "b": 1}),
        (2, [Group("a", 8, replicas=3), Group("b", 8, replicas=3)], {"a": 0, "b": 2}),
        # A place that nobody knows of is none that is gone.
        (4, [Group("a", 8, replicas=3), Group("unpinned", None, replicas=3)], {"a": 1, "unpinned": 3}),
        # Of a shape that is the pool's no more, before the others.
        (2, [Group("a", 2, replicas=3, ready=3), Group("b", 9, replicas=4, ready=4, former=True)], {"a": 2, "b": 0}),
    ],
)
def test_what_is_too_much_is_taken_where_it_hurts_least(
    desired: int, groups: list[Group], expected: Mapping[str, int]
) -> None:
    assert counts(desired, *groups) == expected


@pytest.mark.parametrize(
    ("groups", "expected", "left"),
    [
        ([Group("a", 8, replicas=5, stuck=2), Group("b", 8)], {"a": 3, "b": 2}, {"a"}),
        ([Group("a", 8, replicas=5, stuck=2), Group("b", 1)], {"a": 4, "b": 1}, {"a"}),
        (
            [Group("a", 8, replicas=5, stuck=2), Group("b", 3), Group("c", 5, replicas=4)],
            {"a": 3, "b": 2, "c": 4},
            {"a"},
        ),
        ([Group("a", 8, replicas=5, stuck=5), Group("b", 2), Group("c", 2)], {"a": 1, "b": 2, "c": 2}, {"a"}),
        (
            [Group("a", 9, replicas=3, stuck=3), Group("b", 9, replicas=2, stuck=1), Group("c", 4)],
            {"a": 0, "b": 1, "c": 4},
            {"a", "b"},
        ),
        ([Group("a", 8, replicas=5, stuck=9), Group("b", 8)], {"a": 0, "b": 5}, {"a"}),
        # Nowhere to go to.
        ([Group("a", 8, replicas=5, stuck=2)], {"a": 5}, set()),
        ([Group("a", 8, replicas=5, stuck=2), Group("b", 8, full=True)], {"a": 5, "b": 0}, set()),
        ([Group("a", 8, replicas=5, stuck=2), Group("b", 4, replicas=4)], {"a": 5, "b": 4}, set()),
        ([Group("a", 8, replicas=5, stuck=2), Group("b", 8, replicas=1, stuck=1)], {"a": 5, "b": 1}, set()),
        ([Group("a", 8, replicas=5, stuck=2), Group("unpinned", None)], {"a": 5, "unpinned": 0}, set()),
    ],
)
def test_who_finds_no_node_moves_where_there_is_room(
    groups: list[Group], expected: Mapping[str, int], left: set[str]
) -> None:
    made = distribute(sum(group.replicas for group in groups), groups)
    assert made == Spread(expected, frozenset(left))


def test_who_was_taken_already_does_not_move_as_well() -> None:
    made = distribute(3, [Group("a", 8, replicas=5, stuck=2), Group("b", 8)])
    assert made == Spread({"a": 3, "b": 0})


@pytest.mark.parametrize(
    ("groups", "away", "expected"),
    [
        # One at a time, as in a rollout.
        ([Group("old", 0, 4, ready=4, former=True), Group("new", 8)], 1, {"old": 3, "new": 1}),
        ([Group("old", 0, 4, ready=4, former=True), Group("new", 8)], 2, {"old": 2, "new": 2}),
        ([Group("old", 0, 3, ready=3, former=True), Group("new", 8, 1)], 1, {"old": 3, "new": 1}),
        ([Group("old", 0, 3, ready=3, former=True), Group("new", 8, 1, ready=1)], 1, {"old": 2, "new": 2}),
        # Who does not serve leaves at once.
        ([Group("old", 0, 4, ready=1, former=True), Group("new", 8)], 1, {"old": 1, "new": 3}),
        ([Group("old", 0, 4, ready=0, stuck=4, former=True), Group("new", 8)], 1, {"old": 0, "new": 4}),
        # Where no place is free one of them asks for a node.
        ([Group("old", None, 4, ready=4, former=True), Group("new", 0)], 1, {"old": 3, "new": 1}),
        ([Group("old", 0, 4, ready=4, former=True), Group("unpinned", None)], 1, {"old": 3, "unpinned": 1}),
        # Of several former ones not more are away in all.
        (
            [Group("a", 0, 2, ready=2, former=True), Group("b", 0, 2, ready=2, former=True), Group("new", 8)],
            1,
            {"a": 1, "b": 2, "new": 1},
        ),
        # Nowhere to go to: they stay.
        ([Group("old", 0, 4, ready=4, former=True)], 1, {"old": 4}),
        ([Group("old", 0, 4, ready=0, former=True)], 1, {"old": 4}),
    ],
)
def test_replicas_leave_a_shape_that_is_the_pools_no_more(
    groups: list[Group], away: int, expected: Mapping[str, int]
) -> None:
    made = distribute(sum(group.replicas for group in groups), groups, away)
    assert made == Spread(expected)


def test_no_group_has_no_replicas() -> None:
    assert distribute(3, []) == Spread({})


@st.composite
def groups_of(draw: st.DrawFn, *, former: bool = False) -> list[Group]:
    def group(name: str) -> Group:
        replicas = draw(st.integers(0, 12))
        return Group(
            name,
            draw(st.none() | st.integers(0, 12)),
            replicas,
            ready=draw(st.integers(0, replicas)),
            stuck=draw(st.just(0) | st.integers(0, replicas + 2)),
            full=draw(st.booleans()),
            former=former and draw(st.booleans()),
        )

    names = draw(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=4, unique=True))
    return [group(name) for name in names]


DESIRED = st.integers(0, 60)
ANY_GROUPS = groups_of(former=True)


@given(DESIRED, ANY_GROUPS, st.integers(0, 3))
def test_there_are_as_many_as_desired(desired: int, groups: list[Group], away: int) -> None:
    made = distribute(desired, groups, away)
    assert sum(made.counts.values()) == desired
    assert set(made.counts) == {group.name for group in groups}
    assert min(made.counts.values()) >= 0


@given(groups_of(), st.integers(0, 12))
def test_a_replica_that_has_its_place_keeps_it(groups: list[Group], more: int) -> None:
    desired = sum(group.replicas for group in groups) + more
    made = distribute(desired, groups)
    for group in groups:
        assert made.counts[group.name] >= group.replicas - min(group.stuck, group.replicas)
        if group.name not in made.left:
            assert made.counts[group.name] >= group.replicas
    assert made.left <= {group.name for group in groups if group.stuck}


@given(DESIRED, groups_of())
def test_fewer_replicas_are_more_for_nobody(desired: int, groups: list[Group]) -> None:
    settled = [replace(group, stuck=0) for group in groups]
    made = distribute(min(desired, sum(group.replicas for group in settled)), settled)
    assert all(made.counts[group.name] <= group.replicas for group in settled)


@given(DESIRED, groups_of())
def test_a_free_place_is_taken_before_anybody_waits(desired: int, groups: list[Group]) -> None:
    made = distribute(desired, groups)
    added = {group.name: made.counts[group.name] - group.replicas for group in groups}
    if any(added[group.name] > group.free for group in groups):
        assert all(added[group.name] >= group.free for group in groups if not group.stuck)


@given(DESIRED, ANY_GROUPS, st.integers(0, 3))
def test_one_more_replica_takes_none_from_any_shape(desired: int, groups: list[Group], away: int) -> None:
    fewer, more = counts(desired, *groups, away=away), counts(desired + 1, *groups, away=away)
    assert all(fewer[name] <= more[name] for name in fewer)


@given(DESIRED, groups_of(), st.randoms())
def test_the_order_of_groups_does_not_matter(desired: int, groups: list[Group], random: Any) -> None:
    groups = [replace(group, stuck=0, places=group.places or 0) for group in groups]
    fitting = [group for group in groups if group.replicas <= (group.places or 0)]
    if fitting:
        shuffled = random.sample(fitting, len(fitting))
        assert counts(desired, *fitting) == counts(desired, *shuffled)


def lived_through(groups: Sequence[Group], room: Mapping[str, int], desired: int) -> list[Mapping[str, int]]:
    """Replicas at each look, where pods beyond the true `room` of a group find no node."""
    looks = [{group.name: group.replicas for group in groups}]
    for _ in range(12):
        made = distribute(desired, groups)
        looks.append(dict(made.counts))
        groups = [
            replace(
                group,
                replicas=made.counts[group.name],
                ready=min(made.counts[group.name], room[group.name]),
                stuck=max(0, made.counts[group.name] - room[group.name]),
                full=group.full or group.name in made.left,
            )
            for group in groups
        ]
    return looks


@given(groups_of(), st.data())
def test_who_moved_does_not_come_back(groups: list[Group], data: st.DataObject) -> None:
    groups = [replace(group, stuck=0, full=False) for group in groups]
    room = {group.name: data.draw(st.integers(0, 12), label=group.name) for group in groups}
    looks = lived_through(groups, room, sum(group.replicas for group in groups))
    assert looks[len(groups) + 1] == looks[-1]


@given(st.lists(st.integers(0, 9), min_size=1, max_size=3), st.integers(1, 4), st.integers(0, 20))
def test_all_replicas_leave_former_shapes_and_never_are_too_many_away(old: list[int], away: int, extra: int) -> None:
    groups = [Group(f"old-{n}", 0, replicas, ready=replicas, former=True) for n, replicas in enumerate(old)]
    groups.append(Group("new", sum(old) + extra))
    for _ in range(sum(old) + 1):
        made = distribute(sum(old), groups, away)
        serving = sum(min(group.ready, made.counts[group.name]) for group in groups)
        assert serving >= sum(old) - away
        groups = [replace(group, replicas=made.counts[group.name], ready=made.counts[group.name]) for group in groups]
    assert groups[-1].replicas == sum(old)
