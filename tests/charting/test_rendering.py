"""What the chart renders, and what the API server says to it."""

import json
from typing import Any

import pytest
import yaml
from tests.cluster.control_plane import ControlPlane
from tests.cluster.tools import CommandFailedError

from charting.chart import CHART, NAME, REPOSITORY, RESTRICTED, container, only, render, rules, template, variables
from charting.rights import granted
from fleet_operator import __main__ as program

EVERYTHING: dict[str, Any] = {
    "image": {"repository": "registry.example.com:5000/fleet/operator", "tag": "1.2.3", "pullPolicy": "Always"},
    "imagePullSecrets": [{"name": "registry"}],
    "encoder": {"image": "registry.example.com:5000/fleet/encoder:1.2.3"},
    "sglang": {"image": "registry.example.com:5000/sglang:1"},
    "nodes": {"read": False},
    "scaling": {"intervalSeconds": 2.5},
    "logLevel": "debug",
    "extraEnv": [{"name": "ENCODERFLEET_HTTP", "value": "[::]:8080"}],
    "resources": {"requests": {"cpu": 1, "memory": None}, "limits": {"memory": "1Gi"}},
    "priorityClassName": "system-cluster-critical",
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [{"key": "control-plane", "operator": "Exists", "effect": "NoSchedule"}],
    "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
    "podLabels": {"team": "serving"},
    "podAnnotations": {"example.com/note": "here"},
    "serviceAccount": {"annotations": {"example.com/role": "none"}},
    "rbac": {"aggregateToDefaultRoles": True},
    "monitor": {"kind": "ServiceMonitor", "labels": {"release": "prometheus"}, "interval": "1m"},
    "dashboards": {"enabled": True, "labels": {"team": "serving"}, "annotations": {"grafana_folder": "Encoders"}},
    "rules": {"enabled": True, "labels": {"release": "prometheus"}},
    "networkPolicy": {"enabled": True, "from": [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}]},
}
VARIANTS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "everything": EVERYTHING,
    "namespaced": {"watchNamespaces": ["default", "kube-public"]},
    "pod-monitor": {"monitor": {"kind": "PodMonitor"}, "networkPolicy": {"enabled": True}},
    "named": {"fullnameOverride": "x" * 80, "nameOverride": "y"},
}


def command_line() -> dict[str, Any]:
    """The operator's options that have a variable: its name -> default."""
    return {each.envvar: each.default for each in program.main.params if each.envvar}


@pytest.mark.parametrize("values", VARIANTS.values(), ids=VARIANTS)
def test_nothing_is_wrong_in_the_eyes_of_helm(control_plane: ControlPlane, values: dict[str, Any]) -> None:
    control_plane.helm("lint", "--strict", str(CHART), "--values", "-", input=json.dumps(values))


