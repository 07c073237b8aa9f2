from typing import Any

import pytest

from fleet_operator.kube.resources import CHILDREN, DISPOSABLE
from fleet_operator.observed.children import Child, newer, read_child
from fleet_operator.reconcile.changes import Apply, Blocked, Delete, changes, kind_of, must_wait
from fleet_operator.reconcile.desired import desired
from fleet_operator.reconcile.drift import sealed
from planning.clusters import a_node
from reconciling.snapshots import UID, a_cluster_pool, children_of, seen, stored

OWNER = {
    "apiVersion": "encoderfleet.io/v1alpha1",
    "kind": "EncoderPool",
    "name": "vision",
    "uid": UID,
    "controller": True,
}


def an_object(kind: str = "Service", name: str = "vision", *, owner: Any = OWNER, **spec: Any) -> dict[str, Any]:
    """One object of the pool, sealed."""
    meta = {"name": name, "namespace": "team", "ownerReferences": [owner] if owner else []}
    return sealed({"apiVersion": "v1", "kind": kind, "metadata": meta, "spec": {"replicas": 1, **spec}})


def there(body: dict[str, Any], **metadata: Any) -> dict[tuple[str, str], Child]:
    """The object as it is, with other metadata."""
    live = stored(body)
    live["metadata"] = {**live["metadata"], **metadata}
    return {(body["kind"], body["metadata"]["name"]): read_child(body["kind"], live)}


def test_where_all_is_as_it_shall_be_nothing_is_written() -> None:
    body = an_object()
    assert changes([body], there(body), UID) == []


def test_an_object_that_is_missing_is_applied() -> None:
    body = an_object()
    assert changes([body], {}, UID) == [Apply(body, new=True, restores=False)]


def test_an_object_that_shall_be_another_one_is_applied() -> None:
    old, new = an_object(a=1), an_object(a=2)
    assert changes([new], there(old), UID) == [Apply(new, new=False, restores=False)]


def test_an_object_that_somebody_changed_is_put_back() -> None:
    body = an_object(a=1)
    live = {**body, "spec": {"replicas": 1, "a": 2}}
    assert changes([body], there(live), UID) == [Apply(body, new=False, restores=True)]


def test_a_field_that_is_given_up_is_given_up() -> None:
    old, new = an_object(a=1, b=2), an_object(a=1)
    assert changes([new], there(old), UID) == [Apply(new, new=False, restores=False)]


@pytest.mark.parametrize(
    ("live", "wanted", "applied"),
    [
        # As the webhook left it.
        ({"a": "theirs", "b": 1}, {"a": "ours", "b": 1}, False),
        # One that writes the time, at each write of others too.
        ({"a": "later", "b": 1}, {"a": "ours", "b": 1}, False),
        # Somebody changed more of it, or it shall be another one.
        ({"a": "theirs", "b": 2}, {"a": "ours", "b": 1}, True),
        ({"a": "theirs", "b": 1}, {"a": "ours, later", "b": 1}, True),
    ],
)
def test_what_another_apply_would_not_change_is_left(
    live: dict[str, Any], wanted: dict[str, Any], applied: bool
) -> None:
    before = an_object(a="ours", b=1)
    children = there({**before, "spec": {"replicas": 1, **live}})
    rewritten = {("Service", "vision"): frozenset({"spec.a"})}
    assert bool(changes([an_object(**wanted)], children, UID, rewritten)) == applied
    assert changes([an_object(**wanted)], children, UID)


@pytest.mark.parametrize(
    ("owner", "metadata", "passing"),
    [
        ({**OWNER, "kind": "ReplicaSet"}, {}, False),
        ({**OWNER, "controller": False}, {}, False),
        # Of a pool of this name that was deleted.
        ({**OWNER, "uid": "another"}, {}, True),
        (OWNER, {"deletionTimestamp": "2026-01-01T00:00:00Z"}, True),
        (None, {"deletionTimestamp": "2026-01-01T00:00:00Z"}, True),
    ],
)
def test_a_name_that_is_taken_is_not_written_over(owner: Any, metadata: dict[str, Any], passing: bool) -> None:
    body = an_object()
    assert changes([body], there(an_object(owner=owner), **metadata), UID) == [Blocked(body, passing=passing)]


def test_what_only_lost_its_owner_is_taken_back() -> None:
    body, orphan = an_object(), an_object(owner=None)
    assert changes([body], there(orphan), UID) == [Apply(body, new=False, restores=True)]
    del orphan["metadata"]["annotations"]
    assert changes([body], there(orphan), UID) == [Blocked(body, passing=False)]


