"""`kubectl apply` of a pool, and what becomes of it."""

import json

from tests.cluster.fixtures import Nodes
from tests.cluster.kwok import CUSTOM

from operating.operator_process import OperatorProcess, Pools, until

H100 = {"node.kubernetes.io/instance-type": "p5.48xlarge", "nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3"}
L40S = {"node.kubernetes.io/instance-type": "g6e.12xlarge", "nvidia.com/gpu.product": "NVIDIA-L40S"}


def env_of(deployment: dict) -> dict[str, str]:
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return {each["name"]: each.get("value", "") for each in container["env"]}


def test_a_pool_becomes_pods_whose_threads_follow_the_node(
    operator: OperatorProcess, pools: Pools, nodes: Nodes
) -> None:
    nodes(2, cpus=192, gpus=8, labels=H100)
    pools.apply("first", replicas=3, resources={"gpus": 1}, scheduling={"nodeSelector": nodes.selector})
    pools.wait("first", "Ready", "True")

    (deployment,) = pools.deployments("first")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["limits"] == {"cpu": "23", "nvidia.com/gpu": "1"}
    assert env_of(deployment)["SGLANG_ENCODER_PREPROC_WORKERS"] == "23"
    assert env_of(deployment)["SGLANG_ENCODER_VIDEO_DECODE_NUM_THREADS"] == "16"

    status = pools.status("first")
    (row,) = status["threadPlan"]
    assert row["nodes"] == 2
    assert row["reason"] == "192 allocatable - 1 reserved = 191; x 1/8 GPUs = 23"
    assert {each["name"]: each["value"] for each in row["env"]}.items() <= env_of(deployment).items()
    assert status["readyReplicas"] == status["replicas"] == 3
    assert status["selector"] == "encoderfleet.io/pool=first"
    assert [each["type"] for each in status["conditions"]] == [
        "Ready",
        "Progressing",
        "ThreadsPlanned",
        "ScalingActive",
        "Schedulable",
        "Healthy",
    ]
    for kind in ("service", "serviceaccount", "poddisruptionbudget"):
        assert pools.get(kind, "first")


def test_each_shape_has_a_deployment_of_its_own(operator: OperatorProcess, pools: Pools, nodes: Nodes) -> None:
    nodes(1, cpus=192, gpus=2, labels=H100)
    nodes(1, cpus=48, gpus=4, labels=L40S)
    pools.apply("shapes", replicas=6, resources={"gpus": 1}, scheduling={"nodeSelector": nodes.selector})
    pools.wait("shapes", "Ready", "True")

    small, large = pools.deployments("shapes")
    assert [small["spec"]["replicas"], large["spec"]["replicas"]] == [4, 2]
    assert [env_of(each)["ENCODERFLEET_CPUS"] for each in (small, large)] == ["11", "95"]
    where = {
        each["metadata"]["labels"]["encoderfleet.io/shape"]: each["spec"]["nodeName"]
        for each in pools.all("pods", "encoderfleet.io/pool=shapes")
    }
    assert len(set(where.values())) == 2
    assert pools.status("shapes")["threads"] == "95,11"


def test_a_node_that_joins_or_leaves_restarts_no_pod(operator: OperatorProcess, pools: Pools, nodes: Nodes) -> None:
    names = nodes(2, cpus=64, gpus=4, labels=L40S)
    pools.apply("steady", replicas=2, resources={"gpus": 1}, scheduling={"nodeSelector": nodes.selector})
    pools.wait("steady", "Ready", "True")
    (before,) = pools.deployments("steady")

    nodes(1, cpus=60, gpus=4, labels=L40S)  # less than the others have
    until(lambda: pools.status("steady")["threadPlan"][0]["nodes"] == 3)
    (row,) = pools.status("steady")["threadPlan"]
    assert "kept at 15" in row["reason"]
    assert pools.condition("steady", "ThreadsPlanned")["reason"] == "Kept"
    (after,) = pools.deployments("steady")
    assert after["spec"]["template"] == before["spec"]["template"]
    assert after["metadata"]["generation"] == before["metadata"]["generation"]

    used = {each["spec"]["nodeName"] for each in pools.all("pods", "encoderfleet.io/pool=steady")}
    idle = next(name for name in names if name not in used) if len(used) < 2 else None
    if idle is not None:
        pools.kubectl("delete", "node", idle)
        until(lambda: pools.status("steady")["threadPlan"][0]["nodes"] == 2)
    (after,) = pools.deployments("steady")
    assert after["spec"]["template"] == before["spec"]["template"]


def test_a_pool_on_cpus_shares_nodes_as_it_says(operator: OperatorProcess, pools: Pools, nodes: Nodes) -> None:
    nodes(2, cpus=16)
    pools.apply("cpus", replicas=3, resources={"gpus": 0, "cpus": 7}, scheduling={"nodeSelector": nodes.selector})
    pools.wait("cpus", "Ready", "True")
    (deployment,) = pools.deployments("cpus")
    assert env_of(deployment)["OMP_NUM_THREADS"] == "7"
    assert env_of(deployment)["ENCODERFLEET_DEVICE"] == "cpu"


