from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from fleet_operator.cluster_plan import REPLAN
from fleet_operator.observed.pods import read_pod
from fleet_operator.reconcile.conditions import findings
from fleet_operator.reconcile.desired import desired
from fleet_operator.reconcile.finding import Finding
from fleet_operator.reconcile.late import lacking
from fleet_operator.reconcile.observation import Observation, Trouble
from fleet_operator.reconcile.refusals import meddled
from planning.clusters import TYPE, a_node
from reconciling.snapshots import (
    NOW,
    a_cluster_pool,
    a_decision,
    a_pod,
    a_pod_object,
    a_waiting_pod,
    children_of,
    seen,
)

TYPES = ("Ready", "Progressing", "ThreadsPlanned", "ScalingActive", "Schedulable", "Healthy")
NODE = a_node(labels={TYPE: "x"})


def told(now: Observation, *troubles: Trouble) -> dict[str, Finding]:
    """The conditions of a snapshot."""
    found = findings(now, desired(now), troubles)
    assert tuple(each.type for each in found) == TYPES
    return {each.type: each for each in found}


def applied(pool: Any, nodes: Any = (NODE,), *, status: Mapping[str, Any] | None = None, **fields: Any) -> Observation:
    """The pool once all is applied; `status` is that of its Deployments, where it is not settled."""
    first = seen(pool, nodes, kinds=fields.get("kinds", frozenset()))
    return seen(pool, nodes, children=children_of(desired(first), **(status or {})), **fields)


def test_a_pool_that_serves_says_so() -> None:
    found = told(applied(a_cluster_pool(replicas=2, resources={"cpus": 4, "memory": "8Gi"}), pods=(a_pod(),)))
    assert {each.type: (each.status, each.reason) for each in found.values()} == {
        "Ready": ("True", "Ready"),
        "Progressing": ("False", "Complete"),
        "ThreadsPlanned": ("True", "Planned"),
        "ScalingActive": ("False", "Advise"),
        "Schedulable": ("True", "Schedulable"),
        "Healthy": ("True", "Healthy"),
    }
    assert found["Ready"].message == "2 of 2 replicas are ready"
    assert found["ThreadsPlanned"].message.endswith(": 4 CPUs a replica")


def test_pods_that_get_no_cores_of_their_own_are_said() -> None:
    found = told(applied(a_cluster_pool(resources={"cpus": 4})))["ThreadsPlanned"]
    assert found.reason == "Planned"
    assert found.message.endswith(
        ": 4 CPUs a replica; spec.resources.memory is not set: pods share their cores with others"
    )


def test_a_pool_whose_pods_are_coming_progresses() -> None:
    found = told(applied(a_cluster_pool(replicas=2), status={"readyReplicas": 1}))
    assert found["Ready"] == Finding("Ready", "False", "ReplicasNotReady", "1 of 2 replicas are ready")
    assert (found["Progressing"].status, found["Progressing"].reason) == ("True", "RollingOut")
    assert "vision-x-" in found["Progressing"].message


@pytest.mark.parametrize(
    "status",
    [{"updatedReplicas": 1}, {"replicas": 3}, {"replicas": 1}, {"observedGeneration": 0}, {"readyReplicas": None}],
)
def test_a_rollout_goes_on_until_all_pods_are_new_and_ready(status: dict[str, Any]) -> None:
    assert told(applied(a_cluster_pool(replicas=2), status=status))["Progressing"].reason == "RollingOut"


def test_a_pool_of_no_replicas_is_as_it_shall_be() -> None:
    found = told(applied(a_cluster_pool(replicas=0)))
    assert (found["Ready"].status, found["Ready"].reason) == ("True", "ScaledToZero")
    assert found["Progressing"].reason == "Complete"


# Bad situations: condition, status, reason, and what the message says of it and of what to do.

AS_ROOT = 'container has runAsNonRoot and image will run as root (pod: "vision-any-1_team(u)", container: main)'
WITH_ALL: dict[str, Any] = {"replicas": 2, "resources": {"cpus": 4}}


