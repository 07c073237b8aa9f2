"""`helm install`, `test`, `upgrade` and `uninstall` on a real API server, and what each of them says."""

import json
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.control_plane import ControlPlane
from tests.cluster.fixtures import Nodes
from tests.cluster.tools import CommandFailedError

from charting.chart import CHART, DEFINITION, NAME, only, render, variables
from charting.conftest import MakeRelease, StartOperator
from operating.operator_process import OperatorProcess, Pools, until

HASH = "encoderfleet.io/schema"


def definition(control_plane: ControlPlane) -> dict[str, Any]:
    return json.loads(control_plane.kubectl("get", "crd", DEFINITION, "-o", "json"))


def older_chart(folder: Path) -> Path:
    """A chart as it could have been: its definition is another one."""
    shutil.copytree(CHART, folder)
    (file,) = folder.glob("crds/*.yaml")
    file.write_text(file.read_text().replace(f"{HASH}: ", f"{HASH}: older-").replace("Replicas that serve.", "Ready."))
    return folder


def run_test(pod: dict[str, Any], operator: OperatorProcess) -> subprocess.CompletedProcess[str]:
    """What the kubelet would run for `helm test`, here: names of Services are a proxy's, which is the operator."""
    program, *arguments = pod["spec"]["containers"][0]["command"]
    assert program == "python"
    environment = {**os.environ, "http_proxy": f"http://{operator.address}", "no_proxy": ""}
    return subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, timeout=120)


def test_an_installed_operator_runs_and_its_notes_lead_to_a_ready_pool(
    control_plane: ControlPlane, make_release: MakeRelease, start_operator: StartOperator, nodes: Nodes
) -> None:
    nodes(1, cpus=32, gpus=8)
    control_plane.kubectl("delete", "crd", DEFINITION, "--ignore-not-found")
    release = make_release()
    release.install()
    assert definition(control_plane)["status"]["acceptedNames"]["kind"] == "EncoderPool"

    (pod,) = release.pods()
    assert pod["spec"]["nodeName"]
    assert pod["spec"]["serviceAccountName"] == NAME
    (slices,) = json.loads(
        release.kubectl("get", "endpointslices", "-l", f"kubernetes.io/service-name={NAME}", "-o", "json")
    )["items"]
    assert [each["addresses"] for each in slices["endpoints"]] == [[pod["status"]["podIP"]]]
    assert slices["ports"][0]["port"] == 8080

    start_operator(release).wait_until_ready()
    (apply,) = release.commands("kubectl apply -f -")
    (wait,) = release.commands("kubectl wait")
    assert release.typed(apply) == "encoderpool.encoderfleet.io/vision created\n"
    assert release.typed(wait) == "encoderpool.encoderfleet.io/vision condition met\n"
    pools = Pools(control_plane, release.namespace)
    (deployment,) = pools.deployments("vision")
    assert (
        deployment["spec"]["template"]["spec"]["containers"][0]["image"]
        == f"encoderfleet-encoder:{version('encoderfleet')}"
    )
    instances = {
        each["reportingInstance"]
        for each in pools.events("vision")
        if each["reportingComponent"] == "encoderfleet-operator"
    }
    assert instances == {pod["metadata"]["name"]}


def test_helm_test_asks_the_operator_through_its_service(
    control_plane: ControlPlane, make_release: MakeRelease, start_operator: StartOperator, nodes: Nodes
) -> None:
    nodes(1)
    release = make_release()
    release.install()
    operator = start_operator(release).wait_until_ready()

    def pod() -> dict[str, Any]:
        found = release.kubectl("get", "pod", f"{NAME}-test", "-o", "json", "--ignore-not-found")
        there = json.loads(found) if found else {}
        return there if there.get("status", {}).get("phase") == "Running" else {}

    with ThreadPoolExecutor(1) as threads:
        # KWOK lets the pod run for ever. What it would do is done here, and its end is written into its status.
        told = threads.submit(control_plane.helm, "test", NAME, "--timeout", "2m", namespace=release.namespace)
        done = run_test(until(pod), operator)
        status = {"status": {"phase": "Failed" if done.returncode else "Succeeded"}}
        patch = ("patch", "pod", f"{NAME}-test", "--subresource=status", "--type=merge", "-p", json.dumps(status))
        release.kubectl(*patch)
        said = told.result()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "/readyz: ok\nthe EncoderPool definition is of this version\n"
    assert re.search(r"TEST SUITE: +encoder-fleet-test\n[\s\S]*Phase: +Succeeded", said), said
    # It stays, for `--logs`, and the next test is another pod's.
    left = release.kubectl("get", "pod", f"{NAME}-test", "-o", "jsonpath={.status.phase}")
    assert left == "Succeeded"