def test_what_daemonsets_and_others_hold_is_not_shared_out(
    operator: OperatorProcess, pools: Pools, nodes: Nodes
) -> None:
    (node,) = nodes(1, cpus=16)
    pod = {"containers": [{"name": "c", "image": "i", "resources": {"requests": {"cpu": "1500m"}}}]}
    daemon = {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "agent"},
        "spec": {
            "selector": {"matchLabels": {"app": "agent"}},
            "template": {"metadata": {"labels": {"app": "agent"}}, "spec": {**pod, "nodeSelector": nodes.selector}},
        },
    }
    other = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "other"}, "spec": {**pod, "nodeName": node}}
    for each in (daemon, other):
        pools.kubectl("apply", "-f", "-", input=json.dumps(each))
    until(lambda: operator.metric("encoderfleet_watch_events_total", kind="DaemonSet") > 0)
    pools.apply("beside", resources={"gpus": 0}, scheduling={"nodeSelector": nodes.selector})
    pools.wait("beside", "Ready", "True")
    (row,) = pools.status("beside")["threadPlan"]
    assert row["cpusPerReplica"] == 12
    assert row["reason"].startswith("16 allocatable - 1500m DaemonSets - 1500m other pods - 1 reserved = 12")


def test_edits_by_hand_are_put_back_and_deleted_children_return(
    operator: OperatorProcess, pools: Pools, nodes: Nodes
) -> None:
    nodes(1, cpus=16)
    pools.apply("mended", resources={"gpus": 0}, scheduling={"nodeSelector": nodes.selector})
    pools.wait("mended", "Ready", "True")
    (deployment,) = pools.deployments("mended")
    name = deployment["metadata"]["name"]

    pools.kubectl("set", "env", f"deployment/{name}", "OMP_NUM_THREADS=64")
    until(lambda: env_of(pools.get("deployment", name))["OMP_NUM_THREADS"] == "15")
    pools.kubectl("scale", f"deployment/{name}", "--replicas=5")
    until(lambda: pools.get("deployment", name)["spec"]["replicas"] == 1)
    # The number is what server-side apply knows a port by, and two of one name are invalid.
    ports = pools.get("service", "mended")["spec"]["ports"]
    edit = [{"op": "replace", "path": "/spec/ports/0/port", "value": 5571}]
    pools.kubectl("patch", "service", "mended", "--type=json", "-p", json.dumps(edit))
    until(lambda: pools.get("service", "mended")["spec"]["ports"] == ports)
    pools.kubectl("delete", "service", "mended")
    until(lambda: pools.get("service", "mended"))
    pools.kubectl("label", "pdb", "mended", "encoderfleet.io/pool-")
    until(lambda: "encoderfleet.io/pool" in pools.get("pdb", "mended")["metadata"]["labels"])
    assert "Restored" in {each["reason"] for each in pools.events("mended")}


def test_nothing_is_written_where_nothing_changes(operator: OperatorProcess, pools: Pools, nodes: Nodes) -> None:
    nodes(1, cpus=16)
    spec = {"resources": {"gpus": 0, "memory": "1500M"}, "scheduling": {"nodeSelector": nodes.selector}}
    pools.apply("still", **spec)
    pools.wait("still", "Ready", "True")
    pools.wait("still", "Progressing", "False", "Complete")
    before, version = operator.writes(), pools.get("encp", "still")["metadata"]["resourceVersion"]
    visits = operator.metric("encoderfleet_reconcile_seconds_count")

    pools.apply("still", **spec)  # as kubectl and Argo CD do again and again
    pools.kubectl("annotate", "encp", "still", "example.com/note=seen")
    until(lambda: operator.metric("encoderfleet_reconcile_seconds_count") > visits)
    assert operator.writes() == before
    pools.kubectl("annotate", "encp", "still", "example.com/note-")
    assert pools.get("encp", "still")["metadata"]["generation"] == 1
    assert version != ""


def test_a_pool_of_no_replicas_keeps_itself_and_stops_its_pods(
    operator: OperatorProcess, pools: Pools, nodes: Nodes
) -> None:
    nodes(1, cpus=16)
    pools.apply("sleeper", resources={"gpus": 0}, scheduling={"nodeSelector": nodes.selector})
    pools.wait("sleeper", "Ready", "True")
    pools.kubectl("scale", "encp", "sleeper", "--replicas=0")
    pools.wait("sleeper", "Ready", "True", "ScaledToZero")
    until(lambda: not pools.all("pods", "encoderfleet.io/pool=sleeper"))
    until(lambda: not pools.deployments("sleeper"))
    pools.kubectl("scale", "encp", "sleeper", "--replicas=1")
    pools.wait("sleeper", "Ready", "True", "Ready")


