"""What goes wrong is said: a condition, an event, what to do. Nothing else is lost, and nothing runs hot."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.cluster.fixtures import Nodes
from tests.cluster.kwok import CUSTOM
from tests.cluster.tools import CommandFailedError

from charting.kinds import PODMONITORS, define
from fleet_operator.kube.errors import ApiError
from fleet_operator.reconcile.refusals import refusal
from operating.operator_process import OperatorProcess, Pools, until

CPU_ONLY: dict[str, Any] = {"resources": {"gpus": 0, "cpus": 1}}


def visits(operator: OperatorProcess) -> float:
    return operator.metric("encoderfleet_reconcile_seconds_count")


def event(pools: Pools, name: str, reason: str) -> dict[str, Any]:
    """The one event of a pool with a reason."""
    found = until(lambda: [each for each in pools.events(name) if each["reason"] == reason])
    assert len(found) == 1, found
    return found[0]


def test_no_node_fits(operator: OperatorProcess, pools: Pools) -> None:
    pools.apply("nowhere", resources={"gpus": 1}, scheduling={"nodeSelector": {"no": "node"}})
    found = pools.wait("nowhere", "Schedulable", "False", "NoNodeFits")
    assert "set spec.resources.cpus" in found["message"]
    assert pools.condition("nowhere", "Ready")["reason"] == "NoNodeFits"
    assert event(pools, "nowhere", "NoNodeFits")["type"] == "Warning"
    assert pools.deployments("nowhere") == []


def test_no_node_fits_yet_but_pods_can_ask_for_one(operator: OperatorProcess, pools: Pools, nodes: Nodes) -> None:
    """As a cluster autoscaler needs it: pods that wait, until it adds a node."""
    pools.apply("asking", resources={"gpus": 1, "cpus": 4}, scheduling={"nodeSelector": nodes.selector})
    pools.wait("asking", "Schedulable", "False", "Unschedulable")
    (deployment,) = pools.deployments("asking")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["requests"] == {"cpu": "4", "nvidia.com/gpu": "1"}
    nodes(1, cpus=8, gpus=1)
    pools.wait("asking", "Ready", "True")
    assert len(pools.all("pods", "encoderfleet.io/pool=asking")) == 1


def test_pods_that_find_no_room(operator: OperatorProcess, pools: Pools, nodes: Nodes) -> None:
    nodes(1, cpus=8, gpus=1)
    pools.apply("crowded", replicas=3, resources={"gpus": 1}, scheduling={"nodeSelector": nodes.selector})
    # At first the scheduler has not looked at all of them.
    until(lambda: "nvidia.com/gpu" in pools.wait("crowded", "Schedulable", "False", "Unschedulable")["message"])
    until(lambda: pools.status("crowded")["readyReplicas"] == 1)


def test_a_node_too_small_for_a_whole_cpu(operator: OperatorProcess, pools: Pools, nodes: Nodes) -> None:
    nodes(1, cpus="1500m")
    pools.apply("tiny", resources={"gpus": 0}, scheduling={"nodeSelector": nodes.selector})
    found = pools.wait("tiny", "ThreadsPlanned", "False", "NodesTooSmall")
    assert "1500m allocatable - 1 reserved = 0" in found["message"]


def test_a_quota_that_is_used_up(own_pools: Pools, start_operator: Any, nodes: Nodes) -> None:
    nodes(1, cpus=16)
    start_operator()
    own_pools.kubectl("create", "quota", "small", "--hard=pods=1")
    own_pools.apply("many", replicas=3, **CPU_ONLY, scheduling={"nodeSelector": nodes.selector})
    found = own_pools.wait("many", "Schedulable", "False", "QuotaExceeded")
    assert "raise the ResourceQuota" in found["message"]
    assert event(own_pools, "many", "QuotaExceeded")["type"] == "Warning"
    own_pools.kubectl("delete", "quota", "small")
    own_pools.patch("many", replicas=1)
    own_pools.wait("many", "Schedulable", "True")
    own_pools.wait("many", "Ready", "True")


def test_no_pod_is_open_to_all_where_the_policy_is_refused(
    operator: OperatorProcess, pools: Pools, nodes: Nodes
) -> None:
    nodes(1, cpus=16)
    restricted = {"mode": "Restrict", "consumers": [{}]}
    pools.apply("closed", **CPU_ONLY, scheduling={"nodeSelector": nodes.selector}, networkPolicy=restricted)
    found = pools.wait("closed", "Progressing", "False", "Rejected")
    assert "must specify a peer" in found["message"]
    assert pools.deployments("closed") == []
    pools.patch("closed", networkPolicy={"consumers": [{"podSelector": {}}]})
    pools.wait("closed", "Ready", "True")


def test_volumes_of_one_name_are_the_users_mistake(operator: OperatorProcess, pools: Pools, nodes: Nodes) -> None:
    """The API server says it with a 500."""
    nodes(1, cpus=16)
    template = {"volumes": [{"name": "tmp", "emptyDir": {}}]}
    pools.apply("doubled", **CPU_ONLY, scheduling={"nodeSelector": nodes.selector}, podTemplate=template)
    found = pools.wait("doubled", "Progressing", "False", "Rejected")
    assert "duplicate entries" in found["message"]


def test_a_kind_that_goes_ends_the_operator_in_one_line(own_pools: Pools, start_operator: Any) -> None:
    define(own_pools.control_plane, PODMONITORS)
    operator = start_operator().wait_until_ready()
    own_pools.kubectl("delete", "crd", f"{PODMONITORS.plural}.{PODMONITORS.group}")
    until(lambda: operator.process.poll() is not None)
    assert operator.process.returncode == 1
    assert operator.log.splitlines()[-1].startswith("Error: a watch has ended: ")
    assert operator.log.splitlines()[-1].endswith("start it again, as Kubernetes does")


def test_a_kind_that_the_cluster_gets_later(own_pools: Pools, start_operator: Any, nodes: Nodes) -> None:
    nodes(1, cpus=4)
    definition = f"{PODMONITORS.plural}.{PODMONITORS.group}"
    own_pools.kubectl("delete", "crd", definition, "--ignore-not-found")
    start_operator(ENCODERFLEET_RESYNC_INTERVAL="1")
    own_pools.apply("watched", **CPU_ONLY, scheduling={"nodeSelector": nodes.selector})
    own_pools.wait("watched", "Progressing", "False", "Complete")
    define(own_pools.control_plane, PODMONITORS)
    try:
        found = own_pools.wait("watched", "Progressing", "False", "RestartNeeded")
        assert "PodMonitor since the operator started: restart the operator" in found["message"]
        own_pools.wait("watched", "Ready", "True")
    finally:
        own_pools.kubectl("delete", "crd", definition)


def test_a_quota_on_objects_is_no_missing_right(own_pools: Pools, start_operator: Any, nodes: Nodes) -> None:
    nodes(1, cpus=16)
    own_pools.kubectl("create", "quota", "none", "--hard=count/deployments.apps=0")
    until(lambda: own_pools.get("quota", "none")["status"].get("hard"))
    start_operator()
    own_pools.apply("counted", **CPU_ONLY, scheduling={"nodeSelector": nodes.selector})
    found = own_pools.wait("counted", "Progressing", "False", "QuotaExceeded")
    assert "count/deployments.apps=0" in found["message"]
    own_pools.kubectl("delete", "quota", "none")
    own_pools.kubectl("annotate", "encp", "counted", "look=again")
    own_pools.wait("counted", "Ready", "True")


def test_a_namespace_that_goes_is_no_missing_right(own_pools: Pools) -> None:
    held = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "finalizers": ["example.com/held"]}}
    own_pools.kubectl("create", "-f", "-", input=json.dumps(held))
    own_pools.control_plane.delete_namespace(own_pools.namespace)
    try:
        with pytest.raises(CommandFailedError) as refused:
            until(lambda: own_pools.kubectl("create", "service", "externalname", "late", "--external-name=example.com"))
        assert refusal(ApiError(403, "Forbidden", str(refused.value), "apply Service late")).reason == (
            "NamespaceTerminating"
        )
    finally:
        own_pools.kubectl("patch", "configmap", "c", "--type=merge", "-p", '{"metadata":{"finalizers":null}}')


def kubelet_says(pools: Pools, name: str, state: dict[str, Any], last: dict[str, Any] | None = None) -> None:
    """As a kubelet reports its container: `state`, and how the one before ended."""
    (pod,) = until(lambda: [p for p in pools.all("pods", f"encoderfleet.io/pool={name}") if p["spec"].get("nodeName")])
    container = {
        "name": "main",
        "ready": False,
        "restartCount": 3,
        "image": "registry.invalid/encoder:9",
        "imageID": "",
        "state": state,
        "lastState": last or {},
    }
    conditions = [{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": "False"}]
    patch = {"status": {"phase": "Pending", "conditions": conditions, "containerStatuses": [container]}}
    pools.kubectl(
        "patch", "pod", pod["metadata"]["name"], "--subresource=status", "--type=merge", "-p", json.dumps(patch)
    )


def left_to_the_test(nodes: Nodes, **more: Any) -> dict[str, Any]:
    return {
        **CPU_ONLY,
        "scheduling": {"nodeSelector": nodes.selector},
        "podTemplate": {"annotations": CUSTOM},
        **more,
    }


def test_an_image_that_cannot_be_pulled(operator: OperatorProcess, pools: Pools, nodes: Nodes) -> None:
    nodes(1, cpus=4)
    pools.apply("typo", **left_to_the_test(nodes, image="registry.invalid/encoder:9"))
    waiting = {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}
    kubelet_says(pools, "typo", {"waiting": waiting})
    found = pools.wait("typo", "Healthy", "False", "ImagePull")
    assert "check spec.image" in found["message"]
    assert "registry.invalid/encoder:9" in found["message"]
    event(pools, "typo", "ImagePull")


def test_a_model_path_that_is_not_there(operator: OperatorProcess, pools: Pools, nodes: Nodes) -> None:
    """The encoder ends with one line, which the kubelet keeps as the container's last words."""
    nodes(1, cpus=4)
    pools.apply("pathless", **left_to_the_test(nodes, model={"path": "/models/missing"}))
    line = "Error: --model: no model at /models/missing (config.json is missing)."
    ended = {"exitCode": 2, "reason": "Error", "message": f"Usage: main\n\n{line}\n"}
    kubelet_says(pools, "pathless", {"waiting": {"reason": "CrashLoopBackOff"}}, {"terminated": ended})
    found = pools.wait("pathless", "Healthy", "False", "Crashing")
    assert line in found["message"]
    assert pools.wait("pathless", "Ready", "False", "Crashing")
    event(pools, "pathless", "Crashing")


