from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from fleet_operator.reconcile.changes import Apply, Change, Resize, changes
from fleet_operator.reconcile.desired import FULL_SINCE, desired
from fleet_operator.reconcile.rollout import Part, away, in_turn, parts, spare
from fleet_operator.reconcile.turns import taking_turns
from fleet_operator.specs.names import deployment_name
from planning.clusters import TYPE, a_node
from reconciling.snapshots import UID, Children, a_cluster_pool, children_of, seen


def part(name: str, replicas: int = 1, ready: int | None = None, most: int = 1, **flags: bool) -> Part:
    """One whose template shall be another one."""
    there = replicas if ready is None else ready
    return Part(name, replicas, there, min(most, replicas), **{"changed": True, **flags})


def done(name: str, replicas: int = 1, ready: int | None = None, most: int = 1) -> Part:
    """One that has its template."""
    return part(name, replicas, ready, most, changed=False)


def rolling(name: str, replicas: int = 1, ready: int | None = None, most: int = 1) -> Part:
    """One that has its template, and pods of the one before."""
    return part(name, replicas, ready, most, changed=False, rolling=True, mixed=True)


@pytest.mark.parametrize(
    ("parts", "allowed", "chosen"),
    [
        ([part("a")], 1, "a"),
        ([part("a"), part("b"), part("c")], 1, "a"),
        # The next one when the first serves.
        ([rolling("a", ready=0), part("b"), part("c")], 1, ""),
        ([rolling("a"), part("b"), part("c")], 1, ""),
        ([part("a", changed=False, rolling=True), part("b")], 1, ""),
        ([done("a", ready=0), part("b"), part("c")], 1, ""),
        ([done("a"), part("b"), part("c")], 1, "b"),
        ([done("a"), done("b"), done("c")], 1, ""),
        # As many as the pool allows, each with as many as it takes at a time.
        ([part("a"), part("b"), part("c")], 2, "ab"),
        ([part("a", 4, most=2), part("b", 4, most=2), part("c")], 3, "ac"),
        ([part("a", 4, most=0), part("b", 4, most=0)], 1, "ab"),
        # Nothing serves by it: nothing to lose.
        ([part("a", ready=0), part("b", 3, 0), part("c")], 1, "ab"),
        ([part("a", 0), part("b", 0), part("c")], 1, "abc"),
        # The first that are away anyway, and then the rest: or a mended template would never come.
        ([part("a", 3, 2), part("b")], 1, "a"),
        ([part("a"), part("b", 3, 2)], 1, "b"),
        ([part("a", 3, 2), part("b", 3, 2)], 1, "a"),
        ([part("a", 3, 2), part("b", 3, 2), rolling("c", 3, 2)], 1, ""),
        # It rolls out already, and has its share.
        ([part("a", 3, 2, rolling=True, mixed=True), part("b")], 1, "a"),
        # It was scaled, which its controller has not seen yet.
        ([rolling("a"), part("b", rolling=True)], 1, ""),
    ],
)
def test_templates_go_from_one_deployment_to_the_next(parts: list[Part], allowed: int, chosen: str) -> None:
    assert in_turn(parts, allowed) == frozenset(chosen)


@pytest.mark.parametrize(
    ("rollout", "replicas", "allowed", "most"),
    [
        ({}, 3, 1, 1),
        ({"maxUnavailable": 2}, 3, 2, 2),
        ({"maxUnavailable": 5}, 3, 5, 3),
        ({"maxUnavailable": "50%"}, 5, 2, 2),
        ({"maxUnavailable": "10%"}, 5, 1, 1),
        ({"maxUnavailable": "10%", "maxSurge": "10%"}, 5, 1, 0),
        ({"maxUnavailable": 0, "maxSurge": 1}, 5, 1, 0),
        ({}, 0, 1, 0),
    ],
)
def test_a_pool_says_how_many_may_be_away(rollout: dict[str, Any], replicas: int, allowed: int, most: int) -> None:
    pool = a_cluster_pool(replicas=replicas, rollout=rollout)
    there = {"d": {"metadata": {}, "spec": {"replicas": replicas}}}
    (only,) = parts(pool, there)
    assert (away(pool), only.most) == (allowed, most)