def test_paused_stops_all_writes(operator: OperatorProcess, pools: Pools, nodes: Nodes) -> None:
    nodes(1, cpus=16)
    pools.apply("held", resources={"gpus": 0}, scheduling={"nodeSelector": nodes.selector})
    pools.wait("held", "Ready", "True")
    pools.patch("held", paused=True)
    pools.wait("held", "Progressing", "False", "Paused")
    (deployment,) = pools.deployments("held")
    pools.kubectl("scale", f"deployment/{deployment['metadata']['name']}", "--replicas=0")
    pools.wait("held", "Ready", "False", "Paused")
    assert pools.deployments("held")[0]["spec"]["replicas"] == 0
    pools.patch("held", paused=False)
    pools.wait("held", "Ready", "True")


def test_a_pool_deleted_while_the_operator_is_away_leaves_nothing(
    own_pools: Pools, start_operator, nodes: Nodes
) -> None:
    nodes(1, cpus=16)
    operator = start_operator().wait_until_ready()
    own_pools.apply("gone", resources={"gpus": 0}, scheduling={"nodeSelector": nodes.selector})
    own_pools.wait("gone", "Ready", "True")
    operator.kill()
    own_pools.kubectl("delete", "encp", "gone")
    for kind in ("deployments", "services", "pdb", "pods"):
        until(lambda kind=kind: not own_pools.all(kind, "encoderfleet.io/pool=gone"))
    until(lambda: own_pools.get("serviceaccount", "gone") is None)


def test_a_child_with_another_pools_label_gets_its_own_back(
    operator: OperatorProcess, pools: Pools, nodes: Nodes
) -> None:
    nodes(1, cpus=16)
    for name in ("mine", "yours"):
        pools.apply(name, resources={"gpus": 0, "cpus": 1}, scheduling={"nodeSelector": nodes.selector})
        pools.wait(name, "Ready", "True")
    pools.kubectl("label", "service", "mine", "encoderfleet.io/pool=yours", "--overwrite")
    until(lambda: pools.get("service", "mine")["metadata"]["labels"]["encoderfleet.io/pool"] == "mine")
    assert pools.get("service", "yours")


def test_another_template_takes_no_more_replicas_than_the_pool_allows(
    operator: OperatorProcess, pools: Pools, nodes: Nodes
) -> None:
    """Each shape has a Deployment of its own, with a `maxUnavailable` of its own; the pool's is that of all of them."""
    for name in ("m1", "m2", "m3"):
        nodes(1, cpus=9, labels={"node.kubernetes.io/instance-type": name})
    spec = {
        "replicas": 3,
        "resources": {"gpus": 0, "cpus": 8},
        "scheduling": {"nodeSelector": nodes.selector},
        "podTemplate": {"annotations": CUSTOM},  # they serve when the test says so
    }
    pools.apply("turns", image="example.com/encoder:1", **spec)
    until(lambda: len(images_of(pools, "turns")) == 3)
    for pod in images_of(pools, "turns"):
        serves(pools, pod)
    pools.wait("turns", "Progressing", "False", "Complete")
    assert [each["spec"]["replicas"] for each in pools.deployments("turns")] == [1, 1, 1]

    pools.apply("turns", image="example.com/encoder:2", **spec)
    for turn in (1, 2, 3):
        new = until(
            lambda: [pod for pod, (image, ready) in images_of(pools, "turns").items() if image == 2 and not ready]
        )
        pools.wait("turns", "Ready", "False")
        visits = operator.metric("encoderfleet_reconcile_seconds_count")
        pools.kubectl("annotate", "encp", "turns", f"turn={turn}", "--overwrite")
        until(lambda before=visits: operator.metric("encoderfleet_reconcile_seconds_count") > before)
        there = list(images_of(pools, "turns").values())
        assert sorted(there) == [(1, True)] * (3 - turn) + [(2, False)] + [(2, True)] * (turn - 1)
        serves(pools, new[0])
    pools.wait("turns", "Progressing", "False", "Complete")


def images_of(pools: Pools, name: str) -> dict[str, tuple[int, bool]]:
    """Tag of the image of each pod that has a node and is not leaving, and whether it serves."""
    return {
        pod["metadata"]["name"]: (
            int(pod["spec"]["containers"][0]["image"][-1]),
            any(each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", ())),
        )
        for pod in pools.all("pods", f"encoderfleet.io/pool={name}")
        if "deletionTimestamp" not in pod["metadata"] and pod["spec"].get("nodeName")
    }


def serves(pools: Pools, pod: str) -> None:
    """As a kubelet says it."""
    conditions = [{"type": kind, "status": "True"} for kind in ("PodScheduled", "Ready", "ContainersReady")]
    patch = json.dumps({"status": {"phase": "Running", "conditions": conditions}})
    pools.kubectl("patch", "pod", pod, "--subresource=status", "--type=merge", "-p", patch)
