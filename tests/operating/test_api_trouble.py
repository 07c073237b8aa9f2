"""The API server is away, refuses, is overloaded, or does not let the operator do what it must."""

import json
import time
from collections.abc import Iterable, Sized
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web
from tests.cluster.control_plane import ControlPlane
from tests.cluster.fixtures import Nodes

from fleet_operator.handlers import watch_settings
from operating.operator_process import OperatorProcess, Pools, until
from operating.proxy import Proxy, Request, refusal

CPU_ONLY: dict[str, Any] = {"resources": {"gpus": 0, "cpus": 1}}
DEFINITION = Path(__file__).parents[2] / "crds" / "encoderpools.yaml"


def alive(operator: OperatorProcess) -> bool:
    return operator.process.poll() is None


def test_the_api_server_is_killed_and_comes_back(
    own_pools: Pools, control_plane: ControlPlane, nodes: Nodes, start_operator: Any
) -> None:
    nodes(1, cpus=16)
    operator = start_operator().wait_until_ready()
    spec = {**CPU_ONLY, "scheduling": {"nodeSelector": nodes.selector}}
    own_pools.apply("before", **spec)
    control_plane.stop_api_server(kill=True)  # with the first writes under way
    time.sleep(3)
    assert alive(operator), operator.log
    assert operator.get("/healthz")[0] == 200
    control_plane.start_api_server()
    own_pools.wait("before", "Ready", "True")
    own_pools.apply("after", **spec)
    own_pools.wait("after", "Ready", "True")
    own_pools.kubectl("scale", "encp", "before", "--replicas=3")
    until(lambda: own_pools.status("before").get("readyReplicas") == 3)
    assert alive(operator), operator.log


def test_nobody_answers_for_a_while(
    own_pools: Pools, control_plane: ControlPlane, nodes: Nodes, start_operator: Any, tmp_path: Path
) -> None:
    nodes(1, cpus=16)
    with Proxy(control_plane.kubeconfig, tmp_path) as proxy:
        operator = start_operator(proxy.kubeconfig).wait_until_ready()

        async def away(_: Request) -> web.Response:
            return web.Response(status=503, text="upstream is away")

        proxy.before = away
        own_pools.apply("waiting", **CPU_ONLY, scheduling={"nodeSelector": nodes.selector})
        asked = len(proxy.requests)
        time.sleep(12)
        assert len(proxy.requests) - asked < 200
        assert alive(operator), operator.log
        proxy.before = nothing
        own_pools.wait("waiting", "Ready", "True")


async def nothing(_: Request) -> None:
    return None


@pytest.mark.parametrize(
    ("code", "reason", "headers"),
    [(429, "TooManyRequests", {"Retry-After": "1"}), (500, "InternalError", {}), (409, "Conflict", {})],
    ids=["429", "500", "409"],
)
def test_some_writes_are_refused_for_the_moment(
    own_pools: Pools,
    control_plane: ControlPlane,
    nodes: Nodes,
    start_operator: Any,
    tmp_path: Path,
    code: int,
    reason: str,
    headers: dict[str, str],
) -> None:
    nodes(1, cpus=16)
    refused: list[Request] = []

    async def sometimes(request: Request) -> web.Response | None:
        if not request.write or request.path.endswith("/events") or len(refused) >= 4:
            return None
        refused.append(request)
        return refusal(code, reason, "not now", **headers)

    with Proxy(control_plane.kubeconfig, tmp_path) as proxy:
        proxy.before = sometimes
        operator = start_operator(proxy.kubeconfig)
        own_pools.apply("patient", **CPU_ONLY, scheduling={"nodeSelector": nodes.selector})
        own_pools.wait("patient", "Ready", "True")
        assert len(refused) == 4
        assert alive(operator), operator.log
        assert len([each for each in proxy.requests if each.write]) < 60