# On a pool of one replica on each of three shapes.

KINDS = ("a", "b", "c")
NODES = [a_node(kind, cpu=9, labels={TYPE: kind}) for kind in KINDS]
TAKEN = {"updatedReplicas": 0, "readyReplicas": 0}


def told(pool: Any, children: Children) -> tuple[list[Change], tuple[str, ...]]:
    now = seen(pool, NODES, children=children)
    made = desired(now)
    counts = {deployment_name("vision", shape): count for shape, count in made.replicas.items()}
    return taking_turns(changes(made.objects, children, UID), pool, now.deployments, counts)


def letters(names: Iterable[str]) -> str:
    return "".join(sorted(name.split("-")[1] for name in names))


def applied(now: Iterable[Change]) -> str:
    bodies = [each.body for each in now if isinstance(each, Apply)]
    return letters(body["metadata"]["name"] for body in bodies if body["kind"] == "Deployment")


def a_pool(**spec: Any) -> Any:
    return a_cluster_pool(**{"replicas": 3, "resources": {"cpus": 8}, **spec})


def as_they_are(pool: Any, statuses: Mapping[str, Mapping[str, int]] | None = None) -> Children:
    """All that the pool has; Deployments of some shapes with another status."""
    objects = desired(seen(pool, NODES)).objects
    names = [body["metadata"]["name"] for body in objects]
    chosen = [(statuses or {}).get(letters([name]) if "-" in name else "", {}) for name in names]
    made: dict[Any, Any] = {}
    for body, status in zip(objects, chosen, strict=True):
        made |= children_of([body], **status)
    return made


def test_another_image_comes_to_one_shape_after_the_other() -> None:
    old, new = a_pool(), a_pool(image="example.com/encoder:2")
    now, waiting = told(new, as_they_are(old))
    assert (applied(now), letters(waiting)) == ("a", "bc")
    # It serves with the new one: the next.
    children = as_they_are(old) | {key: child for key, child in as_they_are(new).items() if "-a-" in key[1]}
    now, waiting = told(new, children)
    assert (applied(now), letters(waiting)) == ("b", "c")


def test_a_shape_on_which_nothing_serves_does_not_wait() -> None:
    old, new = a_pool(), a_pool(image="example.com/encoder:2")
    now, waiting = told(new, as_they_are(old, {"b": {"readyReplicas": 0}}))
    assert (applied(now), letters(waiting)) == ("b", "ac")


def test_what_is_no_template_waits_for_nobody() -> None:
    old, new = a_pool(), a_pool(rollout={"maxUnavailable": 2})
    now, waiting = told(new, as_they_are(old, {"b": {"readyReplicas": 0}}))
    assert (applied(now), waiting) == ("abc", ())


def test_replicas_do_not_wait_for_the_template() -> None:
    half = {"resources": {"cpus": 4}}
    old, new = a_pool(replicas=6, **half), a_pool(replicas=5, image="example.com/encoder:2", **half)
    children = as_they_are(old, {"b": {"readyReplicas": 1}})
    now, waiting = told(new, children)
    assert (applied(now), letters(waiting)) == ("b", "ac")
    (resized,) = [each for each in now if isinstance(each, Resize)]
    name = resized.body["metadata"]["name"]
    assert (letters([name]), resized.replicas, resized.annotations) == ("a", 1, {FULL_SINCE: None})
    assert resized.uid == children["Deployment", name].uid


@pytest.mark.parametrize(
    ("statuses", "left"),
    [({}, 1), ({"a": {"readyReplicas": 0}}, 1), ({"a": {"updatedReplicas": 0}}, 0), ({"a": TAKEN}, 1)],
)
def test_what_a_rollout_may_take_is_not_taken_twice(statuses: Mapping[str, Mapping[str, int]], left: int) -> None:
    pool = a_pool()
    assert spare(pool, seen(pool, NODES, children=as_they_are(pool, statuses)).deployments) == left