def replica_failure(message: str) -> dict[str, Any]:
    return {"readyReplicas": 0, "conditions": [{"type": "ReplicaFailure", "status": "True", "message": message}]}


def a_broken_pod(**container: Any) -> Any:
    return read_pod(a_pod_object(containerStatuses=[{"name": "main", "image": "example.com/encoder:1", **container}]))


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return {"state": {"waiting": {"reason": reason, **({"message": message} if message else {})}}}


def ended(code: int = 1, message: str = "", reason: str = "Error") -> dict[str, Any]:
    return {"terminated": {"exitCode": code, "reason": reason, "message": message}}


BAD: dict[str, tuple[Observation, str, str, str, list[str]]] = {
    "no node fits": (
        seen(a_cluster_pool(scheduling={"nodeSelector": {"no": "node"}}), [NODE]),
        "ThreadsPlanned",
        "False",
        "NoNodeFits",
        ["check spec.scheduling and spec.resources.gpus", "set spec.resources.cpus"],
    ),
    "no node has a GPU": (
        seen(a_cluster_pool(resources={"gpus": 1}), [NODE]),
        "ThreadsPlanned",
        "False",
        "NoNodeFits",
        ["spec.resources.gpus"],
    ),
    "nodes are too small": (
        seen(a_cluster_pool(), [a_node(cpu="1500m", labels={TYPE: "x"})]),
        "ThreadsPlanned",
        "False",
        "NodesTooSmall",
        ["1500m allocatable - 1 reserved = 0", "lower spec.resources.reservedCpus", "larger nodes"],
    ),
    "nodes can not be read": (
        seen(a_cluster_pool(), None),
        "ThreadsPlanned",
        "False",
        "NodesUnreadable",
        ["ClusterRole without `nodes`", "set spec.resources.cpus"],
    ),
    "nodes can not be read, but the pool says its CPUs": (
        applied(a_cluster_pool(**WITH_ALL), None),
        "ThreadsPlanned",
        "True",
        "FromResources",
        ["unpinned: 4 CPUs a replica", "nodes cannot be read", "spec.resources.cpus is the plan"],
    ),
    "threads over the CPUs": (
        applied(a_cluster_pool(threads={"policy": "Manual", "preprocessWorkers": 64})),
        "ThreadsPlanned",
        "True",
        "CpuOvercommitted",
        ["64 x intraOpThreads 1 = 64 threads on 31 CPUs", "lower one of them, or use policy: Auto"],
    ),
    "threads over the CPUs where nodes can not be read": (
        applied(a_cluster_pool(**WITH_ALL, threads={"policy": "Manual", "preprocessWorkers": 64}), None),
        "ThreadsPlanned",
        "True",
        "CpuOvercommitted",
        ["64 threads on 4 CPUs", "lower one of them", "nodes cannot be read"],
    ),
    "a plan that is kept": (
        replace(
            applied(a_cluster_pool()),
            shapes=seen(a_cluster_pool(), [a_node(cpu=16, labels={TYPE: "x"})]).shapes,
        ),
        "ThreadsPlanned",
        "True",
        "Kept",
        ["31 CPUs a replica are kept, 15 CPUs would be planned now", REPLAN, "plans anew"],
    ),
    "a quota is used up": (
        applied(a_cluster_pool(**WITH_ALL), status=replica_failure('pods "a" is forbidden: exceeded quota: small')),
        "Schedulable",
        "False",
        "QuotaExceeded",
        ["exceeded quota: small", "raise the ResourceQuota, or lower spec.replicas"],
    ),
    "pod security": (
        applied(
            a_cluster_pool(**WITH_ALL),
            status=replica_failure('pods "a" is forbidden: violates PodSecurity "restricted:latest": hostPath volumes'),
        ),
        "Schedulable",
        "False",
        "PodSecurity",
        ["hostPath volumes", "remove from spec.podTemplate"],
    ),
    "pods are refused for another reason": (
        applied(a_cluster_pool(**WITH_ALL), status=replica_failure("maximum cpu usage per Container is 2")),
        "Schedulable",
        "False",
        "PodsRefused",
        ["maximum cpu usage per Container is 2", "change"],
    ),
    "pods find no node": (
        applied(a_cluster_pool(**WITH_ALL), status={"readyReplicas": 0}, pods=(a_waiting_pod("a"), a_waiting_pod("b"))),
        "Schedulable",
        "False",
        "Unschedulable",
        ["2 pods find no node: 0/3 nodes are available: 3 Insufficient cpu", "add nodes, or lower spec.replicas"],
    ),
    "a claim that is missing": (
        applied(
            a_cluster_pool(**WITH_ALL),
            pods=(
                a_waiting_pod(
                    message='0/4 nodes are available: persistentvolumeclaim "models" not found. preemption: 0/4 nodes '
                    "are available: 4 Preemption is not helpful for scheduling."
                ),
            ),
        ),
        "Schedulable",
        "False",
        "Unschedulable",
        ['1 pod finds no node: 0/4 nodes are available: persistentvolumeclaim "models" not found: make that claim'],
    ),
    "a pod that the scheduler has not looked at": (
        applied(a_cluster_pool(**WITH_ALL), pods=(a_waiting_pod(trouble="", message=""),)),
        "Schedulable",
        "False",
        "Unschedulable",
        ["1 pod finds no node: the scheduler has not looked at it yet"],
    ),
    "an image that can not be pulled": (
        applied(
            a_cluster_pool(**WITH_ALL),
            status={"readyReplicas": 0},
            pods=(a_broken_pod(**waiting("ImagePullBackOff", "Back-off pulling image")),),
        ),
        "Healthy",
        "False",
        "ImagePull",
        ["check spec.image", "imagePullSecrets", "example.com/encoder:1: Back-off pulling image", "vision-any-1"],
    ),
    "a container that can not be made": (
        applied(
            a_cluster_pool(**WITH_ALL),
            pods=(a_broken_pod(**waiting("CreateContainerConfigError", 'secret "hub" not found')),),
        ),
        "Healthy",
        "False",
        "Config",
        ["check the Secrets, ConfigMaps and volumes", 'secret "hub" not found'],
    ),
    "a pod that would run as root": (
        applied(a_cluster_pool(**WITH_ALL), pods=(a_broken_pod(**waiting("CreateContainerConfigError", AS_ROOT)),)),
        "Healthy",
        "False",
        "RunsAsRoot",
        ["spec.podTemplate.securityContext.runAsUser", "look for an admission webhook", AS_ROOT],
    ),
    "an encoder that ends by itself": (
        applied(
            a_cluster_pool(**WITH_ALL),
            status={"readyReplicas": 0},
            pods=(
                a_broken_pod(
                    **waiting("CrashLoopBackOff"), lastState=ended(2, "Usage: main\n\nError: no model at /a\n\n")
                ),
            ),
        ),
        "Healthy",
        "False",
        "Crashing",
        ["kubectl logs --previous", "vision-any-1: exit code 2: Error: no model at /a"],
    ),
    "an encoder without memory": (
        applied(
            a_cluster_pool(**WITH_ALL), pods=(a_broken_pod(state=waiting("x"), lastState=ended(137, "", "OOMKilled")),)
        ),
        "Healthy",
        "False",
        "Crashing",
        ["OOMKilled", "raise spec.resources.memory"],
    ),
    "a rollout that is stuck": (
        applied(
            a_cluster_pool(**WITH_ALL),
            status={
                "readyReplicas": 1,
                "conditions": [
                    {
                        "type": "Progressing",
                        "status": "False",
                        "reason": "ProgressDeadlineExceeded",
                        "message": "timed out",
                    }
                ],
            },
        ),
        "Progressing",
        "False",
        "Stuck",
        ["vision-x-", "timed out", "Schedulable and Healthy"],
    ),
    "a pool that is paused": (
        seen(a_cluster_pool(paused=True), [NODE]),
        "Progressing",
        "False",
        "Paused",
        ["spec.paused", "until it is false"],
    ),
    "a pool that is paused before it ran": (
        seen(a_cluster_pool(paused=True), [NODE]),
        "Ready",
        "False",
        "Paused",
        ["0 of 1 replicas are ready", "spec.paused"],
    ),
    "KEDA is missing": (
        applied(
            a_cluster_pool(
                **WITH_ALL,
                autoscaling={"mode": "Auto", "backend": "KEDA", "prometheusAddress": "http://prometheus:9090"},
            )
        ),
        "ScalingActive",
        "False",
        "KedaMissing",
        ["install KEDA"],
    ),
}


