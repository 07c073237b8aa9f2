import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fleet_operator.api.parts import Resources
from fleet_operator.cluster_plan import REPLAN, UNPINNED, PoolPlan, ShapePlan, inputs_hash, plan_pool
from fleet_operator.kept_plan import Kept
from fleet_operator.observed.pods import PodState
from fleet_operator.reconcile.desired import desired, kept, unasked
from fleet_operator.specs.names import PLAN_ANNOTATION, SHAPE_LABEL
from fleet_operator.specs.runtime import Images, runtime
from planning.clusters import GPU_TAINT, TYPE, a_daemon, a_node, a_shape
from planning.pools import a_pool
from reconciling.snapshots import NOW, a_cluster_pool, a_pod, a_waiting_pod, children_of, deployments, seen

NOTHING: Mapping[str, Decimal] = {}


def planned(pool: Any, shapes: Any, before: Sequence[Kept] = (), others: Mapping[str, Decimal] = NOTHING) -> PoolPlan:
    return plan_pool(pool, shapes, others, before)


def row_of(plan: PoolPlan, name: str) -> ShapePlan:
    (row,) = [row for row in plan.rows if row.name == name]
    return row


def kept_of(pool: Any, shape: str = "any", cpus: int = 8, gpus: int = 0, **fields: Any) -> Kept:
    return Kept(shape, fields.get("labels", ()), cpus, gpus, fields.get("inputs", inputs_hash(pool)))


# The property of the product: a node that joins or leaves with a known shape changes no pod template.

KINDS = {"small": 0, "large": 0, "four": 4, "eight": 8}
"""Instance types, and the GPUs that a node of them has."""


@st.composite
def nodes_of(draw: st.DrawFn, kinds: Sequence[str], prefix: str, least: int) -> list[dict[str, Any]]:
    """Nodes of these types, which differ in all that is no shape label."""

    def one(index: int) -> dict[str, Any]:
        kind = draw(st.sampled_from(sorted(kinds)))
        # Where the driver is not up yet, a node has none of its GPUs, where one is broken, one less.
        gpus = draw(st.sampled_from([KINDS[kind]] * 3 + [0, max(0, KINDS[kind] - 1)]))
        return a_node(
            f"{prefix}-{index}",
            cpu=draw(st.sampled_from([2, "7910m", 16, 32, "63.5", 192])),
            gpus=gpus,
            labels={TYPE: kind, "log": draw(st.sampled_from(["yes", "no"]))},
            taints=[GPU_TAINT] if KINDS[kind] and draw(st.booleans()) else [],
            ready=draw(st.booleans()),
            cordoned=draw(st.booleans()),
        )

    return [one(index) for index in range(draw(st.integers(least, 5)))]


DAEMONS = st.lists(
    st.builds(
        a_daemon,
        st.sampled_from(["0.1", "1", "3"]),
        selector=st.sampled_from([{}, {"log": "yes"}]),
        tolerations=st.sampled_from([[], [{"operator": "Exists"}]]),
    ),
    max_size=3,
)
POOLS = st.fixed_dictionaries(
    {
        "replicas": st.integers(0, 12),
        "resources": st.fixed_dictionaries(
            {},
            optional={
                "gpus": st.sampled_from([0, 1, 2, 8]),
                "cpus": st.sampled_from([1, 4, "2500m"]),
                "reservedCpus": st.sampled_from([0, 2]),
            },
        ),
    }
)


def templates(made: Any) -> dict[str, Any]:
    """Pod templates of the Deployments in use."""
    return {name: body["spec"]["template"] for name, body in deployments(made).items() if body["spec"]["replicas"]}


@given(POOLS, st.data())
def test_nodes_that_join_and_leave_with_known_shapes_change_no_pod_template(
    spec: dict[str, Any], data: st.DataObject
) -> None:
    known = data.draw(st.lists(st.sampled_from(sorted(KINDS)), min_size=1, unique=True), label="types")
    nodes = data.draw(nodes_of(known, "first", 1), label="nodes at first")
    pool = a_cluster_pool(**spec)
    made = desired(seen(pool, nodes, data.draw(DAEMONS, label="DaemonSets at first")))
    before, counts = templates(made), {name: body["spec"]["replicas"] for name, body in deployments(made).items()}
    assume(before)
    for visit in range(data.draw(st.integers(1, 3), label="visits")):
        leaving = data.draw(st.sets(st.sampled_from([each["metadata"]["name"] for each in nodes] or ["-"])))
        nodes = [each for each in nodes if each["metadata"]["name"] not in leaving]
        nodes += data.draw(nodes_of(known, f"visit-{visit}", 0), label="nodes that join")
        daemons = data.draw(DAEMONS, label="DaemonSets")
        made = desired(seen(pool, nodes, daemons, children=children_of(made)))
        assert templates(made) == before
        assert {name: body["spec"]["replicas"] for name, body in deployments(made).items()} == counts