@pytest.mark.parametrize(
    ("code", "reason", "headers"),
    [(500, "InternalError", {}), (429, "TooManyRequests", {"Retry-After": "1"})],
    ids=["500", "429"],
)
def test_what_is_refused_for_long_is_told_and_all_else_is_done(
    own_pools: Pools,
    control_plane: ControlPlane,
    nodes: Nodes,
    start_operator: Any,
    tmp_path: Path,
    code: int,
    reason: str,
    headers: dict[str, str],
) -> None:
    """As where an admission webhook is down."""
    nodes(1, cpus=16)
    said = 'failed calling webhook "validate.example.com"'

    async def budgets(request: Request) -> web.Response | None:
        return refusal(code, reason, said, **headers) if request.write and "/policy/" in request.path else None

    with Proxy(control_plane.kubeconfig, tmp_path) as proxy:
        proxy.before = budgets
        operator = start_operator(proxy.kubeconfig)
        own_pools.apply("held", **CPU_ONLY, scheduling={"nodeSelector": nodes.selector})
        found = own_pools.wait("held", "Progressing", "False", "ApiUnavailable")
        assert "apply PodDisruptionBudget held" in found["message"]
        assert said in found["message"]
        own_pools.wait("held", "Ready", "True")
        assert operator.metric("encoderfleet_pool_ready_replicas", pool="held") == 1
        until(lambda: operator.metric("encoderfleet_reconcile_errors_total") >= 3)
        assert operator.log.count(f"{said}; again") == (1 if headers else operator.log.count("again in"))
        proxy.before = nothing
        until(lambda: own_pools.get("pdb", "held"))
        own_pools.wait("held", "Progressing", "False", "Complete")


def role(control_plane: ControlPlane, name: str, rules: list[dict[str, Any]]) -> Path:
    """A kubeconfig of a user who may do just that, in the whole cluster."""
    objects = [
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": name},
            "rules": rules,
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
            "subjects": [{"kind": "User", "name": name}],
        },
    ]
    for each in objects:
        control_plane.kubectl("apply", "-f", "-", input=json.dumps(each))
    return control_plane.kubeconfig_for_user(name)


def rule(groups: str, resources: str, verbs: str = "get list watch create patch delete") -> dict[str, Any]:
    return {"apiGroups": groups.split(","), "resources": resources.split(), "verbs": verbs.split()}


ALL_BUT_SERVICES = [
    rule("encoderfleet.io", "encoderpools encoderpools/status encoderpools/scale"),
    rule("apps", "deployments daemonsets"),
    rule("", "serviceaccounts pods events nodes"),
    rule("", "services", "list watch"),
    rule("policy", "poddisruptionbudgets"),
    rule("networking.k8s.io", "networkpolicies"),
    rule("autoscaling", "horizontalpodautoscalers"),
]


def test_a_right_that_is_missing_is_named(
    own_pools: Pools, control_plane: ControlPlane, nodes: Nodes, start_operator: Any
) -> None:
    nodes(1, cpus=16)
    operator = start_operator(role(control_plane, "no-services", ALL_BUT_SERVICES))
    own_pools.apply("bound", **CPU_ONLY, scheduling={"nodeSelector": nodes.selector})
    found = own_pools.wait("bound", "Progressing", "False", "Forbidden")
    assert "get Service bound" in found["message"]
    assert "service account" in found["message"]
    own_pools.wait("bound", "Ready", "True")  # the rest is there
    (told,) = [each for each in own_pools.events("bound") if each["reason"] == "Forbidden"]
    assert told["type"] == "Warning"
    assert alive(operator), operator.log

    role(control_plane, "no-services", [*ALL_BUT_SERVICES, rule("", "services")])
    own_pools.kubectl("annotate", "encp", "bound", "look=again")
    until(lambda: own_pools.get("service", "bound"))


def test_without_the_right_to_read_pools_it_waits_and_says_so(
    own_pools: Pools, control_plane: ControlPlane, nodes: Nodes, start_operator: Any
) -> None:
    nodes(1, cpus=16)
    operator = start_operator(role(control_plane, "nobody-yet", []))
    until(lambda: "may not list and watch encoderpools" in operator.log)
    assert operator.get("/readyz")[0] == 503
    assert operator.get("/healthz")[0] == 200
    own_pools.apply("later", **CPU_ONLY, scheduling={"nodeSelector": nodes.selector})
    role(control_plane, "nobody-yet", [*ALL_BUT_SERVICES, rule("", "services")])
    own_pools.wait("later", "Ready", "True")


def test_a_role_that_lacks_a_kind_is_waited_for(
    own_pools: Pools, control_plane: ControlPlane, nodes: Nodes, start_operator: Any
) -> None:
    """As after an upgrade of the operator without its roles."""
    nodes(1, cpus=16)
    everything = [*ALL_BUT_SERVICES, rule("", "services")]
    lacking = [each for each in everything if "networkpolicies" not in each["resources"]]
    operator = start_operator(role(control_plane, "one-kind-behind", lacking))
    until(lambda: "may not list and watch networkpolicies in the namespace" in operator.get("/readyz")[1])
    assert operator.get("/readyz")[0] == 503
    assert "may not list and watch networkpolicies in the namespace" in operator.log
    own_pools.apply("behind", **CPU_ONLY, scheduling={"nodeSelector": nodes.selector})
    role(control_plane, "one-kind-behind", everything)
    own_pools.wait("behind", "Ready", "True")


