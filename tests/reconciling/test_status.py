import copy
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_operator.api.crd import crd
from fleet_operator.api.status import PoolStatus
from fleet_operator.kube.kinds import kind_schema
from fleet_operator.reconcile.desired import desired
from fleet_operator.reconcile.observation import Trouble
from fleet_operator.reconcile.status import difference, status
from planning.clusters import TYPE, a_daemon, a_node
from reconciling.snapshots import (
    NOW,
    a_cluster_pool,
    a_decision,
    a_pod,
    a_waiting_pod,
    children_of,
    seen,
)

NODE = a_node(labels={TYPE: "x"})


def written(pool: Any = None, nodes: Any = (NODE,), *troubles: Trouble, **fields: Any) -> dict[str, Any]:
    now = seen(pool or a_cluster_pool(), nodes, **fields)
    made = status(now, desired(now), troubles)
    assert_it_fits_the_definition(made)
    return made


SCHEMA = crd(kind_schema)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]


def assert_it_fits_the_definition(made: Mapping[str, Any]) -> None:
    """As the API server would judge a status, and as this operator reads it again."""
    check(made, SCHEMA, "status")
    PoolStatus.model_validate(made)


def check(value: Any, schema: Mapping[str, Any], where: str) -> None:
    forms = {"object": dict, "array": list, "string": str, "integer": int}
    assert isinstance(value, forms[schema["type"]]), where
    if isinstance(value, dict):
        assert value.keys() <= schema["properties"].keys(), where
        assert set(schema.get("required", ())) <= value.keys(), where
        for name, each in value.items():
            check(each, schema["properties"][name], f"{where}.{name}")
    elif isinstance(value, list):
        assert len(value) <= schema["maxItems"], where
        for each in value:
            check(each, schema["items"], f"{where}[]")
    elif isinstance(value, str):
        assert len(value) <= schema.get("maxLength", len(value)), where
        assert value in schema.get("enum", [value]), where
    else:
        assert schema.get("minimum", value) <= value <= schema.get("maximum", value), where