@given(POOLS, st.data())
def test_pods_that_stay_keep_their_template_while_the_pool_is_scaled(spec: dict[str, Any], data: st.DataObject) -> None:
    nodes = data.draw(nodes_of(list(KINDS), "first", 1), label="nodes")
    made = desired(seen(a_cluster_pool(**spec), nodes))
    for visit in range(3):
        before = templates(made)
        pool = a_cluster_pool(**{**spec, "replicas": data.draw(st.integers(0, 20), label="replicas")})
        nodes = nodes[1:] + data.draw(nodes_of(list(KINDS), f"visit-{visit}", 0), label="nodes that join")
        made = desired(seen(pool, nodes, children=children_of(made)))
        after = templates(made)
        assert all(after[name] == template for name, template in before.items() if name in after)
        if any(row.share.cpus for row in made.plan.rows):
            assert sum(body["spec"]["replicas"] for body in deployments(made).values()) == pool.spec.replicas


@given(POOLS, st.data())
def test_a_plan_that_was_applied_is_the_plan_at_the_next_visit(spec: dict[str, Any], data: st.DataObject) -> None:
    nodes = data.draw(nodes_of(list(KINDS), "n", 0), label="nodes")
    daemons = data.draw(DAEMONS)
    pool = a_cluster_pool(**spec)
    made = desired(seen(pool, nodes, daemons))
    again = desired(seen(pool, nodes, daemons, children=children_of(made)))
    assert again.objects == made.objects
    assert again.plan == made.plan


# What is kept.


def test_a_shape_that_has_pods_keeps_its_share_and_says_what_it_would_be() -> None:
    pool = a_pool()
    plan = planned(pool, [a_shape(cpus=16)], [kept_of(pool, cpus=31)])
    (row,) = plan.rows
    assert (row.share.cpus, row.share.fit) == (31, 0)
    assert row.share.reason.startswith("kept at 31, as pods run with it; now it would be: 16 allocatable - 1 reserved")
    assert row.note == "any: 31 CPUs a replica are kept, 15 CPUs would be planned now"
    assert row.kept == kept_of(pool, cpus=31)
    assert plan.current == plan.runnable == plan.rows


def test_gpus_that_are_kept_are_said_too() -> None:
    pool = a_pool()
    (row,) = planned(pool, [a_shape(cpus=32)], [kept_of(pool, cpus=31, gpus=1)]).rows
    assert (row.share.gpus, row.share.fit) == (1, 0)
    assert row.note == "any: 31 CPUs and 1 GPU a replica are kept, 31 CPUs would be planned now"


def test_a_share_that_would_be_the_same_is_no_news() -> None:
    pool = a_pool()
    (row,) = planned(pool, [a_shape(cpus=16)], [kept_of(pool, cpus=15)]).rows
    assert row.note == ""
    assert row.share.reason.startswith("16 allocatable")


@pytest.mark.parametrize(
    ("shape", "others", "cpus", "gpus", "fit"),
    [
        ({"cpus": 32}, 0, 8, 0, 4),
        ({"cpus": 32, "held": 1}, 0, 8, 0, 3),
        ({"cpus": 32}, 9, 8, 0, 2),
        ({"cpus": 4}, 0, 8, 0, 0),
        ({"cpus": 4, "held": 9}, 0, 8, 0, 0),
        ({"cpus": 64, "gpus": 8}, 0, 6, 1, 8),
        ({"cpus": 64, "gpus": 8}, 0, 6, 2, 4),
        # DaemonSets have come: not all GPUs have their CPUs any more.
        ({"cpus": 64, "gpus": 8, "held": 17}, 0, 6, 1, 7),
        ({"cpus": 64, "gpus": 0}, 0, 6, 1, 0),
    ],
)
def test_what_fits_is_counted_for_the_share_that_is_kept(
    shape: dict[str, Any], others: int, cpus: int, gpus: int, fit: int
) -> None:
    pool = a_pool()
    before = replace(kept_of(pool, cpus=cpus, gpus=gpus), others=Decimal(others))
    (row,) = planned(pool, [a_shape(**shape)], [before]).rows
    assert (row.share.cpus, row.share.gpus, row.share.fit) == (cpus, gpus, fit)