@pytest.mark.parametrize("situation", BAD)
def test_what_is_bad_is_said_with_what_to_do(situation: str) -> None:
    now, kind, status, reason, words = BAD[situation]
    found = told(now)[kind]
    assert (found.status, found.reason) == (status, reason)
    for each in words:
        assert each in found.message


@pytest.mark.parametrize(
    ("situation", "reason"),
    [
        ("no node fits", "NoNodeFits"),
        ("nodes are too small", "NodesTooSmall"),
        ("nodes can not be read", "NodesUnreadable"),
        ("a quota is used up", "QuotaExceeded"),
        ("pods find no node", "Unschedulable"),
        ("an image that can not be pulled", "ImagePull"),
        ("an encoder that ends by itself", "Crashing"),
    ],
)
def test_a_pool_that_does_not_serve_says_why(situation: str, reason: str) -> None:
    now, kind, _, _, words = BAD[situation]
    found = told(now)
    assert (found["Ready"].status, found["Ready"].reason) == ("False", reason)
    assert found["Ready"].message == f"0 of {now.pool.spec.replicas} replicas are ready: {found[kind].message}"
    assert words[0] in found["Ready"].message


@pytest.mark.parametrize("situation", ["no node fits", "nodes are too small", "nodes can not be read"])
def test_a_pool_without_a_plan_is_not_complete(situation: str) -> None:
    found = told(BAD[situation][0])
    for kind in ("Progressing", "Schedulable"):
        assert (found[kind].status, found[kind].reason) == ("False", found["ThreadsPlanned"].reason)
        assert found[kind].message == found["ThreadsPlanned"].message


