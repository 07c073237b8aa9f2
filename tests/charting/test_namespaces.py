"""An operator of one namespace: it serves that one, and touches nothing elsewhere."""

from tests.cluster.control_plane import ControlPlane
from tests.cluster.fixtures import Nodes

from charting import rights
from charting.chart import DEFINITION, Release, only, rules
from charting.conftest import MakeRelease, StartOperator
from operating.operator_process import Pools

READ_DEFINITION = rights.Right("apiextensions.k8s.io/customresourcedefinitions", "get")
READ_NODES = {rights.Right("nodes", verb) for verb in ("list", "watch")}
READ_DAEMONSETS = {rights.Right("apps/daemonsets", "list")}
"""Of all namespaces: asked for now and then, where a cluster-wide operator watches them."""


def asked_of_the_cluster(release: Release, namespace: str, before: int = 0) -> set[rights.Right]:
    """What the operator asked for beside its namespace, since so many requests."""
    happened = release.requests()[before:]
    unused = "never used: "
    assert [each for each in rights.problems(rules(release.objects), happened) if not each.startswith(unused)] == []
    cluster_role = only(release.objects, "ClusterRole")["rules"]
    idle = [each for each in rights.problems(cluster_role, happened) if each.startswith(unused)]
    assert [each for each in idle if "daemonsets" not in each] == []
    where = rights.scopes(happened)
    assert set(where) == {"", namespace}
    return {each for each in where[""] if each.what not in rights.EVERYBODY}


def test_a_namespace_is_served_by_a_role_in_it_and_nodes_may_stay_unread(
    control_plane: ControlPlane,
    make_release: MakeRelease,
    start_operator: StartOperator,
    nodes: Nodes,
    namespace: str,
) -> None:
    nodes(2, cpus=32, gpus=2)
    release = make_release()
    release.install(watchNamespaces=[namespace], nodes={"read": False})
    assert only(release.objects, "Role")["metadata"]["namespace"] == namespace
    (rule,) = only(release.objects, "ClusterRole")["rules"]
    assert rule["resourceNames"] == [DEFINITION]
    assert f"The operator serves EncoderPools of {namespace}." in release.notes
    assert f"kubectl delete encp --all --namespace {namespace}" in release.commands("kubectl delete")

    operator = start_operator(release).wait_until_ready()
    pools, elsewhere = Pools(control_plane, namespace), Pools(control_plane, release.namespace)
    scheduling = {"nodeSelector": nodes.selector}
    (apply,) = release.commands("kubectl apply -f -")
    release.typed(apply)
    pools.apply("unplanned", resources={"gpus": 1}, scheduling=scheduling)
    elsewhere.apply("unseen", resources={"gpus": 1, "cpus": 5}, scheduling=scheduling)
    pools.wait("vision", "Ready", "True")
    pools.wait("vision", "ThreadsPlanned", "True", "FromResources")
    pools.wait("unplanned", "ThreadsPlanned", "False", "NodesUnreadable")
    assert operator.stop() == 0
    assert asked_of_the_cluster(release, namespace) == {READ_DEFINITION}
    assert elsewhere.status("unseen") == {}

    # The same with nodes: nothing else of the cluster comes with them.
    release.upgrade(watchNamespaces=[namespace])
    before = len(release.requests())
    operator = start_operator(release).wait_until_ready()
    pools.wait("unplanned", "ThreadsPlanned", "True", "Planned")
    pools.wait("unplanned", "Ready", "True")
    assert operator.stop() == 0
    assert asked_of_the_cluster(release, namespace, before) - READ_DAEMONSETS == {READ_DEFINITION, *READ_NODES}
    assert elsewhere.status("unseen") == {}