@pytest.mark.parametrize(
    "change",
    [
        {"resources": {"cpus": 4}},
        {"resources": {"reservedCpus": 2}},
        {"resources": {"memory": "8Gi"}},
        {"threads": {"policy": "Manual", "intraOpThreads": 2}},
        {"scheduling": {"priorityClassName": "high"}},
    ],
)
def test_a_pool_that_asks_for_something_else_is_planned_anew(change: dict[str, Any]) -> None:
    before = [kept_of(a_pool(), cpus=31)]
    (row,) = planned(a_pool(**change), [a_shape(cpus=16)], before).rows
    assert row.share.cpus == {"cpus": 4, "reservedCpus": 14}.get(*change.get("resources", {"": 0}), 15)
    assert row.note == ""
    assert row.inputs == inputs_hash(a_pool(**change))


@pytest.mark.parametrize(
    "change", [{"replicas": 9}, {"image": "a:2"}, {"cache": {"size": 0}}, {"rollout": {"maxSurge": 1}}]
)
def test_what_is_no_part_of_a_share_keeps_it(change: dict[str, Any]) -> None:
    (row,) = planned(a_pool(**change), [a_shape(cpus=16)], [kept_of(a_pool(), cpus=31)]).rows
    assert row.share.cpus == 31


def test_another_value_of_the_annotation_plans_anew() -> None:
    pool, asked = a_cluster_pool(), a_cluster_pool(annotations={REPLAN: "1"})
    again = a_cluster_pool(annotations={REPLAN: "2"})
    other = a_cluster_pool(annotations={"other": "1"})
    hashes = {inputs_hash(each) for each in (pool, asked, again)}
    assert len(hashes) == 3
    assert inputs_hash(other) == inputs_hash(pool)
    (row,) = planned(asked, [a_shape(cpus=16)], [kept_of(pool, cpus=31)]).rows
    assert row.share.cpus == 15


def test_a_section_that_is_written_out_is_as_one_that_is_not() -> None:
    assert inputs_hash(a_pool(resources={"reservedCpus": "1000m"}, threads={"policy": "Auto"})) == inputs_hash(a_pool())


def test_what_other_pods_held_is_remembered_and_not_looked_at_again() -> None:
    pool = a_pool()
    before = replace(kept_of(pool, cpus=24), others=Decimal("6.5"))
    for looked_at in ({}, {"any": Decimal(20)}):
        (row,) = planned(pool, [a_shape(cpus=32)], [before], looked_at).rows
        assert (row.share.cpus, row.others, row.note, row.kept) == (24, Decimal("6.5"), "", before)


@pytest.mark.parametrize(("looked_at", "cpus"), [({}, 24), ({"any": Decimal(20)}, 11)])
def test_what_other_pods_hold_counts_anew_where_a_shape_is_planned_anew(looked_at: Any, cpus: int) -> None:
    before = replace(kept_of(a_pool(), cpus=8), others=Decimal("6.5"))
    asked = a_pool(resources={"memory": "8Gi"})
    (row,) = planned(asked, [a_shape(cpus=32)], [before], looked_at).rows
    assert row.share.cpus == cpus


@pytest.mark.parametrize(
    "text",
    [
        "garbage",
        "[" * 100_000,
        *(
            json.dumps({"shape": "a", "labels": [], "cpus": 3, "gpus": 0, "inputs": "x", "others": "0"} | change)
            for change in ({"cpus": float("inf")}, {"cpus": 0}, {"cpus": 10**11}, {"gpus": -1}, {"labels": 5})
        ),
    ],
)
def test_what_somebody_has_garbled_is_not_kept(text: str) -> None:
    assert Kept.load(text) is None


@given(
    st.builds(
        Kept,
        st.text(max_size=9),
        st.lists(st.tuples(st.text(max_size=5), st.none() | st.text(max_size=5)), max_size=3).map(tuple),
        st.integers(1, 512),
        st.integers(0, 16),
        st.text(max_size=12),
        st.integers(0, 10**6).map(lambda thousandths: Decimal(thousandths) / 1000),
    )
)
def test_what_is_kept_is_read_as_it_was_written(before: Kept) -> None:
    assert Kept.load(before.dump()) == before


def test_a_newer_operator_with_more_fields_plans_nothing_anew() -> None:
    class Newer(Resources):
        """As a later version may have it."""

        numa_nodes: int = 1
        """New."""

    pool = a_pool(resources={"cpus": 4})
    newer = Newer.model_validate({"cpus": 4})
    spec = pool.spec.model_copy(update={"resources": newer})
    assert inputs_hash(pool.model_copy(update={"spec": spec})) == inputs_hash(pool)


# Shapes whose nodes are gone, or are the pool's no more.

LABELS = ((TYPE, "old"),)


