from itertools import pairwise
from typing import Any

import pytest

from fleet_operator.observed.pods import PodState
from fleet_operator.reconcile.desired import desired
from fleet_operator.reconcile.invalid import invalid_status
from fleet_operator.reconcile.news import News, news
from fleet_operator.reconcile.observation import Trouble
from fleet_operator.reconcile.status import status
from planning.clusters import TYPE, a_node
from reconciling.snapshots import NOW, a_cluster_pool, a_pod, a_waiting_pod, children_of, seen

NODE = a_node(labels={TYPE: "x"})


def written(
    pool: Any = None, nodes: Any = (NODE,), *, troubles: tuple[Trouble, ...] = (), **fields: Any
) -> dict[str, Any]:
    """The status of a pool."""
    now = seen(pool or a_cluster_pool(), nodes, **fields)
    return status(now, desired(now), troubles)


def settled(pods: tuple[PodState, ...] = (), **deployment: Any) -> dict[str, Any]:
    """The status of a pool whose Deployment is there."""
    made = desired(seen(a_cluster_pool(), [NODE]))
    return written(children=children_of(made, **deployment), pods=pods)


def conditions(*each: tuple[str, str, str]) -> dict[str, Any]:
    """A status of conditions: type, status, reason."""
    return {
        "conditions": [
            {"type": kind, "status": state, "reason": reason, "message": f"{reason} it is"}
            for kind, state, reason in each
        ]
    }


def test_a_pool_that_is_new_says_what_was_planned_and_nothing_else() -> None:
    (planned,) = news({}, written())
    assert (planned.type, planned.reason) == ("Normal", "Planned")
    assert planned.message.endswith(
        "31 CPUs a replica: 32 allocatable - 1 reserved = 31; one replica takes a node: "
        "set spec.resources.cpus for several on each"
    )


def test_gpus_are_said_with_a_plan() -> None:
    (planned,) = news({}, written(a_cluster_pool(resources={"gpus": 1}), [a_node(gpus=8, labels={TYPE: "x"})]))
    assert ": 3 CPUs, 1 GPU a replica: " in planned.message


def test_an_operator_that_was_restarted_says_nothing() -> None:
    for each in (written(), settled(), settled((a_waiting_pod(),)), written(nodes=[])):
        assert news(each, each) == []
        assert news(each, {**each, "observedGeneration": 9}) == []


def test_the_way_of_a_pool_that_starts_is_no_news() -> None:
    steps = [
        written(),
        settled(readyReplicas=0),
        settled(replicas=1, readyReplicas=0),
        settled(),
        settled(readyReplicas=0),
        settled(),
    ]
    for before, after in pairwise(steps):
        assert news(before, after) == []