def test_a_pool_without_a_plan_that_shall_have_no_replicas_is_ready() -> None:
    found = told(seen(a_cluster_pool(replicas=0), []))
    assert (found["Ready"].status, found["Ready"].reason) == ("True", "ScaledToZero")
    assert found["ThreadsPlanned"].reason == "NoNodeFits"


FORBIDDEN = Trouble("Forbidden", "the operator may not apply Service vision: give its service account that right")
TAKEN = Trouble("NameTaken", "Service vision is there and not this pool's: rename or delete it, or rename the pool")
PASSING = Trouble("WaitingForDeletion", "Service vision of a deleted pool of this name is still going")


@pytest.mark.parametrize("trouble", [FORBIDDEN, TAKEN, PASSING])
def test_a_write_that_failed_is_said(trouble: Trouble) -> None:
    found = told(seen(a_cluster_pool(), [NODE]), trouble)
    assert found["Progressing"] == Finding("Progressing", "False", trouble.reason, trouble.message)
    assert (found["Ready"].status, found["Ready"].reason) == ("False", trouble.reason)
    assert found["Ready"].message == f"0 of 1 replicas are ready: {trouble.message}"


KEDA = {"mode": "Auto", "backend": "KEDA", "prometheusAddress": "http://prometheus:9090"}