def test_pods_whose_nodes_are_gone_stay_as_they_are() -> None:
    pool = a_pool()
    plan = planned(pool, [a_shape("new", cpus=16)], [kept_of(pool, "old", cpus=31, gpus=1, labels=LABELS)])
    row = row_of(plan, "old")
    assert (row.share.cpus, row.share.gpus, row.share.fit, row.places) == (31, 1, 0, 0)
    assert row.share.reason == "kept at 31, as pods run with it; no node of this shape takes the pool's pods now"
    assert row.labels == LABELS
    assert row in plan.current
    assert row.kept == kept_of(pool, "old", cpus=31, gpus=1, labels=LABELS)


def test_pods_of_a_shape_that_is_the_pools_no_more_are_to_leave() -> None:
    before, pool = a_pool(resources={"gpus": 0}), a_pool(resources={"gpus": 1})
    old = kept_of(before, "cpu", cpus=14, labels=LABELS)
    plan = planned(pool, [a_shape("gpu", cpus=64, gpus=8)], [old])
    assert [row.name for row in plan.runnable] == ["cpu", "gpu"]
    assert [row.name for row in plan.current] == ["gpu"]
    # So that it is planned anew should its nodes be the pool's again.
    assert row_of(plan, "cpu").kept == old


def test_a_share_of_other_inputs_is_not_taken_for_one_of_these_when_the_nodes_come_back() -> None:
    first = a_cluster_pool(replicas=2, resources={"cpus": 4})
    node = a_node(labels={TYPE: "x"})
    made = desired(seen(first, [node]))
    changed = a_cluster_pool(replicas=2, resources={"cpus": 8})
    for nodes in ([], [], [node]):
        made = desired(seen(changed, nodes, children=children_of(made, readyReplicas=0)))
    pinned = [row for row in made.plan.rows if row.name != UNPINNED]
    assert [row.share.cpus for row in pinned] in ([], [8])


def test_pods_go_on_where_a_change_leaves_no_room_for_any() -> None:
    before, pool = a_pool(), a_pool(resources={"reservedCpus": 100})
    old = kept_of(before, cpus=31)
    plan = planned(pool, [a_shape(cpus=32)], [old])
    (row,) = plan.rows
    assert (row.share.cpus, row.kept) == (31, old)
    assert plan.current == ()
    assert plan.runnable == (row,)


def test_rows_come_in_the_order_of_their_names() -> None:
    pool = a_pool(resources={"cpus": 2})
    before = [kept_of(pool, "c", cpus=2), kept_of(pool, "a", cpus=2), kept_of(pool, UNPINNED, cpus=2)]
    names = [row.name for row in planned(pool, [a_shape("b", cpus=8)], before).rows]
    assert names == sorted(names) == ["a", "b", "c", UNPINNED]


# Without nodes.


@pytest.mark.parametrize("shapes", [None, (), [a_shape(cpus=1)]])
def test_without_nodes_the_pool_itself_says_what_a_replica_is(shapes: Any) -> None:
    plan = planned(a_pool(resources={"cpus": "8500m", "gpus": 1}), shapes)
    row = row_of(plan, UNPINNED)
    assert (row.share.cpus, row.share.gpus, row.places, row.labels) == (8, 1, None, ())
    assert row.budget is not None
    assert {each.name: each.value for each in row.env}["ENCODERFLEET_CPUS"] == "8"
    assert plan.current == (row,)


@pytest.mark.parametrize("shapes", [None, (), [a_shape(cpus=1)]])
def test_without_nodes_and_without_cpus_there_is_no_plan(shapes: Any) -> None:
    plan = planned(a_pool(), shapes)
    assert plan.runnable == ()
    assert all(row.budget is None and row.env == () for row in plan.rows)


def test_where_a_shape_can_be_planned_nothing_is_unpinned() -> None:
    plan = planned(a_pool(resources={"cpus": 4}), [a_shape("a", cpus=1), a_shape("b", cpus=8)])
    assert [row.name for row in plan.rows] == ["a", "b"]
    assert [row.name for row in plan.runnable] == ["b"]


def test_unpinned_pods_stay_when_nodes_come() -> None:
    pool = a_pool(resources={"cpus": 4})
    old = kept_of(pool, UNPINNED, cpus=4)
    plan = planned(pool, [a_shape("b", cpus=32)], [old])
    row = row_of(plan, UNPINNED)
    assert (row.kept, row.places) == (old, None)
    assert row in plan.current


def test_unpinned_pods_are_to_leave_where_a_change_finds_nodes_for_them() -> None:
    before, pool = a_pool(resources={"cpus": 4}), a_pool(resources={"cpus": 6})
    old = kept_of(before, UNPINNED, cpus=4)
    plan = planned(pool, [a_shape("b", cpus=32)], [old])
    assert row_of(plan, UNPINNED).kept == old
    assert [row.name for row in plan.current] == ["b"]


