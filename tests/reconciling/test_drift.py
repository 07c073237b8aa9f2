from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_operator.reconcile.drift import APPLIED, covers, differences, sealed


@pytest.mark.parametrize(
    ("live", "applied"),
    [
        # Quantities, as the API server writes them.
        ({"requests": {"cpu": "500m"}}, {"requests": {"cpu": "0.5"}}),
        ({"limits": {"memory": "1Gi"}}, {"limits": {"memory": "1024Mi"}}),
        ({"limits": {"nvidia.com/gpu": "1"}}, {"limits": {"nvidia.com/gpu": 1}}),
        ({"emptyDir": {"sizeLimit": "512Mi"}}, {"emptyDir": {"sizeLimit": "0.5Gi"}}),
        ({"resourceFieldRef": {"divisor": "1m"}}, {"resourceFieldRef": {"divisor": "0.001"}}),
        ({"target": {"averageValue": "1"}}, {"target": {"averageValue": "1000m"}}),
        # What is empty is left out.
        ({"name": "A"}, {"name": "A", "value": ""}),
        ({}, {"nodeSelector": {}}),
        ({}, {"imagePullSecrets": []}),
        ({"toleration": {"key": "a"}}, {"toleration": {"key": "a", "value": ""}}),
        ({"a": {}}, {"a": {"b": {"c": {}}}}),
        (
            {"mounts": [{"name": "a", "mountPath": "/a"}]},
            {"mounts": [{"name": "a", "mountPath": "/a", "readOnly": False}]},
        ),
        ({"nfs": {"server": "s"}}, {"nfs": {"server": "s", "readOnly": False}}),
        # What the API server fills in, and what others add.
        ({"replicas": 3, "paused": False}, {"replicas": 3}),
        ({"metadata": {"labels": {"a": "1", "theirs": "2"}}}, {"metadata": {"labels": {"a": "1"}}}),
        ({"configMap": {"name": "a", "defaultMode": 420}}, {"configMap": {"name": "a"}}),
        ({"fieldRef": {"apiVersion": "v1", "fieldPath": "f"}}, {"fieldRef": {"fieldPath": "f"}}),
        ({"hostPath": {"path": "/a", "type": ""}}, {"hostPath": {"path": "/a"}}),
        # Entries that have keys, in any order and among others.
        ({"env": [{"name": "X"}, {"name": "B"}, {"name": "A"}]}, {"env": [{"name": "A"}, {"name": "B"}]}),
        ({"ports": [{"name": "wire", "port": 1, "nodePort": 3}]}, {"ports": [{"name": "wire", "port": 1}]}),
        ({"refs": [{"uid": "2"}, {"uid": "1", "kind": "A"}]}, {"refs": [{"uid": "1", "kind": "A"}]}),
        (
            {"spread": [{"topologyKey": "zone", "maxSkew": 1}, {"topologyKey": "rack"}]},
            {"spread": [{"topologyKey": "zone", "maxSkew": 1}]},
        ),
        # The same volume twice, as a webhook may add it.
        (
            {"mounts": [{"name": "tmp", "mountPath": "/tmp"}, {"name": "tmp", "mountPath": "/other"}]},
            {"mounts": [{"name": "tmp", "mountPath": "/tmp"}]},
        ),
        # Entries without keys, by position.
        ({"rules": [{"ports": [1, 2], "from": []}]}, {"rules": [{"ports": [1, 2]}]}),
        ({"command": ["a", "b"]}, {"command": ["a", "b"]}),
        ({"command": ["a", "b"]}, {"command": ("a", "b")}),
    ],
)
def test_an_object_that_is_as_it_was_applied_is_left_alone(live: Any, applied: Any) -> None:
    assert covers(live, applied)


@pytest.mark.parametrize(
    ("live", "applied"),
    [
        ({"replicas": 2}, {"replicas": 3}),
        ({"replicas": 0}, {"replicas": 3}),
        ({}, {"replicas": 3}),
        ({}, {"replicas": 0}),
        (None, {"replicas": 3}),
        ({"image": "a:2"}, {"image": "a:1"}),
        ({"requests": {"cpu": "501m"}}, {"requests": {"cpu": "0.5"}}),
        ({"requests": {}}, {"requests": {"cpu": "4"}}),
        # What is no quantity is compared as it stands.
        ({"env": [{"name": "A", "value": "1k"}]}, {"env": [{"name": "A", "value": "1000"}]}),
        ({"env": [{"name": "A", "value": "8.0"}]}, {"env": [{"name": "A", "value": "8"}]}),
        ({"annotations": {"a": "01"}}, {"annotations": {"a": "1"}}),
        ({"targetPort": "8080"}, {"targetPort": 8080}),
        ({"runAsNonRoot": False}, {"runAsNonRoot": True}),
        # Without the field it would be allowed.
        ({}, {"automountServiceAccountToken": False}),
        ({"securityContext": {}}, {"securityContext": {"allowPrivilegeEscalation": False}}),
        # Removed entries.
        ({"env": [{"name": "B"}]}, {"env": [{"name": "A"}, {"name": "B"}]}),
        ({"env": None}, {"env": [{"name": "A"}]}),
        ({"env": [{"name": "A", "value": "2"}]}, {"env": [{"name": "A", "value": "1"}]}),
        (
            {"volumes": [{"name": "shm", "hostPath": {"path": "/"}}]},
            {"volumes": [{"name": "shm", "emptyDir": {"medium": "Memory"}}]},
        ),
        ({"drop": []}, {"drop": ["ALL"]}),
        ({"command": ["b", "a"]}, {"command": ["a", "b"]}),
        ({"command": ["a", "b", "c"]}, {"command": ["a", "b"]}),
        ({"rules": [{"ports": [1]}, {"ports": [2]}]}, {"rules": [{"ports": [1]}]}),
        # Whole lists in the API: one more expression or toleration is another wish.
        (
            {"matchExpressions": [{"key": "a", "operator": "Exists"}, {"key": "b", "operator": "Exists"}]},
            {"matchExpressions": [{"key": "a", "operator": "Exists"}]},
        ),
        ({"tolerations": [{"operator": "Exists"}, {"key": "a"}]}, {"tolerations": [{"key": "a"}]}),
        # Another form.
        ({"a": "text"}, {"a": {"b": 1}}),
        ({"a": {"b": 1}}, {"a": [1]}),
        ({"a": "abc"}, {"a": ["a", "b", "c"]}),
        ({"a": {"b": 1}}, {"a": "b"}),
    ],
)
def test_what_somebody_changed_is_seen(live: Any, applied: Any) -> None:
    assert not covers(live, applied)


SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=4)
NAMES = st.sampled_from(["name", "mountPath", "uid", "key", "value", "readOnly", "requests", "cpu", "x"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(NAMES, VALUES, max_size=5)


@given(OBJECTS)
def test_what_was_applied_has_all_that_was_applied(applied: Any) -> None:
    assert covers(applied, applied)


def with_extras(value: Any, draw: st.DrawFn) -> Any:
    """`value` with fields of others in every mapping."""
    if isinstance(value, dict):
        theirs = {f"their-{name}": draw(SCALARS) for name in draw(st.sets(NAMES, max_size=2))}
        return {**theirs, **{name: with_extras(each, draw) for name, each in value.items()}}
    if isinstance(value, list):
        return [with_extras(each, draw) for each in value]
    return value


@given(st.composite(lambda draw: (made := draw(OBJECTS), with_extras(made, draw)))())
def test_fields_of_others_change_nothing(pair: tuple[Any, Any]) -> None:
    applied, live = pair
    assert covers(live, applied)


def without_empty(value: Any) -> Any:
    """`value` as the API server keeps it: without empty texts, lists and maps."""
    if isinstance(value, dict):
        kept = {name: without_empty(each) for name, each in value.items()}
        return {name: each for name, each in kept.items() if each not in ("", [], {})}
    return [without_empty(each) for each in value] if isinstance(value, list) else value


FILLED = st.recursive(
    st.integers() | st.text(max_size=4),
    lambda inner: st.dictionaries(NAMES, inner, max_size=4) | st.lists(st.integers(), max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(NAMES, FILLED, max_size=5))
def test_empty_fields_that_the_api_server_leaves_out_are_no_change(applied: Any) -> None:
    assert covers(without_empty(applied), applied)


@given(OBJECTS, NAMES, st.integers() | st.sampled_from(["x", "0.5"]))
def test_a_scalar_that_is_not_there_is_seen(applied: Any, name: str, value: Any) -> None:
    live = {key: each for key, each in applied.items() if key != name}
    assert not covers(live, {**applied, name: value})


def test_what_was_applied_is_sealed_with_its_hash() -> None:
    body = {"kind": "Service", "metadata": {"name": "a", "annotations": {"b": "c"}}, "spec": {"x": 1}}
    made = sealed(body)
    assert made["metadata"]["annotations"].keys() == {"b", APPLIED}
    assert {**made, "metadata": body["metadata"]} == body
    assert APPLIED not in body["metadata"]["annotations"]


def test_a_field_that_is_given_up_changes_the_hash() -> None:
    body = {"metadata": {"name": "a"}, "spec": {"x": 1, "y": 2}}
    fewer = {"metadata": {"name": "a"}, "spec": {"x": 1}}
    live = sealed(body)
    assert covers(live, sealed(body))
    assert not covers(live, sealed(fewer))


@given(OBJECTS)
def test_the_order_of_fields_does_not_change_the_hash(spec: dict[str, Any]) -> None:
    body = {"metadata": {"name": "a"}, "spec": spec}
    turned = {"spec": dict(reversed(spec.items())), "metadata": {"name": "a"}}
    assert sealed(body) == sealed(turned)


@pytest.mark.parametrize(
    ("live", "applied", "where"),
    [
        ({"a": 1, "b": 2}, {"a": 1}, ""),
        ({"a": 1}, {"a": 2}, "a"),
        ({"a": {"b": {"c": 1, "d": 1}}}, {"a": {"b": {"c": 2, "d": 1, "e": 3}}}, "a.b.c a.b.e"),
        ({"a": None}, {"a": {"b": 1}}, "a"),
        ({"a": {"b": 1}}, {"a": 1}, "a"),
        (
            {"containers": [{"name": "theirs"}, {"name": "main", "image": "mirror/a"}]},
            {"containers": [{"name": "main", "image": "a", "tty": True}]},
            "containers[main].image containers[main].tty",
        ),
        ({"env": []}, {"env": [{"name": "A"}]}, "env[A]"),
        ({"command": ["a"]}, {"command": ["a", "b"]}, "command"),
        ({"requests": {"cpu": "500m", "memory": "1"}}, {"requests": {"cpu": "0.5", "memory": "2"}}, "requests.memory"),
        ({"mount": {"readOnly": True}}, {"mount": {"readOnly": False}}, "mount.readOnly"),
        ({}, {"lifecycle": {"preStop": {"sleep": {"seconds": 5}}}}, "lifecycle"),
    ],
)
def test_where_an_object_is_another_one_is_said(live: Any, applied: Any, where: str) -> None:
    assert differences(live, applied) == set(where.split())


@given(OBJECTS, OBJECTS)
def test_there_is_a_difference_where_not_all_is_covered(live: Any, applied: Any) -> None:
    assert bool(differences(live, applied)) == (not covers(live, applied))
