"""The operator does all that it can, with the rights that the chart gives it: they are enough, and none is too much."""

from tests.cluster import kwok
from tests.cluster.control_plane import ControlPlane
from tests.cluster.fixtures import Nodes

from charting import rights
from charting.chart import rules
from charting.conftest import MakeRelease, StartOperator
from charting.encoders import serving
from charting.rights import Right
from operating.operator_process import OperatorProcess, Pools, until


def make_pools(pools: Pools, nodes: Nodes) -> None:
    """A pool for each option that makes an object of its own, and one whose pods' status is the test's to write."""
    some = {"resources": {"gpus": 0, "cpus": 2}, "scheduling": {"nodeSelector": nodes.selector}}
    everybody = {"networkPolicy": {"mode": "Restrict"}, "monitoring": {"podMonitor": "Auto"}}
    pools.apply("hpa", autoscaling={"mode": "Auto", "backend": "HPA"}, **everybody, **some)
    address = "http://prometheus.monitoring:9090"
    pools.apply("keda", autoscaling={"mode": "Auto", "backend": "KEDA", "prometheusAddress": address}, **some)
    pools.apply("builtin", autoscaling={"mode": "Auto", "minReplicas": 2}, **some)
    consumers = [{"service": {"name": "hpa"}}, {"selector": {"matchLabels": {"app": "vlm"}}}]
    pools.apply("consumed", consumers=consumers, **some)
    pools.apply("shrinks", replicas=2, podTemplate={"annotations": kwok.CUSTOM}, **some)
    # Somebody else's object has the name of the pool's.
    pools.kubectl("create", "service", "clusterip", "taken", "--tcp=80")
    pools.apply("taken", **some)
    for name in ("hpa", "keda", "builtin"):
        pools.wait(name, "Ready", "True")
    pools.wait("taken", "Progressing", "False", "NameTaken")
    pools.wait("consumed", "ConsumersRegistered", "False")


def turn_all_off(pools: Pools) -> None:
    """What pools have no use for any more is deleted."""
    off = {"networkPolicy": {"mode": "Off"}, "monitoring": {"podMonitor": "Off"}, "autoscaling": {"mode": "Off"}}
    for name in ("hpa", "keda"):
        pools.patch(name, **off)
    for kind in ("networkpolicy", "horizontalpodautoscaler", "podmonitor", "scaledobject"):
        until(lambda kind=kind: not pools.all(kind, "encoderfleet.io/pool in (hpa, keda)"))
    pools.patch("keda", replicas=0)
    until(lambda: not pools.deployments("keda"))


def take_children_away(pools: Pools) -> None:
    """What somebody deletes comes back."""
    (deployment,) = pools.deployments("hpa")
    before = [("deployment", deployment["metadata"]["name"])]
    before += [(kind, "hpa") for kind in ("service", "serviceaccount", "poddisruptionbudget")]
    for kind, name in before:
        pools.kubectl("delete", kind, name, "--wait=false")
    for kind, name in before:
        until(lambda kind=kind, name=name: pools.get(kind, name))


def shrink(pools: Pools, operator: OperatorProcess) -> None:
    """The idlest pods go first, and are marked for that."""
    with serving(pools, "shrinks"):
        until(lambda: operator.metric("encoderfleet_scrapes_total", outcome="ok") >= 4)
        pools.patch("shrinks", replicas=1)
        until(lambda: len(pools.all("pods", "encoderfleet.io/pool=shrinks")) == 1)


def test_the_roles_of_the_whole_cluster_are_what_the_operator_asks_for(
    control_plane: ControlPlane,
    make_release: MakeRelease,
    start_operator: StartOperator,
    nodes: Nodes,
    namespace: str,
) -> None:
    nodes(2, cpus=32)
    release = make_release()
    release.install(scaling={"intervalSeconds": 2})
    operator = start_operator(release).wait_until_ready()
    pools = Pools(control_plane, namespace)
    make_pools(pools, nodes)
    until(lambda: pools.get("encp", "builtin")["spec"]["replicas"] == 2)
    pools.patch("builtin", lifecycle={"drainSeconds": 7})
    shrink(pools, operator)
    take_children_away(pools)
    turn_all_off(pools)
    other = Pools(control_plane, release.namespace)
    other.apply("elsewhere", resources={"gpus": 0, "cpus": 2}, scheduling={"nodeSelector": nodes.selector})
    other.wait("elsewhere", "Ready", "True")
    other.kubectl("delete", "encp", "elsewhere")
    assert operator.stop() == 0

    happened = release.requests()
    assert rights.problems(rules(release.objects), happened) == []

    where = rights.scopes(happened)
    assert set(where) == {"", namespace, release.namespace}
    # Watches are the cluster's, however many namespaces have pools; writes are in the namespaces of pools. There a pool
    # is looked up before its children are made, and language servers are looked for where they are.
    there = where[namespace] | where[release.namespace]
    looked = {Right("encoderfleet.io/encoderpools", "list"), Right("pods", "list")}
    assert {each for each in there if each.verb in ("list", "watch")} == looked
    assert {each.what for each in where[""] if each.verb not in ("get", "list", "watch")} == rights.EVERYBODY