@pytest.mark.parametrize(("cpus", "expected", "current"), [(6, 6, True), (None, 4, False)])
def test_unpinned_pods_change_with_the_pool_where_there_are_no_nodes(
    cpus: int | None, expected: int, current: bool
) -> None:
    before, pool = a_pool(resources={"cpus": 4}), a_pool(resources={"cpus": cpus} if cpus else {})
    plan = planned(pool, None, [kept_of(before, UNPINNED, cpus=4)])
    assert row_of(plan, UNPINNED).share.cpus == expected
    assert (plan.current == plan.rows) is current


def test_pods_that_were_planned_by_nodes_stay_when_nodes_can_not_be_read_any_more() -> None:
    pool = a_pool(resources={"cpus": 4})
    plan = planned(pool, None, [kept_of(pool, "old", cpus=31, labels=LABELS)])
    (row,) = plan.rows
    assert (row.share.cpus, row.places) == (31, None)
    assert "nodes cannot be read" in row.share.reason


# From one visit to the next.


def in_use(made: Any) -> dict[str, int]:
    counts = {name: body["spec"]["replicas"] for name, body in deployments(made).items()}
    return {name: count for name, count in counts.items() if count}


def test_a_pool_that_wants_gpus_now_leaves_its_cpu_nodes_one_replica_at_a_time() -> None:
    nodes = [a_node("c", labels={TYPE: "cpu"}), a_node("g", gpus=8, labels={TYPE: "gpu"})]
    made = desired(seen(a_cluster_pool(replicas=3, resources={"gpus": 0, "cpus": 4}), nodes))
    (cpu,) = in_use(made)
    (template,) = templates(made).values()
    pool = a_cluster_pool(replicas=3, resources={"gpus": 1, "cpus": 4})
    looks = []
    for _ in range(4):
        made = desired(seen(pool, nodes, children=children_of(made)))
        looks.append(in_use(made))
        assert templates(made).get(cpu, template) == template
    assert [look.get(cpu, 0) for look in looks] == [2, 1, 0, 0]
    assert [sum(look.values()) for look in looks] == [3] * 4


def test_unpinned_pods_are_not_all_stopped_at_once_by_a_change() -> None:
    made = desired(seen(a_cluster_pool(replicas=4, resources={"cpus": 4}), []))
    assert in_use(made) == {"vision-unpinned": 4}
    pool = a_cluster_pool(replicas=4, resources={"cpus": 8})
    nodes = [a_node(labels={TYPE: "x"})]
    made = desired(seen(pool, nodes, children=children_of(made)))
    assert in_use(made)["vision-unpinned"] == 3
    # None of the new ones serves yet.
    waiting = {name: child for name, child in children_of(made).items() if "unpinned" in name[1]}
    waiting |= {name: each for name, each in children_of(made, readyReplicas=0).items() if name not in waiting}
    assert in_use(desired(seen(pool, nodes, children=waiting)))["vision-unpinned"] == 3


def test_pods_ask_for_a_node_of_the_new_kind_where_there_is_none_yet() -> None:
    nodes = [a_node(labels={TYPE: "x"})]
    made = desired(seen(a_cluster_pool(replicas=3, resources={"cpus": 4}), nodes))
    pool = a_cluster_pool(replicas=3, resources={"cpus": 4}, scheduling={"nodeSelector": {"pool": "new"}})
    # Of a cluster autoscaler, say: for as many as may be away, as in a rollout.
    after = desired(seen(pool, nodes, children=children_of(made)))
    assert in_use(after)["vision-unpinned"] == 1
    assert sum(in_use(after).values()) == 3
    assert deployments(after)["vision-unpinned"]["spec"]["template"]["spec"]["nodeSelector"] == {"pool": "new"}


def test_a_change_that_leaves_no_room_stops_nobody() -> None:
    nodes = [a_node(labels={TYPE: "x"})]
    made = desired(seen(a_cluster_pool(replicas=2), nodes))
    before = in_use(made), templates(made)
    for change in ({"resources": {"reservedCpus": 100}}, {"scheduling": {"shapeLabels": ["other"]}}):
        pool = a_cluster_pool(replicas=2, **change)
        after = desired(seen(pool, nodes if "resources" in change else [], children=children_of(made)))
        assert (in_use(after), templates(after)) == before