@pytest.mark.parametrize(
    ("spec", "late", "missed"),
    [
        ({}, [], []),
        ({}, ["PodMonitor", "ScaledObject"], ["PodMonitor"]),
        ({"monitoring": {"podMonitor": "Off"}}, ["PodMonitor"], []),
        ({"autoscaling": KEDA}, ["PodMonitor", "ScaledObject"], ["PodMonitor", "ScaledObject"]),
        ({"autoscaling": KEDA, "runtime": "SGLang"}, ["ScaledObject"], ["ScaledObject"]),
    ],
)
def test_a_kind_that_came_after_the_operator_is_said_where_the_pool_has_a_use_for_it(
    spec: dict[str, Any], late: list[str], missed: list[str]
) -> None:
    pool = a_cluster_pool(**spec)
    troubles = lacking(pool, late)
    assert len(troubles) == len(missed)
    found = told(applied(pool), *troubles)["Progressing"]
    assert (found.reason == "RestartNeeded") is bool(missed)
    for kind in missed:
        assert f"the kind {kind} since the operator started: restart the operator" in found.message


def test_a_pool_serves_though_a_write_failed() -> None:
    found = told(applied(a_cluster_pool()), FORBIDDEN)
    assert found["Ready"].status == "True"
    assert found["Progressing"].reason == "Forbidden"


def test_several_writes_that_failed_are_all_said() -> None:
    found = told(applied(a_cluster_pool()), FORBIDDEN, TAKEN)
    assert found["Progressing"].reason == "Forbidden"
    assert FORBIDDEN.message in found["Progressing"].message
    assert TAKEN.message in found["Progressing"].message


def test_what_a_webhook_rewrites_is_said_when_all_else_is_done() -> None:
    (trouble,) = meddled({("Deployment", "vision-x"): frozenset({"spec.b", "spec.a"})})
    assert trouble.message.startswith("spec.a, spec.b of Deployment vision-x: an admission webhook sets something else")
    found = told(applied(a_cluster_pool()), trouble)
    assert found["Progressing"] == Finding("Progressing", "False", "Rewritten", trouble.message)
    assert found["Ready"].status == "True"
    found = told(applied(a_cluster_pool(), status={"readyReplicas": 0}), trouble)
    assert (found["Ready"].reason, found["Progressing"].reason) == ("ReplicasNotReady", "RollingOut")
    assert told(applied(a_cluster_pool()), trouble, FORBIDDEN)["Progressing"].message == FORBIDDEN.message


# Pods of another plan.


def test_pods_that_go_on_with_an_old_plan_are_ready_and_said() -> None:
    before = applied(a_cluster_pool(replicas=2))
    now = seen(a_cluster_pool(replicas=2, resources={"reservedCpus": 100}), [NODE], children=before.children)
    found = told(now)
    assert found["Ready"].status == "True"
    assert (found["ThreadsPlanned"].status, found["ThreadsPlanned"].reason) == ("False", "NodesTooSmall")
    assert "lower spec.resources.reservedCpus" in found["ThreadsPlanned"].message
    assert "pods that run go on as they are" in found["ThreadsPlanned"].message
    assert found["Schedulable"].status == "True"


def test_pods_that_go_on_without_nodes_of_the_new_plan_are_said() -> None:
    before = applied(a_cluster_pool(replicas=2))
    now = seen(a_cluster_pool(replicas=2, resources={"gpus": 1}), [NODE], children=before.children)
    found = told(now)
    assert (found["ThreadsPlanned"].status, found["ThreadsPlanned"].reason) == ("False", "NoNodeFits")
    assert "pods that run go on as they are" in found["ThreadsPlanned"].message


def test_replicas_that_leave_a_shape_are_said() -> None:
    before = applied(a_cluster_pool(replicas=2, resources={"gpus": 0}))
    nodes = [NODE, a_node("g", gpus=8, labels={TYPE: "g"})]
    found = told(seen(a_cluster_pool(replicas=2, resources={"gpus": 1}), nodes, children=before.children))
    assert (found["ThreadsPlanned"].status, found["ThreadsPlanned"].reason) == ("True", "Planned")
    assert "replicas leave x-" in found["ThreadsPlanned"].message


def test_pods_whose_plan_is_kept_without_nodes_are_not_said_to_be_planned_by_resources() -> None:
    before = applied(a_cluster_pool(replicas=2))
    found = told(seen(a_cluster_pool(replicas=2), None, children=before.children))
    assert (found["ThreadsPlanned"].status, found["ThreadsPlanned"].reason) == ("True", "Kept")
    assert "nodes cannot be read" in found["ThreadsPlanned"].message
    assert "spec.resources.cpus is the plan" not in found["ThreadsPlanned"].message