def test_threads_over_the_cpus_are_honoured_and_said(operator: OperatorProcess, pools: Pools, nodes: Nodes) -> None:
    nodes(1, cpus=4)
    threads = {"policy": "Manual", "preprocessWorkers": 64}
    pools.apply("greedy", resources={"gpus": 0}, threads=threads, scheduling={"nodeSelector": nodes.selector})
    pools.wait("greedy", "ThreadsPlanned", "True", "CpuOvercommitted")
    assert "64 x intraOpThreads 1 = 64 threads on 3 CPUs" in event(pools, "greedy", "CpuOvercommitted")["message"]
    pools.wait("greedy", "Ready", "True")


def test_a_name_that_is_taken(operator: OperatorProcess, pools: Pools, nodes: Nodes) -> None:
    nodes(1, cpus=4)
    pools.kubectl("create", "service", "clusterip", "taken", "--tcp=80:80")
    pools.apply("taken", **CPU_ONLY, scheduling={"nodeSelector": nodes.selector})
    found = pools.wait("taken", "Progressing", "False", "NameTaken")
    assert "Service taken" in found["message"]
    assert pools.get("service", "taken")["spec"]["ports"][0]["port"] == 80
    assert "encoderfleet.io/pool" not in pools.get("service", "taken")["metadata"]["labels"]
    # All else is there: what fails, fails alone.
    until(lambda: pools.deployments("taken"))
    pools.wait("taken", "Ready", "True")