def test_an_upgrade_takes_the_new_values_and_leaves_the_definition(
    control_plane: ControlPlane,
    make_release: MakeRelease,
    start_operator: StartOperator,
    nodes: Nodes,
    tmp_path: Path,
) -> None:
    nodes(1)
    control_plane.kubectl("delete", "crd", DEFINITION, "--ignore-not-found")
    release = make_release()
    release.chart = older_chart(tmp_path / "older")
    release.install(logLevel="warning")
    (before,) = release.pods()
    release.chart = CHART
    on = {"enabled": True}
    release.upgrade(logLevel="debug", image={"tag": "0.2.0"}, dashboards=on, rules=on)
    assert release.kubectl("get", "configmaps", "-l", "grafana_dashboard=1", "-o", "name").count("\n") == 4
    assert release.kubectl("get", "prometheusrules", "-o", "name") == f"prometheusrule.monitoring.coreos.com/{NAME}\n"
    (after,) = release.pods()
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    assert after["spec"]["containers"][0]["image"] == "encoderfleet-operator:0.2.0"
    assert variables(only(release.objects, "Deployment"))["ENCODERFLEET_LOG_LEVEL"] == "debug"
    assert definition(control_plane)["metadata"]["annotations"][HASH].startswith("older-")

    operator = start_operator(release).wait_until_ready()
    test = only(render(control_plane, release.namespace), "Pod")
    done = run_test(test, operator)
    assert (done.returncode, done.stdout) == (1, "/readyz: ok\n")
    assert (
        "the EncoderPool definition is of another version: helm show crds charts/encoder-fleet | kubectl apply"
        in done.stderr
    )
    pools = Pools(control_plane, release.namespace)
    pools.apply("waits", resources={"gpus": 0, "cpus": 1})
    pools.wait("waits", "Progressing", "False", "DefinitionOutdated")

    (advice,) = release.commands("helm show crds charts/encoder-fleet | ")
    apply = advice.partition("| ")[2]
    shown = control_plane.helm("show", "crds", str(CHART))
    with pytest.raises(CommandFailedError, match=r'conflicts with "helm":\n.*encoderfleet.io/schema\n.*\.versions'):
        release.typed(f"{apply.replace('--force-conflicts', '')} <<'EOF'\n{shown}\nEOF")
    release.typed(f"{apply} <<'EOF'\n{shown}\nEOF")
    operator.stop()
    assert run_test(test, start_operator(release).wait_until_ready()).returncode == 0


def test_an_uninstalled_operator_leaves_pools_at_work_and_has_said_so(
    control_plane: ControlPlane, make_release: MakeRelease, start_operator: StartOperator, nodes: Nodes, namespace: str
) -> None:
    nodes(1, cpus=16)
    release = make_release()
    release.install()
    operator = start_operator(release).wait_until_ready()
    pools = Pools(control_plane, namespace)
    pools.apply("stays", replicas=2, resources={"gpus": 0, "cpus": 3}, scheduling={"nodeSelector": nodes.selector})
    pools.wait("stays", "Ready", "True")
    pods = {each["metadata"]["uid"] for each in pools.all("pods")}
    mine = [(each["kind"], each["metadata"]["name"]) for each in release.objects]
    said = "`helm uninstall` leaves the EncoderPools, their encoders, which serve on, and the definition."
    assert said in release.notes
    everything, the_definition = release.commands("kubectl delete")
    operator.stop()

    release.uninstall()
    gone = {
        each for each in mine if not control_plane.kubectl("get", *each, "-n", release.namespace, "--ignore-not-found")
    }
    assert gone == set(mine)
    assert release.pods() == []
    assert pools.status("stays")["readyReplicas"] == 2
    assert {each["metadata"]["uid"] for each in pools.all("pods")} == pods

    # What it says to remove the rest with works without an operator.
    release.typed(everything)
    until(lambda: not pools.all("pods") and not pools.deployments("stays"))
    release.typed(the_definition)
    assert control_plane.kubectl("get", "crd", DEFINITION, "--ignore-not-found") == ""


def test_a_second_operator_of_the_whole_cluster_is_refused(
    control_plane: ControlPlane, make_release: MakeRelease, nodes: Nodes
) -> None:
    nodes(1)
    make_release().install()
    with pytest.raises(CommandFailedError, match=f'ClusterRole "{NAME}" in namespace "" exists and cannot be imported'):
        make_release().install()


def test_the_roles_of_people_learn_of_pools_where_the_values_say_so(
    control_plane: ControlPlane, make_release: MakeRelease, nodes: Nodes
) -> None:
    nodes(1)
    release = make_release()
    release.install(rbac={"aggregateToDefaultRoles": True})
    editor, viewer = (control_plane.kubeconfig_for_user(name) for name in ("an-editor", "a-viewer"))
    for role, name in (("edit", "an-editor"), ("view", "a-viewer")):
        release.kubectl("create", "rolebinding", name, f"--clusterrole={role}", f"--user={name}")

    def may(who: Path, verb: str, what: str, part: str = "") -> bool:
        asked = ("auth", "can-i", verb, what, f"--subresource={part}")
        return release.kubectl(*asked, kubeconfig=who, check=False) == "yes\n"

    until(lambda: may(editor, "create", "encoderpools") and may(viewer, "list", "encoderpools"))
    assert may(editor, "patch", "encoderpools", "scale")
    assert may(editor, "get", "encoderpools")
    assert not may(viewer, "create", "encoderpools")
    assert not may(editor, "patch", "encoderpools", "status")