# Who scales.

SCALED: dict[str, Any] = {"replicas": 2, "resources": {"cpus": 4}}
PROMETHEUS = {"prometheusAddress": "http://prometheus:9090"}


@pytest.mark.parametrize(
    ("spec", "kinds", "decision", "status", "reason", "words"),
    [
        ({"autoscaling": {"mode": "Off"}}, [], None, "False", "Off", "spec.replicas is yours"),
        ({"autoscaling": {"mode": "Off"}, "runtime": "SGLang"}, [], None, "False", "Off", "spec.replicas is yours"),
        ({"autoscaling": {"mode": "Advise"}}, [], None, "False", "Advise", "spec.replicas is yours"),
        ({"autoscaling": {"mode": "Auto"}}, [], None, "Unknown", "NoDecisionYet", "not been looked at yet"),
        ({"autoscaling": {"mode": "Auto"}}, [], a_decision(), "True", "Builtin", "the operator sets spec.replicas"),
        ({"autoscaling": {"mode": "Auto"}}, [], a_decision(basis="hold"), "True", "Builtin", "the operator sets"),
        (
            {"autoscaling": {"mode": "Auto"}},
            [],
            a_decision(basis="fallback", reason="no replica has told its load for 300 s: at least 4"),
            "False",
            "NoSamples",
            "no replica has told its load for 300 s",
        ),
        (
            {"autoscaling": {"mode": "Auto"}, "replicas": 0},
            [],
            None,
            "False",
            "ScalingDisabled",
            "scale to at least 1",
        ),
        ({"autoscaling": {"mode": "Auto", "backend": "HPA"}}, [], None, "True", "HPA", "sets spec.replicas"),
        (
            {"autoscaling": {"mode": "Auto", "backend": "KEDA", **PROMETHEUS}},
            ["ScaledObject"],
            None,
            "True",
            "KEDA",
            "sets spec.replicas",
        ),
        (
            {"autoscaling": {"mode": "Auto", "backend": "KEDA", **PROMETHEUS}},
            [],
            None,
            "False",
            "KedaMissing",
            "install KEDA",
        ),
        (
            {"autoscaling": {"mode": "Auto"}, "runtime": "SGLang"},
            [],
            a_decision(),
            "True",
            "Builtin",
            "SGLang's encoder tells requests, not patches: each counts as 1000",
        ),
    ],
)
def test_who_scales_is_said(
    spec: dict[str, Any], kinds: list[str], decision: Any, status: str, reason: str, words: str
) -> None:
    now = applied(a_cluster_pool(**{**SCALED, **spec}), kinds=frozenset(kinds), decision=decision)
    found = told(now)["ScalingActive"]
    assert (found.status, found.reason) == (status, reason)
    assert words in found.message


@pytest.mark.parametrize(
    ("scaling", "words"),
    [
        ({}, ["nothing is written"]),
        ({"backend": "HPA"}, ["nothing is written", "HorizontalPodAutoscaler finds no metric", "within minReplicas"]),
        ({"backend": "KEDA", **PROMETHEUS}, ["nothing is written", "scaledobject vision autoscaling.keda.sh/paused"]),
    ],
)
@pytest.mark.parametrize("replicas", [0, 2])
def test_nobody_scales_a_pool_that_is_paused(scaling: dict[str, Any], words: list[str], replicas: int) -> None:
    pool = a_cluster_pool(paused=True, replicas=replicas, autoscaling={"mode": "Auto", **scaling})
    found = told(seen(pool, [NODE], kinds=frozenset({"ScaledObject"}), decision=a_decision()))["ScalingActive"]
    assert (found.status, found.reason) == ("False", "Paused")
    assert all(each in found.message for each in words)