def test_the_plan_of_a_deployment_that_is_not_in_use_is_forgotten() -> None:
    pool = a_cluster_pool(replicas=2)
    made = desired(seen(pool, [a_node(cpu=32, labels={TYPE: "x"})]))
    (name,) = in_use(made)
    stopped = a_cluster_pool(replicas=0)
    children = children_of(made)
    stopping = desired(seen(stopped, [a_node(cpu=16, labels={TYPE: "x"})], children=children))
    # Its pods are still going: it keeps its plan until they are gone.
    assert deployments(stopping)[name]["spec"]["template"] == deployments(made)[name]["spec"]["template"]
    ending = children_of(stopping, replicas=1)
    still = desired(seen(stopped, [a_node(cpu=16, labels={TYPE: "x"})], children=ending))
    assert deployments(still)[name]["spec"]["template"] == deployments(made)[name]["spec"]["template"]
    gone = desired(seen(stopped, [], children=children_of(stopping)))
    assert deployments(gone) == {}
    back = desired(seen(pool, [a_node(cpu=16, labels={TYPE: "x"})], children={}))
    assert [row.share.cpus for row in back.plan.rows] == [15]


def test_a_deployment_that_somebody_scaled_to_none_is_planned_anew() -> None:
    pool = a_cluster_pool(replicas=2)
    made = desired(seen(pool, [a_node(cpu=32, labels={TYPE: "x"})]))
    (name,) = in_use(made)
    bodies = [{**body, "spec": {**body["spec"], "replicas": 0}} for body in deployments(made).values()]
    after = desired(seen(pool, [a_node(cpu=16, labels={TYPE: "x"})], children=children_of(bodies)))
    assert in_use(after) == {name: 2}
    assert [row.share.cpus for row in after.plan.rows] == [15]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "no JSON",
        "{}",
        '{"shape":"x","labels":[],"cpus":"many","gpus":0,"inputs":""}',
        '{"shape":"x","labels":[["a"]],"cpus":8,"gpus":0,"inputs":""}',
        '{"shape":"x","labels":[],"cpus":0,"gpus":0,"inputs":""}',
        '{"shape":"x","labels":[],"cpus":-8,"gpus":0,"inputs":""}',
        '{"shape":"x","labels":[],"cpus":8,"gpus":-1,"inputs":""}',
        '{"shape":"x","labels":[],"cpus":8,"gpus":0}',
    ],
)
def test_a_plan_that_somebody_edited_is_made_anew(text: str) -> None:
    meta = {"name": "vision-x", "annotations": {PLAN_ANNOTATION: text}}
    assert kept([{"metadata": meta, "spec": {"replicas": 2}}]) == []


def test_what_a_deployment_was_planned_with_is_read_from_it() -> None:
    pool = a_cluster_pool(replicas=1, resources={"gpus": 1})
    made = desired(seen(pool, [a_node(gpus=8, labels={TYPE: "x"})]))
    (row,) = made.plan.rows
    assert kept(deployments(made).values()) == [row.kept]


def test_pods_are_pinned_to_the_labels_of_their_shape() -> None:
    made = desired(seen(a_cluster_pool(replicas=1), [a_node(labels={TYPE: "x"})]))
    (body,) = deployments(made).values()
    required = body["spec"]["template"]["spec"]["affinity"]["nodeAffinity"][
        "requiredDuringSchedulingIgnoredDuringExecution"
    ]
    (term,) = required["nodeSelectorTerms"]
    pins = {each["key"]: (each["operator"], each.get("values")) for each in term["matchExpressions"]}
    assert pins == {
        TYPE: ("In", ["x"]),
        "nvidia.com/gpu.product": ("DoesNotExist", None),
        "nvidia.com/gpu.count": ("DoesNotExist", None),
    }
    assert body["metadata"]["labels"][SHAPE_LABEL] == made.plan.rows[0].name


TWO_SHAPES = [a_node("a", cpu=33, labels={TYPE: "a"}), a_node("b", cpu=17, labels={TYPE: "b"})]


def replicas_of(made: Any) -> dict[str, int]:
    """By instance type."""
    return {str(dict(row.labels)[TYPE]): made.replicas[row.name] for row in made.plan.runnable}


def waiting_in(made: Any, kind: str, count: int, seconds: float) -> tuple[PodState, ...]:
    """Pods of a shape that have found no node for so long."""
    (shape,) = [row.name for row in made.plan.rows if dict(row.labels)[TYPE] == kind]
    return tuple(a_waiting_pod(f"p-{n}", seconds, shape=shape) for n in range(count))