@pytest.mark.parametrize("values", VARIANTS.values(), ids=VARIANTS)
def test_the_api_server_takes_all_of_it_without_a_warning(
    control_plane: ControlPlane, values: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    namespace = control_plane.create_namespace("dry", RESTRICTED)
    request.addfinalizer(lambda: control_plane.delete_namespace(namespace))
    text = template(control_plane, namespace, values)
    said = control_plane.kubectl("apply", "--dry-run=server", "--warnings-as-errors", "-f", "-", input=text)
    assert said.count("(server dry run)") == text.count("\nkind: ")


def test_names_that_yaml_takes_for_something_else_stay_names(control_plane: ControlPlane) -> None:
    values = {"nameOverride": "on", "fullnameOverride": "null", "watchNamespaces": ["1"]}
    for each in yaml.safe_load_all(template(control_plane, "3", values, name="2")):
        meta = each["metadata"]
        assert {type(value) for value in (meta["name"], meta.get("namespace", ""), *meta["labels"].values())} == {str}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"image": {"repo": "x"}}, "at '/image': additional properties 'repo' not allowed"),
        ({"watchNamespace": ["a"]}, "additional properties 'watchNamespace' not allowed"),
        ({"watchNamespaces": "a"}, "at '/watchNamespaces': got string, want array"),
        ({"watchNamespaces": ["a", "a"]}, "at '/watchNamespaces': items at 0 and 1 are equal"),
        ({"watchNamespaces": ["A"]}, "at '/watchNamespaces/0': 'A' does not match pattern"),
        ({"nodes": {"read": "no"}}, "at '/nodes/read': got string, want boolean"),
        ({"nodes": None}, "missing property 'nodes'"),
        ({"image": {"tag": 1.0}}, "at '/image/tag': got number, want string"),
        ({"image": {"repository": "operator:1.0"}}, "at '/image/repository': 'operator:1.0' does not match pattern"),
        ({"logLevel": "trace"}, "at '/logLevel': value must be one of 'debug', 'info', 'warning'"),
        ({"scaling": {"intervalSeconds": 0}}, "at '/scaling/intervalSeconds': minimum: got 0, want 2"),
        ({"extraEnv": {"A": "b"}}, "at '/extraEnv': got object, want array"),
        ({"extraEnv": [{"name": "A", "value": 1}]}, "at '/extraEnv/0/value': got number, want string"),
        ({"resources": {"limit": {}}}, "at '/resources': additional properties 'limit' not allowed"),
        ({"tolerations": [{"efect": "x"}]}, "at '/tolerations/0': additional properties 'efect' not allowed"),
        ({"nodeSelector": {"gpu": True}}, "at '/nodeSelector/gpu': got boolean, want string"),
        ({"monitor": {"kind": "podMonitor"}}, "at '/monitor/kind': value must be one of 'None', 'PodMonitor'"),
        ({"podLabels": {"app.kubernetes.io/name": "x"}}, "at '/podLabels/app.kubernetes.io~1name': false schema"),
        ({"networkPolicy": {"from": [{}]}}, "at '/networkPolicy/from/0': minProperties: got 0, want 1"),
    ],
    ids=lambda each: json.dumps(each) if isinstance(each, dict) else "",
)
def test_a_slip_of_the_hand_is_refused(control_plane: ControlPlane, values: dict[str, Any], message: str) -> None:
    with pytest.raises(CommandFailedError) as caught:
        render(control_plane, **values)
    assert message in str(caught.value)


def test_a_variable_of_the_chart_is_not_set_twice(control_plane: ControlPlane) -> None:
    ours = container(only(render(control_plane, watchNamespaces=["a"]), "Deployment"))["env"]
    for each in ours:
        with pytest.raises(CommandFailedError, match="at '/extraEnv/0/name': 'not' failed"):
            render(control_plane, extraEnv=[{"name": each["name"], "value": "x"}])


@pytest.mark.parametrize("name", ["2", "a.b"])
def test_a_release_whose_name_is_none_of_a_service_is_refused(control_plane: ControlPlane, name: str) -> None:
    with pytest.raises(CommandFailedError, match=f"{name}-encoder-fleet cannot be the name of a Service"):
        template(control_plane, "default", {}, name=name)
    assert template(control_plane, "default", {"fullnameOverride": "fleet"}, name=name)


def test_a_cluster_that_knows_no_sleep_is_refused(control_plane: ControlPlane) -> None:
    with pytest.raises(CommandFailedError, match=r"requires kubeVersion: >=1\.30\.0-0 .* v1\.29\.9"):
        control_plane.helm("template", NAME, str(CHART), "--kube-version", "v1.29.9")
    control_plane.helm("template", NAME, str(CHART), "--kube-version", "v1.30.1-gke.100")


def test_the_operators_pod_is_one_that_is_hard_to_misuse(control_plane: ControlPlane) -> None:
    objects = render(control_plane)
    deployment, test = only(objects, "Deployment"), only(objects, "Pod")
    assert (deployment["spec"]["replicas"], deployment["spec"]["strategy"]) == (1, {"type": "Recreate"})
    for pod in (deployment["spec"]["template"]["spec"], test["spec"]):
        (only_one,) = pod["containers"]
        assert only_one["securityContext"]["readOnlyRootFilesystem"] is True
        assert "volumes" not in pod
    assert test["spec"]["automountServiceAccountToken"] is False
    service = only(objects, "Service")["spec"]["selector"]
    assert service.items() <= deployment["spec"]["template"]["metadata"]["labels"].items()
    assert not service.items() <= test["metadata"]["labels"].items()