def test_replicas_that_could_not_be_set_are_said() -> None:
    refusal = 'cannot patch EncoderPool vision/scale: encoderpools.encoderfleet.io "vision" is forbidden'
    pool = a_cluster_pool(**SCALED, autoscaling={"mode": "Auto"})
    found = told(applied(pool, decision=a_decision(), refusal=refusal))["ScalingActive"]
    assert (found.status, found.reason) == ("False", "ScaleFailed")
    assert found.message.startswith(f"{refusal}: give the operator's service account the right to patch")


# Pods.


@pytest.mark.parametrize(
    ("status", "trouble", "message"),
    [
        ({}, "", ""),
        ({"containerStatuses": [{"ready": True, "state": {"running": {}}, "lastState": ended()}]}, "", ""),
        ({"containerStatuses": [{"state": {"waiting": {"reason": "ContainerCreating"}}}]}, "", ""),
        ({"containerStatuses": [{"image": "a", **waiting("ErrImagePull")}]}, "ImagePull", "a: ErrImagePull"),
        ({"containerStatuses": [waiting("RunContainerError", "no such file")]}, "Config", "no such file"),
        ({"containerStatuses": [waiting("CreateContainerConfigError", AS_ROOT)]}, "RunsAsRoot", AS_ROOT),
        (
            {"containerStatuses": [waiting("CreateContainerConfigError", "runAsUser breaks non-root policy")]},
            "RunsAsRoot",
            "runAsUser breaks non-root policy",
        ),
        ({"containerStatuses": [{"state": ended(1, "a\nb")}]}, "Crashing", "exit code 1: b"),
        # What ended now says more than what ended before.
        (
            {"containerStatuses": [{"state": ended(3, "new"), "lastState": ended(2, "old")}]},
            "Crashing",
            "exit code 3: new",
        ),
        ({"containerStatuses": [{"state": {"running": {}}, "lastState": ended(139)}]}, "Crashing", "exit code 139"),
        ({"containerStatuses": [waiting("CrashLoopBackOff")]}, "Crashing", "exit code unknown"),
        ({"containerStatuses": [{"state": ended(1, "x" * 999)}]}, "Crashing", f"exit code 1: {'x' * 300}"),
        ({"containerStatuses": None, "conditions": None}, "", ""),
        # What runs before it.
        (
            {"initContainerStatuses": [{"name": "mesh", "state": ended(1, "no route")}], "containerStatuses": [{}]},
            "Crashing",
            "init container mesh: exit code 1: no route",
        ),
        ({"initContainerStatuses": [{"name": "mesh", "state": ended(0), "ready": True}]}, "", ""),
    ],
)
def test_what_keeps_a_pod_from_running_is_read_from_it(status: dict[str, Any], trouble: str, message: str) -> None:
    pod = read_pod(a_pod_object(**status))
    assert (pod.trouble, pod.message) == (trouble, message)


@pytest.mark.parametrize("phase", ["Failed", "Succeeded"])
def test_a_pod_that_is_over_is_in_no_trouble(phase: str) -> None:
    # As those are that a node took with it when it was shut down: they stay in the list, others have come for them.
    pod = read_pod(a_pod_object(phase=phase, containerStatuses=[{"state": ended(137)}]))
    assert (pod.trouble, pod.ready, pod.waiting, pod.over) == ("", False, None, True)
    assert not read_pod(a_pod_object(phase="Running")).over


def a_pending_pod(reason: str = "Unschedulable") -> dict[str, Any]:
    scheduled = {
        "type": "PodScheduled",
        "status": "False",
        "reason": reason,
        "message": "0/1 nodes",
        "lastTransitionTime": "2026-01-01T11:59:00Z",
    }
    body = a_pod_object(conditions=[scheduled], podIP="")
    del body["spec"]["nodeName"]
    return body


def test_a_pod_without_a_node_says_since_when() -> None:
    pod = read_pod(a_pending_pod())
    assert (pod.trouble, pod.message, pod.node) == ("Unschedulable", "0/1 nodes", "")
    assert pod.waiting is not None
    assert (NOW - pod.waiting).total_seconds() == 60