def test_an_account_that_is_somebody_elses(operator: OperatorProcess, pools: Pools, nodes: Nodes) -> None:
    """Every namespace has a ServiceAccount `default`: pods of a pool of that name would be whoever that is."""
    nodes(1, cpus=4)
    until(lambda: pools.get("serviceaccount", "default"))
    pools.apply("default", **CPU_ONLY, scheduling={"nodeSelector": nodes.selector})
    found = pools.wait("default", "Progressing", "False", "NameTaken")
    assert "ServiceAccount default" in found["message"]
    pools.wait("default", "Ready", "False", "NameTaken")
    assert pools.get("service", "default")  # what does not run under it is there
    assert pools.deployments("default") == []
    pools.kubectl("delete", "encp", "default")


def test_a_deployment_of_that_name_is_somebody_elses(operator: OperatorProcess, pools: Pools, nodes: Nodes) -> None:
    nodes(1, cpus=4)
    pools.kubectl("create", "deployment", "twin-any", "--image=theirs", "--replicas=0")
    pools.apply("twin", **CPU_ONLY, scheduling={"nodeSelector": nodes.selector})
    found = pools.wait("twin", "Progressing", "False", "NameTaken")
    assert "Deployment twin-any" in found["message"]
    assert pools.wait("twin", "Ready", "False", "NameTaken")
    (container,) = pools.get("deployment", "twin-any")["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "theirs"
    pools.kubectl("delete", "deployment", "twin-any")
    pools.kubectl("annotate", "encp", "twin", "look=again")
    pools.wait("twin", "Ready", "True")


def test_what_the_cluster_refuses_of_a_template(operator: OperatorProcess, pools: Pools, nodes: Nodes) -> None:
    nodes(1, cpus=4)
    mounts = [{"name": "nowhere", "mountPath": "/data"}]
    pools.apply(
        "refused", **CPU_ONLY, podTemplate={"volumeMounts": mounts}, scheduling={"nodeSelector": nodes.selector}
    )
    found = pools.wait("refused", "Progressing", "False", "Rejected")
    assert "volumeMounts" in found["message"]
    before = visits(operator)
    pools.patch("refused", podTemplate={"volumeMounts": []})
    pools.wait("refused", "Ready", "True")
    assert visits(operator) - before < 30


def test_a_namespace_with_restricted_pods_admits_them(
    control_plane: Any, definition: None, operator: OperatorProcess, pools: Pools, nodes: Nodes
) -> None:
    pools.kubectl("label", "namespace", pools.namespace, "pod-security.kubernetes.io/enforce=restricted", "--overwrite")
    nodes(1, cpus=8, gpus=1)
    pools.apply(
        "admitted",
        resources={"gpus": 1},
        model={"name": "Qwen/Qwen2.5-VL-7B-Instruct", "tokenSecretRef": {"name": "hub"}},
        scheduling={"nodeSelector": nodes.selector},
    )
    pools.wait("admitted", "Ready", "True")
    pools.apply(
        "other",
        runtime="SGLang",
        resources={"gpus": 1},
        scheduling={"nodeSelector": nodes.selector},
        podTemplate={"securityContext": {"runAsUser": 1, "supplementalGroups": [44]}},
    )
    pools.patch("admitted", replicas=0)  # there is one GPU
    pools.wait("other", "Ready", "True")
    (pod,) = pools.all("pods", "encoderfleet.io/pool=other")
    assert pod["spec"]["securityContext"]["runAsUser"] == 1
    pools.apply(
        "barred",
        **CPU_ONLY,
        scheduling={"nodeSelector": nodes.selector},
        podTemplate={"volumes": [{"name": "host", "hostPath": {"path": "/"}}]},
    )
    found = pools.wait("barred", "Schedulable", "False", "PodSecurity")
    assert "hostPath" in found["message"]
    pools.kubectl("label", "namespace", pools.namespace, "pod-security.kubernetes.io/enforce-")


def test_an_image_that_a_policy_rewrites_is_applied_once(own_pools: Pools, start_operator: Any, nodes: Nodes) -> None:
    """As where all images come from a mirror."""
    nodes(1, cpus=8)
    operator = start_operator().wait_until_ready()
    with images_rewritten(own_pools, "mirror.example.com/encoder:1"):
        own_pools.apply("mirrored", **CPU_ONLY, scheduling={"nodeSelector": nodes.selector})
        found = own_pools.wait("mirrored", "Progressing", "False", "Rewritten")
        assert "spec.template.spec.containers[main].image of Deployment mirrored-any:" in found["message"]
        own_pools.wait("mirrored", "Ready", "True")
        applied = applies(operator)
        own_pools.patch("mirrored", paused=True)  # and back: at least two visits
        own_pools.wait("mirrored", "Progressing", "False", "Paused")
        own_pools.patch("mirrored", paused=False)
        own_pools.wait("mirrored", "Progressing", "False", "Rewritten")
        assert applies(operator) == applied
        own_pools.patch("mirrored", replicas=2)
        until(lambda: own_pools.status("mirrored").get("readyReplicas") == 2)
        own_pools.wait("mirrored", "Progressing", "False", "Rewritten")
        assert "Restored" not in {each["reason"] for each in own_pools.events("mirrored")}


def applies(operator: OperatorProcess) -> float:
    return operator.metric("encoderfleet_api_requests_total", verb="apply", kind="Deployment")


@contextmanager
def images_rewritten(pools: Pools, image: str) -> Iterator[None]:
    """Deployments of the namespace get this image, whatever is applied."""
    name = f"mirror-{pools.namespace}"
    replace = f'[JSONPatch{{op: "replace", path: "/spec/template/spec/containers/0/image", value: "{image}"}}]'
    rule = {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"]}
    policy = {
        "matchConstraints": {
            "resourceRules": [{**rule, "resources": ["deployments"]}],
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": pools.namespace}},
        },
        "reinvocationPolicy": "Never",
        "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": replace}}],
    }
    objects = [("MutatingAdmissionPolicy", policy), ("MutatingAdmissionPolicyBinding", {"policyName": name})]
    for kind, spec in objects:
        body = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}
        pools.control_plane.kubectl("apply", "-f", "-", input=json.dumps(body))
    try:
        trial = ("create", "deployment", "trial", "--image=i", "--dry-run=server", "-o", "json")
        until(lambda: image in pools.kubectl(*trial))
        yield
    finally:
        for kind, _ in objects:
            pools.control_plane.kubectl("delete", kind, name)