def test_pods_that_find_no_node_move_and_do_not_come_back_for_a_while() -> None:
    pool = a_cluster_pool(replicas=2, resources={"cpus": 8})
    made = desired(seen(pool, TWO_SHAPES))
    assert replicas_of(made) == {"a": 2, "b": 0}
    moved = desired(seen(pool, TWO_SHAPES, children=children_of(made), pods=waiting_in(made, "a", 2, 61)))
    assert replicas_of(moved) == {"a": 0, "b": 2}
    # They find none there either, and all that tells that they came from `a` is a Deployment without pods.
    after = moved
    for minutes in (1, 5, 9):
        now = NOW + timedelta(minutes=minutes)
        after = desired(seen(pool, TWO_SHAPES, children=children_of(after), pods=waiting_in(after, "b", 2, 0), now=now))
        assert replicas_of(after) == {"a": 0, "b": 2}
        assert len(deployments(after)) == 2
    assert after.again == 61
    later = desired(seen(pool, TWO_SHAPES, children=children_of(after), now=NOW + timedelta(minutes=11)))
    assert len(deployments(later)) == 1


def asked_for(now: Any) -> list[str]:
    """Instance types of which it is to be asked what others hold there."""
    return [str(dict(shape.labels)[TYPE]) for shape in unasked(desired(now), now)]


def test_what_others_hold_is_asked_only_where_replicas_are_to_come() -> None:
    pool = a_cluster_pool(replicas=2, resources={"cpus": 8})
    new = seen(pool, TWO_SHAPES)
    shapes = {str(dict(row.labels)[TYPE]): row.name for row in desired(new).plan.rows}
    assert asked_for(new) == ["a"]
    # Too much is held there: another shape gets them, and is asked for in its turn.
    assert asked_for(replace(new, others={shapes["a"]: Decimal(26)})) == ["b"]
    assert asked_for(replace(new, others={shapes["a"]: Decimal(0)})) == []
    # Once it is planned nobody asks any more, until more replicas come, or the pool is planned anew.
    made = desired(new)
    settled = seen(pool, TWO_SHAPES, children=children_of(made))
    assert asked_for(settled) == []
    more = a_cluster_pool(replicas=5, resources={"cpus": 8})
    assert asked_for(seen(more, TWO_SHAPES, children=children_of(made))) == ["b"]
    other = a_cluster_pool(replicas=2, resources={"cpus": 4})
    assert asked_for(seen(other, TWO_SHAPES, children=children_of(made))) == ["a"]
    assert asked_for(seen(a_cluster_pool(replicas=0), TWO_SHAPES)) == []
    assert asked_for(seen(pool, None)) == []


@pytest.mark.parametrize(("seconds", "moved"), [(0, 0), (59, 0), (60, 1), (600, 1)])
def test_a_pod_moves_when_it_has_waited_for_a_minute(seconds: float, moved: int) -> None:
    pool = a_cluster_pool(replicas=2, resources={"cpus": 8})
    made = desired(seen(pool, TWO_SHAPES))
    after = desired(seen(pool, TWO_SHAPES, children=children_of(made), pods=waiting_in(made, "a", 1, seconds)))
    assert replicas_of(after) == {"a": 2 - moved, "b": moved}
    if not moved:
        assert after.again == 61 - seconds


@pytest.mark.parametrize(("seconds", "moved"), [(100, 0), (375, 0), (376, 1)])
def test_a_pod_that_waits_for_one_that_is_draining_is_given_the_time(seconds: float, moved: int) -> None:
    pool = a_cluster_pool(replicas=2, resources={"cpus": 8}, lifecycle={"drainSeconds": 296})
    made = desired(seen(pool, TWO_SHAPES))
    pods = (*waiting_in(made, "a", 1, seconds), a_pod("draining", leaving=True, shape=made.plan.rows[0].name))
    after = desired(seen(pool, TWO_SHAPES, children=children_of(made), pods=pods))
    assert replicas_of(after) == {"a": 2 - moved, "b": moved}


@pytest.mark.parametrize(("pods", "waiting", "moved"), [(2, 1, 1), (3, 1, 0), (3, 2, 1), (4, 2, 0)])
def test_a_pod_that_a_rollout_adds_moves_no_replica(pods: int, waiting: int, moved: int) -> None:
    pool = a_cluster_pool(replicas=2, resources={"cpus": 8}, rollout={"maxSurge": 2})
    made = desired(seen(pool, TWO_SHAPES))
    children = children_of(made, replicas=pods)
    after = desired(seen(pool, TWO_SHAPES, children=children, pods=waiting_in(made, "a", waiting, 600)))
    assert replicas_of(after) == {"a": 2 - moved, "b": moved}