SCHEDULED = {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-01T11:57:00Z"}
CREATING = {"name": "main", "state": {"waiting": {"reason": "ContainerCreating"}}}


@pytest.mark.parametrize(
    ("status", "seconds", "holding"),
    [
        ({}, 180, ""),
        ({"containerStatuses": [CREATING]}, 180, "ContainerCreating"),
        (
            {
                "initContainerStatuses": [{"name": "init", "started": True, "state": {"running": {}}}],
                "containerStatuses": [{"name": "main", "state": {"waiting": {"reason": "PodInitializing"}}}],
            },
            180,
            "init container init has not ended",
        ),
        # A sidecar runs on by design.
        (
            {
                "initContainerStatuses": [{"name": "mesh", "started": True, "state": {"running": {}}}],
                "containerStatuses": [CREATING],
            },
            180,
            "ContainerCreating",
        ),
        ({"containerStatuses": [{"state": {"running": {}}}]}, None, ""),
        ({"containerStatuses": [{**waiting("CrashLoopBackOff"), "lastState": ended()}]}, None, ""),
        ({"phase": "Failed"}, None, ""),
        ({"conditions": []}, None, ""),
    ],
)
def test_a_pod_that_has_started_nothing_says_since_when(
    status: dict[str, Any], seconds: int | None, holding: str
) -> None:
    body = a_pod_object(**{"conditions": [SCHEDULED], **status})
    body["spec"]["initContainers"] = [{"name": "mesh", "restartPolicy": "Always"}, {"name": "init"}]
    pod = read_pod(body)
    assert (pod.starting and (NOW - pod.starting).total_seconds(), pod.holding) == (seconds, holding)


def test_pods_that_start_nothing_for_minutes_are_told_of() -> None:
    pod = read_pod(a_pod_object(conditions=[SCHEDULED], containerStatuses=[CREATING]))
    now = applied(a_cluster_pool(**WITH_ALL), status={"readyReplicas": 0}, pods=(pod, replace(pod, name="z")))
    found = told(now)
    assert (found["Ready"].reason, found["Healthy"].reason) == ("Starting", "Starting")
    message = found["Healthy"].message
    assert message.startswith("vision-any-1 (2 pods) has a node and starts no container (ContainerCreating): ")
    assert "`kubectl describe pod vision-any-1`" in message
    # Not before, and then without another cause to look.
    early = replace(now, now=NOW - timedelta(seconds=1))
    assert told(early)["Healthy"].reason == "Healthy"
    assert desired(early).again == 2
    assert desired(now).again is None
    # Other trouble says more.
    crashing = a_pod("z", trouble="Crashing", message="exit code 1")
    assert told(replace(now, pods=(pod, crashing)))["Healthy"].reason == "Crashing"
    assert told(replace(now, pods=(replace(pod, leaving=True),)))["Healthy"].reason == "Healthy"


def test_a_pod_that_somebody_holds_back_does_not_wait_for_a_node() -> None:
    pod = read_pod(a_pending_pod("SchedulingGated"))
    assert (pod.trouble, pod.waiting) == ("Gated", None)
    found = told(applied(a_cluster_pool(), pods=(pod,)))["Schedulable"]
    assert (found.status, found.reason) == ("False", "Gated")
    assert "whoever set them must remove" in found.message


def test_a_pod_that_is_leaving_is_in_nobodys_way() -> None:
    pods = (a_pod("a", leaving=True, trouble="Crashing", message="exit code 1"), a_waiting_pod("b", leaving=True))
    found = told(applied(a_cluster_pool(), pods=pods))
    assert (found["Healthy"].reason, found["Schedulable"].reason) == ("Healthy", "Schedulable")


def test_of_several_pods_in_trouble_the_first_is_named_and_all_are_counted() -> None:
    pods = tuple(a_pod(name, trouble="Crashing", message=f"exit code {name}") for name in "cab")
    message = told(applied(a_cluster_pool(), pods=pods))["Healthy"].message
    assert message.endswith("a (3 pods): exit code a")