def test_the_command_line_knows_what_it_is_told(control_plane: ControlPlane) -> None:
    objects = render(control_plane)
    told, known = variables(only(objects, "Deployment")), command_line()
    assert set(told) <= set(known)
    assert told["ENCODERFLEET_SGLANG_IMAGE"] == known["ENCODERFLEET_SGLANG_IMAGE"]
    assert told["ENCODERFLEET_IMAGE"].startswith(f"{known['ENCODERFLEET_IMAGE']}:")
    assert told["ENCODERFLEET_LOG_LEVEL"] == known["ENCODERFLEET_LOG_LEVEL"]
    assert float(told["ENCODERFLEET_SCALING_INTERVAL"]) == known["ENCODERFLEET_SCALING_INTERVAL"]
    (port,) = container(only(objects, "Deployment"))["ports"]
    assert known["ENCODERFLEET_HTTP"].endswith(f":{port['containerPort']}")
    served = only(render(control_plane, watchNamespaces=["a", "b"]), "Deployment")
    assert variables(served)["ENCODERFLEET_NAMESPACES"] == "a b"  # click takes it as two


def test_every_value_arrives(control_plane: ControlPlane) -> None:
    objects = render(control_plane, **EVERYTHING)
    deployment = only(objects, "Deployment")
    template = deployment["spec"]["template"]
    for pod in (template["spec"], only(objects, "Pod")["spec"]):
        for name in ("imagePullSecrets", "priorityClassName", "nodeSelector", "tolerations", "affinity"):
            assert pod[name] == EVERYTHING[name]
        assert pod["containers"][0]["image"] == "registry.example.com:5000/fleet/operator:1.2.3"
        assert pod["containers"][0]["imagePullPolicy"] == "Always"
    assert container(deployment)["resources"] == {"requests": {"cpu": 1}, "limits": {"memory": "1Gi"}}
    assert variables(deployment) == {
        "ENCODERFLEET_IMAGE": "registry.example.com:5000/fleet/encoder:1.2.3",
        "ENCODERFLEET_SGLANG_IMAGE": "registry.example.com:5000/sglang:1",
        "ENCODERFLEET_SCALING_INTERVAL": "2.5",
        "ENCODERFLEET_LOG_LEVEL": "debug",
        "ENCODERFLEET_HTTP": "[::]:8080",
    }
    assert template["metadata"]["labels"]["team"] == "serving"
    assert template["metadata"]["annotations"] == {"example.com/note": "here"}
    assert only(objects, "ServiceAccount")["metadata"]["annotations"] == {"example.com/role": "none"}
    assert {right.what for right in granted(rules(objects))} & {"nodes", "apps/daemonsets"} == set()


@pytest.mark.parametrize(("kind", "where"), [("ServiceMonitor", "endpoints"), ("PodMonitor", "podMetricsEndpoints")])
def test_prometheus_leaves_pools_their_namespace(control_plane: ControlPlane, kind: str, where: str) -> None:
    objects = render(control_plane, monitor={"kind": kind, "labels": {"release": "prometheus"}})
    monitor = only(objects, kind)
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    (endpoint,) = monitor["spec"][where]
    assert endpoint["honorLabels"] is True
    found = only(objects, "Service" if kind == "ServiceMonitor" else "Deployment")
    labels = (found["spec"].get("template") or found)["metadata"]["labels"]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert endpoint["port"] == "http"


def test_helm_test_gets_through_the_network_policy(control_plane: ControlPlane) -> None:
    test = only(render(control_plane), "Pod")["metadata"]["labels"]
    (rule,) = only(render(control_plane, **EVERYTHING), "NetworkPolicy")["spec"]["ingress"]
    prometheus, mine = rule["from"]
    assert prometheus == EVERYTHING["networkPolicy"]["from"][0]
    assert mine["podSelector"]["matchLabels"].items() <= test.items()
    policy = only(render(control_plane, networkPolicy={"enabled": True}), "NetworkPolicy")
    assert [each["from"] for each in policy["spec"]["ingress"]] == [[{"podSelector": {}}]]