def test_an_api_server_that_fails_while_the_operator_starts(
    own_pools: Pools, control_plane: ControlPlane, start_operator: Any, tmp_path: Path
) -> None:
    """Somewhere between its first question and its watches."""
    failed: list[str] = []

    async def later(request: Request) -> web.Response | None:
        if "daemonsets" not in request.path or request.watch or len(failed) == 1:
            return None
        failed.append(request.path)
        return web.Response(status=503, text="upstream is away")

    with Proxy(control_plane.kubeconfig, tmp_path) as proxy:
        proxy.before = later
        operator = start_operator(proxy.kubeconfig).wait_until_ready()
        assert len(failed) == 1
        assert "upstream is away; waiting" in operator.log


def test_tries_of_a_watch_have_no_end() -> None:
    backoffs = watch_settings(()).networking.error_backoffs
    assert isinstance(backoffs, Iterable)
    for _ in range(2):  # as for each request anew
        assert list(islice(backoffs, 9)) == [1, 2, 3, 5, 8, 13, 21, 30, 30]
    assert not isinstance(backoffs, Sized)  # kopf would count them
    assert next(islice(backoffs, 10_000, None)) == 30


def test_without_the_right_to_read_nodes_the_pool_says_its_cpus(
    own_pools: Pools, control_plane: ControlPlane, nodes: Nodes, start_operator: Any
) -> None:
    nodes(1, cpus=16)
    rules = [each for each in ALL_BUT_SERVICES if "nodes" not in each["resources"]]
    rules += [rule("", "serviceaccounts pods events services")]
    start_operator(role(control_plane, "no-nodes", rules))
    own_pools.apply("told", **CPU_ONLY, scheduling={"nodeSelector": nodes.selector})
    found = own_pools.wait("told", "ThreadsPlanned", "True", "FromResources")
    assert "nodes cannot be read" in found["message"]
    own_pools.wait("told", "Ready", "True")
    own_pools.apply("untold", scheduling={"nodeSelector": nodes.selector})
    found = own_pools.wait("untold", "ThreadsPlanned", "False", "NodesUnreadable")
    assert "set spec.resources.cpus" in found["message"]


def test_a_right_that_is_taken_away_while_it_runs(
    own_pools: Pools, control_plane: ControlPlane, nodes: Nodes, start_operator: Any
) -> None:
    nodes(1, cpus=16)
    everything = [*ALL_BUT_SERVICES, rule("", "services")]
    kubeconfig = role(control_plane, "robbed", everything)
    operator = start_operator(kubeconfig).wait_until_ready()
    own_pools.apply("kept", **CPU_ONLY, scheduling={"nodeSelector": nodes.selector})
    own_pools.wait("kept", "Ready", "True")
    role(control_plane, "robbed", [each for each in everything if "poddisruptionbudgets" not in each["resources"]])
    own_pools.patch("kept", rollout={"maxUnavailable": 2})
    found = own_pools.wait("kept", "Progressing", "False", "Forbidden")
    assert "PodDisruptionBudget kept" in found["message"]
    role(control_plane, "robbed", everything)
    own_pools.patch("kept", rollout={"maxUnavailable": 3})
    until(lambda: own_pools.get("pdb", "kept")["spec"]["maxUnavailable"] == 3)
    assert alive(operator), operator.log


def test_the_right_to_set_replicas_is_missing(
    own_pools: Pools, control_plane: ControlPlane, start_operator: Any
) -> None:
    everything = [*ALL_BUT_SERVICES, rule("", "services")]
    no_scale = [rule("encoderfleet.io", "encoderpools encoderpools/status"), *everything[1:]]
    operator = start_operator(
        role(control_plane, "no-scale", no_scale), ENCODERFLEET_SCALING_INTERVAL="2"
    ).wait_until_ready()
    own_pools.apply("stays", **CPU_ONLY, autoscaling={"mode": "Auto", "minReplicas": 2})
    found = own_pools.wait("stays", "ScalingActive", "False", "ScaleFailed")
    assert "patch EncoderPool stays/scale" in found["message"]
    assert "the right to patch encoderpools/scale" in found["message"]
    role(control_plane, "no-scale", everything)
    own_pools.wait("stays", "ScalingActive", "True", "Builtin")
    assert own_pools.get("encp", "stays")["spec"]["replicas"] == 2
    assert alive(operator), operator.log