def test_a_pod_that_is_leaving_waits_for_no_node() -> None:
    pool = a_cluster_pool(replicas=2, resources={"cpus": 8})
    made = desired(seen(pool, TWO_SHAPES))
    pods = tuple(replace(pod, leaving=True) for pod in waiting_in(made, "a", 2, 600))
    after = desired(seen(pool, TWO_SHAPES, children=children_of(made), pods=pods))
    assert replicas_of(after) == {"a": 2, "b": 0}
    assert after.again is None


# Threads in a cluster.


def test_a_row_has_the_threads_of_its_share() -> None:
    (row,) = planned(a_pool(resources={"gpus": 2}), [a_shape(cpus=192, gpus=8)]).rows
    env = {each.name: each.value for each in row.env}
    assert row.share.cpus == 47
    assert env["ENCODERFLEET_CPUS"] == env["SGLANG_ENCODER_PREPROC_WORKERS"] == "47"
    assert env["OMP_NUM_THREADS"] == "1"
    assert env["ENCODERFLEET_DEVICE"] == "cuda"


def test_threads_over_the_cpus_are_warned_of_once() -> None:
    pool = a_pool(threads={"policy": "Manual", "intraOpThreads": 8, "preprocessWorkers": 8})
    shapes = [a_shape("a", cpus=16), a_shape("b", cpus=16)]
    (warning,) = planned(pool, shapes).warnings
    assert "preprocessWorkers 8 x intraOpThreads 8 = 64 threads on 15 CPUs" in warning
    assert len(planned(pool, [*shapes, a_shape("c", cpus=32)]).warnings) == 2


@pytest.mark.parametrize("name", ["OMP_NUM_THREADS", "ENCODERFLEET_CPUS", "SGLANG_ENCODER_PREPROC_WORKERS"])
def test_a_variable_that_the_pool_sets_is_the_pools(name: str) -> None:
    pool = a_cluster_pool(
        replicas=1, podTemplate={"env": [{"name": name, "value": "3"}, {"name": "OWN", "value": "x"}]}
    )
    made = desired(seen(pool, [a_node(labels={TYPE: "x"})]))
    (body,) = deployments(made).values()
    env = body["spec"]["template"]["spec"]["containers"][0]["env"]
    names = [each["name"] for each in env]
    assert len(names) == len(set(names))
    assert {"name": name, "value": "3"} in env
    assert {"name": "OWN", "value": "x"} in env


IMAGES = Images("native:1", "sglang:1")


@pytest.mark.parametrize("gpus", [0, 1])
def test_sglang_gets_the_thread_variables_that_it_knows(gpus: int) -> None:
    pool = a_pool(runtime="SGLang", resources={"gpus": gpus})
    (row,) = planned(pool, [a_shape(cpus=192, gpus=8)]).rows
    program = runtime(pool, row.env, IMAGES)
    env = {each.name: each.value for each in program.env}
    assert set(env) == {
        "SGLANG_ENCODER_PREPROC_WORKERS",
        "SGLANG_ENCODER_VIDEO_DECODE_NUM_THREADS",
        "OMP_NUM_THREADS",
        "MKL_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "OMP_WAIT_POLICY",
    }
    assert env["SGLANG_ENCODER_PREPROC_WORKERS"] == str(row.share.cpus)
    assert env["SGLANG_ENCODER_VIDEO_DECODE_NUM_THREADS"] == "16"
    assert env["OMP_NUM_THREADS"] == ("1" if gpus else str(row.share.cpus))


def test_our_encoder_gets_all_of_the_plan() -> None:
    pool = a_pool(consumers=[{"service": {"name": "vlm"}}])
    (row,) = planned(pool, [a_shape(cpus=16)]).rows
    told = runtime(pool, row.env, IMAGES).env
    assert told[: len(row.env)] == row.env
    assert {each.name for each in told} - {each.name for each in row.env} == {
        "ENCODERFLEET_BIND",
        "ENCODERFLEET_HTTP",
        "ENCODERFLEET_SGLANG_HTTP",
        "ENCODERFLEET_LOG_FORMAT",
    }


def test_the_same_shapes_make_the_same_plan_in_any_order() -> None:
    pool = a_pool(resources={"cpus": 2})
    shapes = [a_shape(name, cpus=cpus) for name, cpus in (("a", 8), ("b", 4), ("c", 1))]
    before = [kept_of(pool, "b", cpus=3), kept_of(pool, "z", cpus=2)]
    assert planned(pool, shapes, before) == planned(pool, shapes[::-1], before[::-1])


def test_what_other_pods_hold_is_subtracted_where_a_shape_is_planned() -> None:
    pool = a_pool()
    (row,) = planned(pool, [a_shape(cpus=32)], others={"any": Decimal("4.5"), "other": Decimal(9)}).rows
    assert (row.share.cpus, row.others) == (26, Decimal("4.5"))