@pytest.mark.parametrize(
    ("pods", "deployment", "reason"),
    [
        ((a_pod(trouble="Crashing", message="exit code 1"),), {}, "Crashing"),
        ((a_pod(trouble="ImagePull", message="a"),), {}, "ImagePull"),
        ((a_waiting_pod(),), {}, "Unschedulable"),
        (
            (),
            {"conditions": [{"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}]},
            "QuotaExceeded",
        ),
        (
            (),
            {"conditions": [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]},
            "Stuck",
        ),
    ],
)
def test_a_turn_for_the_worse_is_said_once_and_so_is_the_recovery(pods: Any, deployment: Any, reason: str) -> None:
    good, bad = settled(), settled(pods, **deployment)
    (said,) = news(good, bad)
    assert (said.type, said.reason) == ("Warning", reason)
    assert news(bad, bad) == []
    (again,) = news(bad, good)
    assert again.type == "Normal"
    assert again.message.startswith("over: ")
    assert news(good, good) == []


def test_more_of_the_same_trouble_is_no_news() -> None:
    one = settled((a_pod("a", trouble="Crashing", message="exit code 1"),))
    two = settled((a_pod("a", trouble="Crashing", message="exit code 1"), a_pod("b", trouble="Crashing", message="x")))
    assert one["conditions"] != two["conditions"]
    assert news(one, two) == []
    assert news(two, one) == []


def test_other_trouble_is_news() -> None:
    crashing = settled((a_pod(trouble="Crashing", message="exit code 1"),))
    pulling = settled((a_pod(trouble="ImagePull", message="a"),))
    (said,) = news(crashing, pulling)
    assert (said.type, said.reason) == ("Warning", "ImagePull")


def test_one_cause_of_several_conditions_is_said_once() -> None:
    none = written(nodes=[])
    assert len({each["reason"] for each in none["conditions"] if each["type"] not in ("ScalingActive", "Healthy")}) == 1
    (said,) = news({}, none)
    assert (said.type, said.reason) == ("Warning", "NoNodeFits")
    (again, planned) = sorted(news(none, written()), key=lambda each: each.message)
    assert planned.reason == again.reason == "Planned"


def test_a_pool_that_can_not_be_read_says_so_once() -> None:
    body = {"metadata": {"generation": 2}, "status": settled()}
    wrong = invalid_status(body, "spec.x: is not a field", NOW, outdated=False)
    (said,) = news(settled(), wrong)
    assert (said.type, said.reason) == ("Warning", "InvalidSpec")
    assert "spec.x: is not a field" in said.message
    assert news(wrong, wrong) == []
    (again,) = news(wrong, settled())
    assert again.type == "Normal"


@pytest.mark.parametrize("outdated", [True, False])
def test_the_definition_is_blamed_where_it_is_known_to_be_another_one(outdated: bool) -> None:
    body = {"metadata": {"generation": 2}}
    for each in invalid_status(body, "spec.x: is not a field", NOW, outdated=outdated)["conditions"]:
        assert each["message"].startswith("spec.x: is not a field")
        assert ("kubectl apply" in each["message"]) is outdated


def test_a_write_that_fails_is_said_once() -> None:
    trouble = Trouble("Forbidden", "the operator may not apply Service vision")
    good, bad = written(), written(troubles=(trouble,))
    assert news(good, bad) == [News("Warning", "Forbidden", trouble.message)]
    assert news(bad, bad) == []


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        # True, and yet somebody should know.
        (("ThreadsPlanned", "True", "Planned"), ("ThreadsPlanned", "True", "Kept"), ["Warning"]),
        (("ThreadsPlanned", "True", "Planned"), ("ThreadsPlanned", "True", "CpuOvercommitted"), ["Warning"]),
        (("ThreadsPlanned", "True", "Planned"), ("ThreadsPlanned", "True", "FromResources"), ["Warning"]),
        (("ThreadsPlanned", "True", "Kept"), ("ThreadsPlanned", "True", "Planned"), ["Normal"]),
        # False, and yet fine.
        (("Progressing", "True", "RollingOut"), ("Progressing", "False", "Complete"), []),
        (("Progressing", "False", "Complete"), ("Progressing", "True", "RollingOut"), []),
        (("Progressing", "True", "RollingOut"), ("Progressing", "False", "Paused"), []),
        (("Progressing", "False", "Paused"), ("Progressing", "True", "RollingOut"), []),
        (("Progressing", "False", "Stuck"), ("Progressing", "False", "Complete"), ["Normal"]),
        # Follow from others, or are not for events.
        (("Ready", "True", "Ready"), ("Ready", "False", "Crashing"), []),
        (("ScalingActive", "True", "Builtin"), ("ScalingActive", "False", "NoSamples"), []),
    ],
)
def test_events_are_for_what_somebody_wants_to_be_told(before: Any, after: Any, expected: list[str]) -> None:
    assert [each.type for each in news(conditions(before), conditions(after))] == expected


def test_a_share_that_is_another_one_is_news() -> None:
    made = desired(seen(a_cluster_pool(), [NODE]))
    smaller = [a_node(cpu=16, labels={TYPE: "x"})]
    kept = written(nodes=smaller, children=children_of(made))
    (said,) = news(settled(), kept)
    assert said.reason == "Kept"
    (planned,) = [each for each in news(kept, written(nodes=smaller)) if each.message.startswith("x-")]
    assert planned.message.startswith(f"{made.plan.rows[0].name}: 15 CPUs a replica: 16 allocatable")


def test_a_shape_without_replicas_is_no_news_until_it_has_some() -> None:
    nodes = [NODE, a_node("l", cpu=64, labels={TYPE: "large"})]
    used, unused = (written(a_cluster_pool(replicas=count), nodes) for count in (2, 1))
    (small,) = [row for row in unused["threadPlan"] if not row["replicas"]]
    assert [each.message.partition("-")[0] for each in news({}, unused)] == ["large"]
    # Somebody's pods hold a part of it now.
    other = {
        **unused,
        "threadPlan": [{**row, "cpusPerReplica": 9} if row is small else row for row in unused["threadPlan"]],
    }
    assert news(unused, other) == []
    assert [each.message.partition("-")[0] for each in news(unused, used)] == ["x"]


def test_a_shape_on_which_nothing_can_run_is_no_plan() -> None:
    pool = a_cluster_pool(resources={"gpus": 0})
    nodes = [NODE, a_node("s", cpu=1, labels={TYPE: "small"})]
    assert [each.message.partition("-")[0] for each in news({}, written(pool, nodes))] == ["x"]