def test_replicas_are_set_where_the_status_cannot_say_so(
    own_pools: Pools, control_plane: ControlPlane, start_operator: Any, tmp_path: Path
) -> None:
    with Proxy(control_plane.kubeconfig, tmp_path) as proxy:

        async def refuse(request: Request) -> web.Response | None:
            scaled = any(each.path.endswith("/scale") for each in proxy.requests)
            if scaled and request.method == "PATCH" and request.path.endswith("/status"):
                return refusal(403, "Forbidden", "not now")
            return None

        proxy.before = refuse
        operator = start_operator(proxy.kubeconfig, ENCODERFLEET_SCALING_INTERVAL="2").wait_until_ready()
        own_pools.apply("untold", **CPU_ONLY, autoscaling={"mode": "Auto", "minReplicas": 2})
        until(lambda: "status.lastScale does not say" in operator.log)
        assert own_pools.get("encp", "untold")["spec"]["replicas"] == 2
        assert "ScaledUp" in {each["reason"] for each in own_pools.events("untold")}
        # Somebody else may have written just before: then it is tried again.
        said = [line for line in operator.log.splitlines() if "the object has been modified" not in line]
        assert not any("not scaled" in line for line in said)


def test_a_definition_that_is_older_than_the_operator(
    own_pools: Pools, control_plane: ControlPlane, nodes: Nodes, start_operator: Any
) -> None:
    nodes(1, cpus=16)
    older = yaml.safe_load(DEFINITION.read_text())
    older["metadata"]["annotations"]["encoderfleet.io/schema"] = "an-older-one"
    try:
        control_plane.kubectl("apply", "--server-side", "-f", "-", input=yaml.safe_dump(older))
        operator = start_operator()
        own_pools.apply("dated", **CPU_ONLY, scheduling={"nodeSelector": nodes.selector})
        found = own_pools.wait("dated", "Progressing", "False", "DefinitionOutdated")
        assert "kubectl apply --server-side --force-conflicts -f crds/" in found["message"]
        own_pools.wait("dated", "Ready", "True")
        assert operator.metric("encoderfleet_definition_current") == 0
    finally:
        control_plane.kubectl("apply", "--server-side", "-f", str(DEFINITION))


def test_the_definition_comes_after_the_operator(control_plane: ControlPlane, tmp_path: Path) -> None:
    """In a cluster without it; here a namespace cannot lack it, so its group is asked for through a proxy."""
    with Proxy(control_plane.kubeconfig, tmp_path) as proxy:

        async def unknown(request: Request) -> web.Response | None:
            known = not request.path.startswith("/apis/encoderfleet.io")
            return None if known else refusal(404, "NotFound", "the server could not find the requested resource")

        proxy.before = unknown
        operator = OperatorProcess(proxy.kubeconfig, ("default",), tmp_path / "log")
        try:
            until(lambda: "kubectl apply --server-side --force-conflicts -f crds/" in operator.log)
            assert operator.get("/healthz")[0] == 200
            assert operator.get("/readyz")[0] == 503
        finally:
            operator.kill()


def test_it_ends_in_order_when_asked_to(own_pools: Pools, start_operator: Any) -> None:
    operator = start_operator().wait_until_ready()
    assert operator.stop() == 0
    assert "Traceback" not in operator.log


def test_it_ends_when_asked_to_while_its_watches_are_refused(
    own_pools: Pools, control_plane: ControlPlane, start_operator: Any, tmp_path: Path
) -> None:
    refused: list[str] = []

    async def watches(request: Request) -> web.Response | None:
        if not request.watch:
            return None
        refused.append(request.path)
        return refusal(403, "Forbidden", "not any more")

    with Proxy(control_plane.kubeconfig, tmp_path) as proxy:
        proxy.before = watches
        operator = start_operator(proxy.kubeconfig)
        until(lambda: len(refused) > 30)  # several times each
        operator.stop()


def test_nodes_that_a_pool_does_not_use_are_asked_nothing_of(
    own_pools: Pools, control_plane: ControlPlane, nodes: Nodes, start_operator: Any, tmp_path: Path
) -> None:
    nodes(1, cpus=32, labels={"node.kubernetes.io/instance-type": "large"})
    (small,) = nodes(1, cpus=16, labels={"node.kubernetes.io/instance-type": "small"})
    with Proxy(control_plane.kubeconfig, tmp_path) as proxy:
        start_operator(proxy.kubeconfig)
        own_pools.apply("thrifty", resources={"gpus": 0}, scheduling={"nodeSelector": nodes.selector})
        own_pools.wait("thrifty", "Progressing", "False", "Complete")
        asked = [each.query for each in proxy.requests if "spec.nodeName" in each.query]
        assert len(asked) == 1
        assert small not in asked[0]
        assert "resourceVersion=0" in asked[0]
        (event,) = [each for each in own_pools.events("thrifty") if each["reason"] == "Planned"]
        assert event["message"].startswith("large-")