def merged(target: Any, patch: Any) -> Any:
    """A JSON merge patch applied (RFC 7386)."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


JSON = st.recursive(
    st.integers(0, 3) | st.sampled_from(["", "a", "b"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
STATUSES = st.dictionaries(st.sampled_from(["load", "conditions", "replicas", "model"]), JSON, max_size=4)


@given(STATUSES, STATUSES)
def test_the_difference_leads_from_one_status_to_the_other(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert merged(old, difference(old, new)) == new


@given(STATUSES)
def test_there_is_no_difference_between_a_status_and_itself(old: dict[str, Any]) -> None:
    assert difference(old, copy.deepcopy(old)) == {}


def test_only_what_differs_is_written() -> None:
    old = written()
    new = written(generation=2)
    assert difference(old, new).keys() == {"observedGeneration", "conditions"}


# Rows.


def test_a_row_shows_the_arithmetic() -> None:
    made = desired(seen(a_cluster_pool(replicas=2, resources={"cpus": 4}), [NODE]))
    row = only_row(
        written(a_cluster_pool(replicas=2, resources={"cpus": 4}), children=children_of(made, readyReplicas=1))
    )
    env = row.pop("env")
    assert row == {
        "name": made.plan.rows[0].name,
        "deployment": f"vision-{made.plan.rows[0].name}",
        "nodes": 1,
        "allocatableCpus": "32",
        "heldCpus": "0",
        "reservedCpus": "1",
        "gpus": 0,
        "cpusPerReplica": 4,
        "gpusPerReplica": 0,
        "fit": 7,
        "reason": "32 allocatable - 1 reserved = 31; spec.resources.cpus: 4",
        "replicas": 2,
        "readyReplicas": 1,
    }
    assert {each["name"]: each["value"] for each in env}["SGLANG_ENCODER_PREPROC_WORKERS"] == "4"
    assert all(each["reason"] for each in env)


def only_row(made: Mapping[str, Any]) -> dict[str, Any]:
    (row,) = made["threadPlan"]
    return dict(row)


def test_a_deployment_that_is_not_there_yet_is_named_and_has_nothing_ready() -> None:
    row = only_row(written())
    assert row["deployment"].startswith("vision-x-")
    assert (row["replicas"], row["readyReplicas"]) == (1, 0)


def test_a_shape_that_the_pool_does_not_use_has_no_deployment() -> None:
    nodes = [NODE, a_node("l", cpu=64, labels={TYPE: "large"})]
    rows = {
        row["name"].partition("-")[0]: row
        for row in written(a_cluster_pool(resources={"cpus": 4}), nodes)["threadPlan"]
    }
    assert [rows["x"]["deployment"], rows["x"]["replicas"]] == ["", 0]
    assert rows["large"]["replicas"] == 1


def test_a_shape_on_which_nothing_can_run_says_why() -> None:
    row = only_row(written(nodes=[a_node(cpu=1, labels={TYPE: "x"})]))
    assert (row["cpusPerReplica"], row["env"], row["deployment"]) == (0, [], "")
    assert row["reason"].startswith("1 allocatable - 1 reserved = 0")


def test_pods_planned_without_nodes_have_a_row_without_nodes() -> None:
    row = only_row(written(a_cluster_pool(resources={"cpus": 4}), None))
    assert (row["name"], row["nodes"], row["allocatableCpus"], row["heldCpus"]) == ("unpinned", 0, "", "")


def test_a_node_on_which_too_much_is_held_by_now_takes_no_replica() -> None:
    pool = a_cluster_pool()
    made = desired(seen(pool, [NODE]))
    row = only_row(
        written(pool, [NODE], children=children_of(made), others={}, shapes=seen(pool, [NODE], [a_daemon(31)]).shapes)
    )
    assert (row["fit"], row["cpusPerReplica"]) == (0, 31)


def test_a_variable_that_the_pool_sets_has_its_value() -> None:
    env = [{"name": "OMP_NUM_THREADS", "value": "3"}, {"name": "ENCODERFLEET_CPUS", "valueFrom": {"fieldRef": {}}}]
    rows = {each["name"]: each for each in only_row(written(a_cluster_pool(podTemplate={"env": env})))["env"]}
    assert rows["OMP_NUM_THREADS"]["value"] == "3"
    assert rows["OMP_NUM_THREADS"]["reason"] == "overridden by spec.podTemplate.env; planned: 31"
    assert rows["ENCODERFLEET_CPUS"]["value"] == ""
    assert rows["MKL_NUM_THREADS"]["value"] == "31"


def test_a_row_has_the_variables_that_the_program_gets() -> None:
    rows = only_row(written(a_cluster_pool(runtime="SGLang")))["env"]
    names = {each["name"] for each in rows}
    assert "SGLANG_ENCODER_PREPROC_WORKERS" in names
    assert not any(name.startswith("ENCODERFLEET_") for name in names)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({}, ""),
        ({"a": (8, 2)}, "8"),
        ({"a": (8, 2), "b": (4, 1)}, "8,4"),
        ({"a": (8, 2), "b": (4, 0)}, "8"),
        ({"a": (8, 0), "b": (4, 0)}, "8,4"),
        # Of two shapes with as many CPUs, one is not used.
        ({"a": (8, 2), "b": (8, 0), "c": (4, 1)}, "8,4"),
        ({"a": (8, 0), "b": (8, 2), "c": (4, 1)}, "8,4"),
    ],
)
def test_threads_are_those_of_the_shapes_in_use(counts: dict[str, tuple[int, int]], expected: str) -> None:
    nodes = [a_node(name, cpu=cpus + 1, labels={TYPE: name}) for name, (cpus, _) in counts.items()]
    pool = a_cluster_pool(replicas=sum(replicas for _, replicas in counts.values()))
    first = desired(seen(pool, nodes))
    kinds = {row.name: str(dict(row.labels)[TYPE]) for row in first.plan.rows}
    now = seen(pool, nodes)
    made = type(first)(first.plan, {name: counts[kind][1] for name, kind in kinds.items()}, (), None)
    assert status(now, made, ()).get("threads", "") == expected


# Bounds.


def test_long_texts_are_cut_to_what_the_definition_allows() -> None:
    long = "x" * 9000
    pool = a_cluster_pool(
        model={"name": f"{'a' * 95}/{'b' * 95}", "revision": "r" * 255},
        podTemplate={"env": [{"name": "OMP_NUM_THREADS", "value": "3" * 4000}]},
        scheduling={"shapeLabels": ["pool"]},
    )
    pods = (a_waiting_pod(message=long), a_pod(trouble="Crashing", message=long))
    made = desired(seen(pool, [NODE]))
    decision = a_decision(reason=long)
    written(pool, [NODE], Trouble("Rejected", long), pods=pods, decision=decision, children=children_of(made))


def test_a_long_model_keeps_its_end() -> None:
    made = written(a_cluster_pool(model={"path": f"/{'a' * 400}/model-7b"}))
    assert len(made["model"]) == 317
    assert made["model"].startswith("...a")
    assert made["model"].endswith("/model-7b")


def test_of_many_shapes_those_in_use_are_shown_first() -> None:
    nodes = [a_node(f"n-{n:03}", labels={"rack": f"r{n:03}"}, cpu=16 if n < 90 else 64) for n in range(100)]
    made = written(a_cluster_pool(replicas=3, resources={"cpus": 4}, scheduling={"shapeLabels": ["rack"]}), nodes)
    rows = made["threadPlan"]
    assert len(rows) == 64
    assert sum(row["replicas"] for row in rows) == 3
    assert [row["name"] for row in rows] == sorted(row["name"] for row in rows)


@given(
    st.fixed_dictionaries(
        {"replicas": st.integers(0, 9)},
        optional={
            "resources": st.sampled_from([{"gpus": 1}, {"cpus": 2}, {"cpus": 500}, {"reservedCpus": 99}]),
            "paused": st.booleans(),
            "runtime": st.sampled_from(["Native", "SGLang"]),
            "autoscaling": st.sampled_from([{"mode": "Off"}, {"mode": "Auto"}, {"mode": "Auto", "backend": "HPA"}]),
        },
    ),
    st.sampled_from([None, [], [NODE], [NODE, a_node("g", gpus=8, labels={TYPE: "g"})], [a_node(cpu=1)]]),
    st.sampled_from([(), (a_waiting_pod(),), (a_pod(trouble="Crashing", message="x"),)]),
    st.none() | st.just(a_decision()),
    st.booleans(),
)
def test_whatever_is_seen_the_status_fits_the_definition(
    spec: dict[str, Any], nodes: Any, pods: Any, decision: Any, settled: bool
) -> None:
    pool = a_cluster_pool(**spec)
    children = children_of(desired(seen(pool, [NODE]))) if settled else {}
    first = written(pool, nodes, pods=pods, decision=decision, children=children)
    # Nothing happened: nothing is written.
    again = written(
        pool, nodes, pods=pods, decision=decision, children=children, status=first, now=NOW + timedelta(hours=1)
    )
    assert difference(first, again) == {}


# What is kept from before.


def test_a_condition_tells_when_its_status_changed() -> None:
    first = written()
    later = NOW + timedelta(hours=1)
    after = written(nodes=[], status=first, now=later)
    times = {each["type"]: each["lastTransitionTime"] for each in after["conditions"]}
    assert times["Ready"] == "2026-01-01T12:00:00Z"
    assert times["ThreadsPlanned"] == "2026-01-01T13:00:00Z"
    assert {each["observedGeneration"] for each in after["conditions"]} == {1}


def test_load_stays_as_it_was_while_the_recommendation_stays() -> None:
    pool = a_cluster_pool(autoscaling={"mode": "Auto"})
    first = written(pool, decision=a_decision())
    assert first["load"] == {
        "demandPatchesPerSecond": 30_000,
        "servedPatchesPerSecond": 20_000,
        "capacityPatchesPerSecond": 27_000,
        "pendingPatches": 100,
    }
    busier = a_decision(demand=31_000, pending=0, reason="31k patches/s asked for: 3 needed")
    assert difference(first, written(pool, decision=busier, status=first)) == {}


@pytest.mark.parametrize("change", [{"recommended": 4}, {"bottleneck": "device"}])
def test_load_is_written_with_another_recommendation(change: dict[str, Any]) -> None:
    pool = a_cluster_pool(autoscaling={"mode": "Auto"})
    first = written(pool, decision=a_decision())
    after = written(pool, decision=a_decision(demand=40_000, reason="40k", **change), status=first)
    assert after["load"]["demandPatchesPerSecond"] == 40_000
    assert after["recommendation"] == "40k"


def test_an_operator_that_has_not_looked_yet_leaves_what_the_last_one_found() -> None:
    pool = a_cluster_pool(autoscaling={"mode": "Auto"})
    first = written(pool, decision=a_decision())
    after = written(pool, status=first)
    assert difference(first, after).keys() == {"conditions"}
    for name in ("load", "recommendation", "recommendedReplicas", "bottleneck"):
        assert after[name] == first[name]


def test_a_pool_whose_load_nobody_looks_at_has_none() -> None:
    first = written(a_cluster_pool(autoscaling={"mode": "Auto"}), decision=a_decision())
    after = written(a_cluster_pool(autoscaling={"mode": "Off"}), status=first)
    assert not {"load", "recommendedReplicas", "bottleneck", "recommendation"} & after.keys()
    assert merged(first, difference(first, after)) == after


def test_what_others_write_stays() -> None:
    scale = {"time": "2026-01-01T00:00:00Z", "oldReplicas": 1, "newReplicas": 2, "reason": "load"}
    assert written(status={"lastScale": scale})["lastScale"] == scale


def test_a_fingerprint_stays_while_nobody_tells_it() -> None:
    assert written(fingerprint="abc")["fingerprint"] == "abc"
    assert written(status={"fingerprint": "abc"})["fingerprint"] == "abc"
    assert written(fingerprint="new", status={"fingerprint": "abc"})["fingerprint"] == "new"


def test_replicas_that_do_not_agree_have_no_fingerprint() -> None:
    assert "fingerprint" not in written(fingerprint="", status={"fingerprint": "abc"})


@pytest.mark.parametrize(
    ("model", "text"),
    [
        ({"path": "/models/a"}, "/models/a"),
        ({"name": "Qwen/Qwen2.5-VL-7B-Instruct"}, "Qwen/Qwen2.5-VL-7B-Instruct"),
        ({"name": "a/b", "revision": "v1"}, "a/b@v1"),
        ({"pvc": {"claimName": "models"}}, "models"),
        ({"pvc": {"claimName": "models", "path": "qwen/7b"}}, "models/qwen/7b"),
    ],
)
def test_the_model_is_said_as_the_pool_says_it(model: dict[str, Any], text: str) -> None:
    assert written(a_cluster_pool(model=model))["model"] == text


def test_counts_are_those_of_the_deployments() -> None:
    made = desired(seen(a_cluster_pool(replicas=3), [NODE]))
    after = written(a_cluster_pool(replicas=3), children=children_of(made, replicas=4, readyReplicas=2))
    assert (after["replicas"], after["readyReplicas"]) == (4, 2)
    assert after["selector"] == "encoderfleet.io/pool=vision"