def test_operators_of_some_namespaces_stand_beside_each_other(control_plane: ControlPlane) -> None:
    def names(namespace: str, **values: Any) -> set[str]:
        return {
            each["metadata"]["name"]
            for each in render(control_plane, namespace, **values)
            if each["kind"].startswith("ClusterRole")
        }

    assert not names("one", watchNamespaces=["a"]) & names("two", watchNamespaces=["b"])
    # Of the whole cluster there shall be one: Helm refuses the second, as its roles are the first one's.
    assert names("one") == names("two")


def test_people_get_pools_only_by_roles_that_are_not_the_operators(control_plane: ControlPlane) -> None:
    objects = render(control_plane, rbac={"aggregateToDefaultRoles": True})
    roles = [each["metadata"]["name"] for each in objects if each["kind"] == "ClusterRole"]
    assert sorted(roles) == [NAME, f"{NAME}-edit", f"{NAME}-view"]
    assert granted(rules(objects)) == granted(rules(render(control_plane)))


def test_the_page_has_every_right_of_the_operator(control_plane: ControlPlane) -> None:
    page = (REPOSITORY / "docs" / "install.md").read_text()
    table = page.partition("| may | on | why |\n|---|---|---|\n")[2].partition("\n\n")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    written = {
        (what.strip(" `"), verb)
        for verbs, kinds, why in rows
        for what in kinds.split(",")
        for verb in verbs.split(", ")
        if why
    }
    assert written == {(right.what, right.verb) for right in granted(rules(render(control_plane)))}


def test_dashboards_come_as_they_are(control_plane: ControlPlane) -> None:
    maps = [each for each in render(control_plane, **EVERYTHING) if each["kind"] == "ConfigMap"]
    came = {name: json.loads(text) for each in maps for name, text in each["data"].items()}
    there = {f"encoderfleet-{file.name}": json.loads(file.read_text()) for file in (CHART / "dashboards").glob("*")}
    assert came == there
    for each in maps:
        labels, annotations = each["metadata"]["labels"], each["metadata"]["annotations"]
        assert (labels["grafana_dashboard"], labels["team"]) == ("1", "serving")
        assert annotations == {"grafana_folder": "Encoders"}
        assert len(each["data"]) == 1
        assert len(json.dumps(each)) < 1 << 20  # no object of Kubernetes may be larger


def test_rules_come_as_they_are(control_plane: ControlPlane) -> None:
    rule = only(render(control_plane, **EVERYTHING), "PrometheusRule")
    assert rule["metadata"]["labels"]["release"] == "prometheus"
    assert rule["spec"] == yaml.safe_load((CHART / "rules" / "encoder-fleet.yaml").read_text())


def test_a_runbook_is_a_link_where_it_is_said_where_pages_are(control_plane: ControlPlane) -> None:
    def annotations(**values: Any) -> list[dict[str, str]]:
        groups = only(render(control_plane, rules={"enabled": True, **values}), "PrometheusRule")["spec"]["groups"]
        return [rule["annotations"] for group in groups for rule in group["rules"] if "alert" in rule]

    plain = annotations()
    linked = annotations(runbookBase="https://git.example.com/fleet/-/blob/v0.1.0/")
    assert [each.pop("runbook_url") for each in linked] == [
        f"https://git.example.com/fleet/-/blob/v0.1.0/{each.pop('runbook')}" for each in plain
    ]
    assert linked == plain


@pytest.mark.parametrize("base", ["docs", "ftp://host", "https://host/a b", "https://host/#x"])
def test_a_base_of_runbooks_that_makes_no_link_is_refused(control_plane: ControlPlane, base: str) -> None:
    with pytest.raises(CommandFailedError, match=r"'/rules/runbookBase'"):
        render(control_plane, rules={"enabled": True, "runbookBase": base})


def test_neither_comes_where_nobody_asked(control_plane: ControlPlane) -> None:
    assert {each["kind"] for each in render(control_plane)} & {"ConfigMap", "PrometheusRule"} == set()
