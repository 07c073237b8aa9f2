"""The test bed is what it says: the real API server, scheduler and controllers, and nodes that pretend."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.cluster import audit
from tests.cluster.control_plane import ControlPlane
from tests.cluster.fixtures import Nodes
from tests.cluster.kwok import CUSTOM
from tests.cluster.tools import CommandFailedError

GPU = "nvidia.com/gpu"


def wait_until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def deployment(name: str, replicas: int, nodes: Nodes, resources: dict[str, str]) -> str:
    labels = {"app": name}
    container = {"name": "main", "image": "none", "resources": {"requests": resources, "limits": resources}}
    pod = {"metadata": {"labels": labels}, "spec": {"nodeSelector": nodes.selector, "containers": [container]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": pod}
    return json.dumps({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec})


def listed(control_plane: ControlPlane, kind: str, namespace: str | None = None) -> list[dict[str, Any]]:
    return json.loads(control_plane.kubectl("get", kind, "--output=json", namespace=namespace))["items"]


def test_a_node_is_ready_with_its_hardware(control_plane: ControlPlane, nodes: Nodes) -> None:
    (name,) = nodes(cpus=16, gpus=4, memory="64Gi", allocatable={"cpu": "15500m"}, labels={"pool": "vision"})

    node = json.loads(control_plane.kubectl("get", "node", name, "--output=json"))

    assert node["metadata"]["labels"]["pool"] == "vision"
    assert node["status"]["capacity"] | {"cpu": "16", "memory": "64Gi", GPU: "4"} == node["status"]["capacity"]
    assert node["status"]["allocatable"]["cpu"] == "15500m"


def test_the_scheduler_counts_gpus(control_plane: ControlPlane, namespace: str, nodes: Nodes) -> None:
    (name,) = nodes(gpus=8)
    control_plane.kubectl("apply", "-f", "-", input=deployment("nine", 9, nodes, {GPU: "1"}), namespace=namespace)

    def phases() -> list[str]:
        return sorted(pod["status"]["phase"] for pod in listed(control_plane, "pods", namespace))

    wait_until(lambda: phases() == ["Pending"] + ["Running"] * 8)
    pods = listed(control_plane, "pods", namespace)
    (waiting,) = (pod for pod in pods if pod["status"]["phase"] == "Pending")
    assert waiting["status"]["conditions"][0]["reason"] == "Unschedulable"
    assert f"Insufficient {GPU}" in waiting["status"]["conditions"][0]["message"]
    assert {pod["spec"]["nodeName"] for pod in pods if pod is not waiting} == {name}


def test_a_marked_pod_stays_as_a_test_writes_it(control_plane: ControlPlane, namespace: str, nodes: Nodes) -> None:
    nodes()
    spec = {"nodeSelector": nodes.selector, "containers": [{"name": "main", "image": "none"}]}
    for name, annotations in (("loading", CUSTOM), ("usual", {})):
        metadata = {"name": name, "annotations": annotations}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
        control_plane.kubectl("create", "-f", "-", input=json.dumps(pod), namespace=namespace)

    control_plane.kubectl("wait", "--for=condition=Ready", "pod/usual", "--timeout=120s", namespace=namespace)
    control_plane.kubectl("wait", "--for=condition=PodScheduled", "pod/loading", "--timeout=120s", namespace=namespace)
    loading = json.loads(control_plane.kubectl("get", "pod", "loading", "--output=json", namespace=namespace))
    assert loading["status"]["phase"] == "Pending"

    control_plane.kubectl("delete", "pod", "loading", "--timeout=120s", namespace=namespace)


def test_pod_security_refuses_a_privileged_pod(control_plane: ControlPlane) -> None:
    name = control_plane.create_namespace(labels={"pod-security.kubernetes.io/enforce": "restricted"})
    container = {"name": "main", "image": "none", "securityContext": {"privileged": True}}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "root"}, "spec": {"containers": [container]}}

    with pytest.raises(CommandFailedError, match='violates PodSecurity "restricted:latest": privileged'):
        control_plane.kubectl("create", "-f", "-", input=json.dumps(pod), namespace=name)

    control_plane.delete_namespace(name)


@pytest.mark.parametrize("kill", [False, True], ids=["in order", "killed"])
def test_a_restarted_api_server_has_its_objects(
    control_plane: ControlPlane, namespace: str, nodes: Nodes, kill: bool
) -> None:
    control_plane.kubectl("create", "configmap", "kept", "--from-literal=a=b", namespace=namespace)

    control_plane.stop_api_server(kill=kill)
    with pytest.raises(CommandFailedError, match="refused"):
        control_plane.kubectl("get", "configmaps", namespace=namespace)
    control_plane.start_api_server()

    (kept,) = (each for each in listed(control_plane, "configmaps", namespace) if each["metadata"]["name"] == "kept")
    assert kept["data"] == {"a": "b"}
    # Controllers, scheduler and KWOK have found it again.
    nodes()
    control_plane.kubectl("apply", "-f", "-", input=deployment("one", 1, nodes, {"cpu": "1"}), namespace=namespace)
    control_plane.kubectl("rollout", "status", "deployment/one", "--timeout=120s", namespace=namespace)


def verdicts(control_plane: ControlPlane, user: str) -> set[tuple[str, str, int]]:
    return {
        (event["verb"], event["objectRef"]["resource"], event["responseStatus"]["code"])
        for event in audit.events(control_plane.audit_log, user)
        if "objectRef" in event and event["objectRef"].get("namespace")
    }


def test_a_user_may_do_what_rbac_gives_and_the_audit_log_tells(control_plane: ControlPlane, namespace: str) -> None:
    def ask(kubeconfig: Path, *arguments: str) -> str:
        return control_plane.kubectl(*arguments, kubeconfig=kubeconfig, namespace=namespace)

    user = f"reader-{namespace}"
    kubeconfig = control_plane.kubeconfig_for_user(user, ("readers",))
    with pytest.raises(CommandFailedError, match="Forbidden"):
        ask(kubeconfig, "get", "pods")
    control_plane.kubectl("create", "role", "reader", "--verb=list", "--resource=pods", namespace=namespace)
    control_plane.kubectl("create", "rolebinding", "it", "--role=reader", "--group=readers", namespace=namespace)
    wait_until(lambda: ask(kubeconfig, "auth", "can-i", "list", "pods").strip() == "yes")

    assert ask(kubeconfig, "get", "pods", "--output=name") == ""
    with pytest.raises(CommandFailedError, match="Forbidden"):
        ask(kubeconfig, "delete", "configmap", "kube-root-ca.crt")

    wait_until(lambda: ("list", "pods", 200) in verdicts(control_plane, user))
    assert verdicts(control_plane, user) >= {("list", "pods", 403), ("delete", "configmaps", 403)}


@pytest.mark.usefixtures("definition")
def test_the_audit_log_tells_who_changed_replicas(control_plane: ControlPlane, namespace: str) -> None:
    def ask(*arguments: str, **options: Any) -> None:
        control_plane.kubectl(*arguments, namespace=namespace, **options)

    made = {"apiVersion": "encoderfleet.io/v1alpha1", "kind": "EncoderPool", "metadata": {"name": "a"}}
    scaler = f"scaler-{namespace}"
    kubeconfig = control_plane.kubeconfig_for_user(scaler, ("system:masters",))
    ask("create", "-f", "-", input=json.dumps({**made, "spec": {"model": {"path": "/m"}, "replicas": 2}}))
    ask("scale", "encp/a", "--replicas=3", kubeconfig=kubeconfig)
    ask("scale", "encp/a", "--replicas=3", kubeconfig=kubeconfig)
    ask("scale", "encp/a", "--replicas=-1", check=False)
    ask("label", "encp/a", "of=interest")
    ask("patch", "encp/a", "--type=merge", '--patch={"spec": {"replicas": 1}}')

    changes = [("kubernetes-admin", 2), (scaler, 3), ("kubernetes-admin", 1)]
    assert audit.replicas(control_plane.audit_log, namespace, "a") == changes
    assert audit.replicas(control_plane.audit_log, namespace, "b") == []


def test_a_service_account_is_itself(control_plane: ControlPlane, namespace: str) -> None:
    kubeconfig = control_plane.kubeconfig_for_service_account("default", namespace)
    said = json.loads(control_plane.kubectl("auth", "whoami", "--output=json", kubeconfig=kubeconfig))
    assert said["status"]["userInfo"]["username"] == f"system:serviceaccount:{namespace}:default"


def test_helm_and_kubectl_run(control_plane: ControlPlane) -> None:
    assert control_plane.helm("version", "--short").startswith("v4.")
    assert json.loads(control_plane.kubectl("version", "--output=json"))["serverVersion"]["minor"] == "37"
    assert control_plane.helm("list", "--output=json").strip() == "[]"