def test_what_the_pool_has_no_use_for_goes_the_last_that_was_applied_first() -> None:
    bodies = [an_object(kind) for kind in CHILDREN] + [an_object("Deployment", "other")]
    children = {key: child for body in bodies for key, child in there(body).items()}
    gone = changes([], children, UID)
    assert all(isinstance(change, Delete) for change in gone)
    kinds = [change.child.kind for change in gone if isinstance(change, Delete)]
    assert kinds == sorted(kinds, key=lambda kind: -CHILDREN.index(kind))
    assert set(kinds) == DISPOSABLE
    assert len(gone) == len(DISPOSABLE) + 1


@pytest.mark.parametrize(
    ("owner", "metadata"),
    [(None, {}), ({**OWNER, "uid": "another"}, {}), (OWNER, {"deletionTimestamp": "2026-01-01T00:00:00Z"})],
)
def test_what_is_not_the_pools_or_goes_already_is_not_deleted(owner: Any, metadata: dict[str, Any]) -> None:
    assert changes([], there(an_object("Deployment", owner=owner), **metadata), UID) == []


def test_no_pod_is_made_under_the_account_of_somebody_else() -> None:
    account, pods = an_object("ServiceAccount"), an_object("Deployment", "vision-any")
    blocked, made = changes(
        [account, pods], there(an_object("ServiceAccount", owner={**OWNER, "controller": False})), UID
    )
    assert blocked == Blocked(account, passing=False)
    assert must_wait(made, {kind_of(blocked)})
    assert not must_wait(made, set())
    assert not must_wait(made, {"Service"})
    assert must_wait(made, {"NetworkPolicy"})
    assert not must_wait(Apply(an_object(), new=True, restores=False), {"ServiceAccount"})
    (gone,) = changes([], there(pods), UID)
    assert not must_wait(gone, {"ServiceAccount"})


def test_the_account_comes_before_the_pods() -> None:
    assert CHILDREN.index("ServiceAccount") < CHILDREN.index("Deployment")
    kinds = [body["kind"] for body in desired(seen(a_cluster_pool(), [a_node()])).objects]
    assert kinds.index("ServiceAccount") < kinds.index("Deployment")


def test_writes_come_before_deletions() -> None:
    new, old = an_object("Deployment", "new"), an_object("NetworkPolicy", "old")
    kinds = [type(each) for each in changes([new], there(old), UID)]
    assert kinds == [Apply, Delete]


def test_a_whole_pool_is_applied_once() -> None:
    spec: dict[str, Any] = {
        "replicas": 2,
        "networkPolicy": {"mode": "Restrict", "consumers": [{"podSelector": {}, "namespaceSelector": {}}]},
        "autoscaling": {"mode": "Auto", "backend": "HPA"},
        "podTemplate": {
            "env": [
                {"name": "A", "value": ""},
                {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
            ],
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data", "readOnly": False}}],
            "volumeMounts": [{"name": "data", "mountPath": "/data", "readOnly": False}],
        },
    }
    pool = a_cluster_pool(**spec)
    nodes = [a_node(gpus=8)]
    made = desired(seen(pool, nodes, kinds=frozenset({"PodMonitor"})))
    assert all(isinstance(each, Apply) and each.new for each in changes(made.objects, {}, UID))
    children = children_of([as_the_api_server_keeps(body) for body in made.objects])
    assert changes(made.objects, children, UID) == []


def as_the_api_server_keeps(value: Any) -> Any:
    """Without empty texts, lists and maps of maps of texts, and without `readOnly: false`; with more fields."""
    if isinstance(value, dict):
        kept = {key: as_the_api_server_keeps(each) for key, each in value.items()}
        kept = {key: each for key, each in kept.items() if each not in ("", []) and (key, each) != ("readOnly", False)}
        return {**kept, **({"terminationMessagePath": "/dev/termination-log"} if "image" in kept else {})}
    return [as_the_api_server_keeps(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [("2", "1", True), ("10", "9", True), ("9", "10", False), ("7", "7", False), ("100", "99", True)],
)
def test_versions_are_compared_as_numbers(one: str, other: str, expected: bool) -> None:
    assert newer(one, other) is expected


def test_a_child_keeps_what_is_compared_and_no_more() -> None:
    body = stored(an_object(a=1))
    body["metadata"]["managedFields"] = [{"manager": "kubectl"}]
    body["status"] = {"loadBalancer": {}}
    child = read_child("Service", body)
    assert child.body == {
        "spec": {"replicas": 1, "a": 1},
        "metadata": {
            key: each for key, each in body["metadata"].items() if key not in ("managedFields", "resourceVersion")
        },
    }
    assert (child.owner, child.version, child.leaving) == (UID, "1", False)
