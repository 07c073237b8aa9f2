from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_operator.nodes.admission import NAME, Wishes, admits
from fleet_operator.nodes.fleet import Fleet, NodeClass
from fleet_operator.nodes.node import Node, Taint, read_node
from fleet_operator.nodes.requests import cpu_request, devices
from planning.clusters import GPU, a_fleet, a_node


@pytest.mark.parametrize(
    ("text", "cpus"),
    [
        ("32", "32"),
        ("31500m", "31.5"),
        ("1k", "1000"),
        ("0.5", "0.5"),
        ("2e1", "20"),
        (8, "8"),
        ("many", "0"),
        ("65536", "65536"),
        ("9E", "0"),
    ],
)
def test_allocatable_cpus_are_read_as_a_quantity(text: Any, cpus: str) -> None:
    body = a_node()
    body["status"]["allocatable"]["cpu"] = text
    assert read_node(body).cpus == Decimal(cpus)


@pytest.mark.parametrize(
    ("text", "size"),
    [("131919196Ki", 131919196 << 10), ("128Gi", 128 << 30), ("137438953472", 1 << 37), ("1e9", 10**9)],
)
def test_allocatable_memory_is_whole_bytes(text: str, size: int) -> None:
    assert read_node(a_node(memory=text)).memory == size


@pytest.mark.parametrize("amount", ["9E", "3000000000"])
def test_more_devices_than_any_node_has_are_none(amount: str) -> None:
    body = a_node()
    body["status"]["allocatable"][GPU] = amount
    assert read_node(body).devices == ()


@pytest.mark.parametrize("part", ["status", "spec"])
@pytest.mark.parametrize("empty", [None, {}, "missing"])
def test_a_node_that_says_little_of_itself_is_read(part: str, empty: Any) -> None:
    body = a_node(gpus=8)
    if empty == "missing":
        del body[part]
    else:
        body[part] = empty
    node = read_node(body)
    assert node.name == "n"
    assert node.taints == ()
    if part == "status":
        assert (node.cpus, node.memory, node.devices, node.usable) == (0, 0, (), False)


@pytest.mark.parametrize("part", ["allocatable", "conditions"])
def test_a_node_whose_status_is_not_filled_in_yet_has_nothing(part: str) -> None:
    body = a_node()
    body["status"][part] = None
    node = read_node(body)
    assert node.cpus == (0 if part == "allocatable" else 32)
    assert node.usable is (part == "allocatable")


@pytest.mark.parametrize(
    "key",
    [
        "node.kubernetes.io/not-ready",
        "node.kubernetes.io/unreachable",
        "node.kubernetes.io/unschedulable",
        "node.kubernetes.io/memory-pressure",
        "node.kubernetes.io/disk-pressure",
        "node.cloudprovider.kubernetes.io/uninitialized",
    ],
)
def test_a_taint_that_passes_is_not_what_a_node_is_for(key: str) -> None:
    passing = {"key": key, "effect": "NoSchedule"}
    lasting = {"key": "team", "value": "vision", "effect": "NoExecute"}
    assert read_node(a_node(taints=[passing, lasting])).taints == (Taint("team", "vision", "NoExecute"),)


def test_the_order_of_taints_makes_no_other_node() -> None:
    taints = [{"key": "b", "effect": "NoSchedule"}, {"key": "a", "value": "", "effect": "NoSchedule"}]
    assert read_node(a_node(taints=taints)) == read_node(a_node(taints=taints[::-1]))


def test_devices_are_extended_resources_that_are_there() -> None:
    resources = {
        GPU: "8",
        "amd.com/gpu": "0",
        "rdma/hca": "1k",
        "hugepages-1Gi": "4Gi",
        "attachable-volumes-csi-a": "25",
        "ephemeral-storage": "1Ti",
        "kubernetes.io/batch-cpu": "5",
    }
    assert read_node(a_node(**resources)).devices == ((GPU, 8), ("rdma/hca", 1000))


@pytest.mark.parametrize(
    ("ready", "cordoned", "usable"), [(True, False, True), (False, False, False), (True, True, False)]
)
def test_pods_start_on_nodes_that_are_ready_and_not_cordoned(ready: bool, cordoned: bool, usable: bool) -> None:
    assert read_node(a_node(ready=ready, cordoned=cordoned)).usable is usable


def wishes(
    selector: Mapping[str, str] | None = None,
    terms: Iterable[Mapping[str, Any]] | None = None,
    tolerations: Iterable[Mapping[str, Any]] = (),
) -> Wishes:
    """Of a pod; `terms` are those of its required node affinity."""
    affinity = {}
    if terms is not None:
        affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}
    return Wishes(selector or {}, affinity, list(tolerations))


def takes(asked: Wishes, labels: Mapping[str, str] | None = None, taints: Iterable[Mapping[str, str]] = ()) -> bool:
    """Whether a node called `n` with these labels and taints takes the pod, looked at as the operator does."""
    fleet = a_fleet([a_node(labels=labels, taints=list(taints))], asked.keys())
    (kind,) = fleet.classes
    return admits(dict(kind.labels), kind.taints, asked)


@pytest.mark.parametrize(
    ("selector", "admitted"),
    [
        ({}, True),
        ({"zone": "a"}, True),
        ({"zone": "b"}, False),
        ({"zone": "a", "disk": "ssd"}, True),
        ({"zone": "a", "disk": "hdd"}, False),
        ({"zone": ""}, False),
        ({"missing": "a"}, False),
        ({"missing": ""}, False),
        ({"empty": ""}, True),
    ],
)
def test_a_node_selector_wants_all_of_its_labels(selector: dict[str, str], admitted: bool) -> None:
    assert takes(wishes(selector), {"zone": "a", "disk": "ssd", "empty": ""}) is admitted


@pytest.mark.parametrize(
    ("key", "operator", "values", "admitted"),
    [
        ("zone", "In", ["a", "b"], True),
        ("zone", "In", ["b"], False),
        ("zone", "In", [], False),
        ("missing", "In", ["a"], False),
        ("empty", "In", [""], True),
        ("zone", "NotIn", ["b"], True),
        ("zone", "NotIn", ["a"], False),
        ("missing", "NotIn", ["a"], True),
        ("zone", "Exists", [], True),
        ("empty", "Exists", [], True),
        ("missing", "Exists", [], False),
        ("zone", "DoesNotExist", [], False),
        ("empty", "DoesNotExist", [], False),
        ("missing", "DoesNotExist", [], True),
        ("cores", "Gt", ["31"], True),
        ("cores", "Gt", ["32"], False),
        ("cores", "Gt", ["9"], True),
        ("cores", "Lt", ["33"], True),
        ("cores", "Lt", ["32"], False),
        ("cores", "Lt", ["100"], True),
        ("negative", "Lt", ["0"], True),
        ("missing", "Gt", ["-1"], False),
        ("missing", "Lt", ["1"], False),
        ("zone", "Gt", ["1"], False),
        ("cores", "Gt", [], False),
        ("cores", "Gt", ["many"], False),
        # Python would read these as numbers, Go does not.
        ("grouped", "Gt", ["1"], False),
        ("cores", "Gt", ["1_0"], False),
        ("huge", "Gt", ["1"], False),
        ("zone", "Like", ["a"], False),
    ],
)
def test_an_expression_holds_as_the_scheduler_has_it(
    key: str, operator: str, values: list[str], admitted: bool
) -> None:
    labels = {"zone": "a", "cores": "32", "empty": "", "negative": "-4", "grouped": "1_000", "huge": "9" * 19}
    expression = {"key": key, "operator": operator, **({"values": values} if values else {})}
    assert takes(wishes(terms=[{"matchExpressions": [expression]}]), labels) is admitted


@pytest.mark.parametrize(
    ("field", "operator", "name", "admitted"),
    [
        ("metadata.name", "In", "n", True),
        ("metadata.name", "In", "m", False),
        ("metadata.name", "NotIn", "n", False),
        ("metadata.name", "NotIn", "m", True),
    ],
)
def test_a_field_of_a_node_is_its_name(field: str, operator: str, name: str, admitted: bool) -> None:
    expression = {"key": field, "operator": operator, "values": [name]}
    assert takes(wishes(terms=[{"matchFields": [expression]}])) is admitted


def test_a_label_that_is_called_as_a_field_is_not_the_field() -> None:
    asked = {"key": "metadata.name", "operator": "In", "values": ["n"]}
    assert not takes(wishes(terms=[{"matchExpressions": [asked]}]))
    other = {"metadata.name": "other"}
    assert takes(wishes(terms=[{"matchFields": [asked]}]), other)
    assert not takes(wishes({"metadata.name": "n"}), other)


IN_A = {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}
IN_B = {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["b"]}]}
SSD = {"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]}
NAMED = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n"]}]}


@pytest.mark.parametrize(
    ("terms", "admitted"),
    [
        (None, True),
        ([], False),
        ([{}], False),
        ([{"matchExpressions": [], "matchFields": []}], False),
        ([{"matchExpressions": None}], False),
        ([IN_A], True),
        ([IN_B], False),
        ([IN_B, IN_A], True),
        ([{}, IN_A], True),
        ([{}, IN_B], False),
        ([IN_A | NAMED], True),
        ([IN_B | NAMED], False),
        ([{"matchExpressions": IN_A["matchExpressions"] + SSD["matchExpressions"]}], False),
        ([IN_A, SSD], True),
    ],
)
def test_one_of_the_terms_must_match_whole(terms: list[Any] | None, admitted: bool) -> None:
    assert takes(wishes(terms=terms), {"zone": "a"}) is admitted


def test_selector_and_affinity_must_both_be_met() -> None:
    assert takes(wishes({"disk": "ssd"}, [IN_A]), {"zone": "a", "disk": "ssd"})
    assert not takes(wishes({"disk": "ssd"}, [IN_A]), {"zone": "a"})
    assert not takes(wishes({"disk": "ssd"}, [IN_A]), {"disk": "ssd"})


def test_affinity_that_is_preferred_keeps_no_node_out() -> None:
    preferred = {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "preference": IN_B}]}
    asked = Wishes({}, {"nodeAffinity": preferred, "podAntiAffinity": {}}, ())
    assert takes(asked, {"zone": "a"})


@pytest.mark.parametrize("empty", [{}, {"nodeAffinity": None}, {"nodeAffinity": {}}])
def test_no_affinity_asks_for_nothing(empty: dict[str, Any]) -> None:
    assert takes(Wishes({}, empty, ()))


@pytest.mark.parametrize(
    ("toleration", "tolerated"),
    [
        ({}, False),
        ({"operator": "Exists"}, True),
        ({"key": "", "operator": "Exists"}, True),
        ({"operator": "Exists", "effect": "NoSchedule"}, True),
        ({"operator": "Exists", "effect": "NoExecute"}, False),
        ({"operator": "Equal", "value": "vision"}, False),
        ({"key": "team", "operator": "Exists"}, True),
        ({"key": "other", "operator": "Exists"}, False),
        ({"key": "team", "operator": "Exists", "effect": ""}, True),
        ({"key": "team", "operator": "Exists", "effect": "PreferNoSchedule"}, False),
        ({"key": "team", "value": "vision"}, True),
        ({"key": "team", "operator": "Equal", "value": "vision", "effect": "NoSchedule"}, True),
        ({"key": "team", "operator": "Equal", "value": "vision", "effect": "NoExecute"}, False),
        ({"key": "team", "operator": "Equal", "value": "speech"}, False),
        ({"key": "team", "operator": "Equal"}, False),
        ({"key": "team"}, False),
        ({"key": "team", "operator": "Exists", "effect": "NoSchedule", "tolerationSeconds": 5}, True),
        ({"key": "team", "operator": "Sometimes", "value": "vision"}, False),
    ],
)
def test_a_taint_is_tolerated_as_the_scheduler_has_it(toleration: dict[str, Any], tolerated: bool) -> None:
    taint = {"key": "team", "value": "vision", "effect": "NoSchedule"}
    assert takes(wishes(tolerations=[toleration]), taints=[taint]) is tolerated


@pytest.mark.parametrize(
    ("operator", "value", "tolerated"),
    [
        ("Gt", "4", True),
        ("Gt", "5", False),
        ("Lt", "6", True),
        ("Lt", "5", False),
        ("Lt", "many", False),
        ("Gt", "", False),
    ],
)
def test_a_taint_that_is_a_number_is_compared_as_one(operator: str, value: str, tolerated: bool) -> None:
    asked = wishes(tolerations=[{"key": "tier", "operator": operator, "value": value}])
    assert takes(asked, taints=[{"key": "tier", "value": "5", "effect": "NoSchedule"}]) is tolerated


@pytest.mark.parametrize(
    ("effect", "admitted"), [("NoSchedule", False), ("NoExecute", False), ("PreferNoSchedule", True)]
)
def test_only_a_taint_that_forbids_keeps_pods_away(effect: str, admitted: bool) -> None:
    assert takes(wishes(), taints=[{"key": "a", "effect": effect}]) is admitted


def test_every_taint_must_be_tolerated() -> None:
    taints = [{"key": "a", "effect": "NoSchedule"}, {"key": "b", "value": "1", "effect": "NoExecute"}]
    one = {"key": "a", "operator": "Exists"}
    assert not takes(wishes(tolerations=[one]), taints=taints)
    assert takes(wishes(tolerations=[one, {"key": "b", "value": "1"}]), taints=taints)
    assert takes(wishes(tolerations=[{"key": "a"}, {"key": "b", "value": "1"}]), taints=taints)


@pytest.mark.parametrize(
    ("spec", "cpus"),
    [
        ({}, "0"),
        ({"containers": [{"resources": {"requests": {"cpu": "500m"}}}, {}]}, "0.5"),
        ({"containers": [{"resources": {"limits": {"cpu": "2"}}}]}, "2"),
        ({"containers": [{"resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "2"}}}]}, "1"),
        ({"containers": [{"cpu": 1}, {"cpu": 2}], "initContainers": [{"cpu": 5}, {"cpu": 4}]}, "5"),
        ({"containers": [{"cpu": 3}], "initContainers": [{"cpu": 1}]}, "3"),
        ({"containers": [{"cpu": 1}], "overhead": {"cpu": "250m"}}, "1.25"),
        # A sidecar runs beside the containers, and beside the init containers after it.
        ({"containers": [{"cpu": 1}], "initContainers": [{"cpu": 2, "restartPolicy": "Always"}]}, "3"),
        ({"containers": [{"cpu": 1}], "initContainers": [{"cpu": 2, "restartPolicy": "Always"}, {"cpu": 3}]}, "5"),
        ({"containers": [{"cpu": 1}], "initContainers": [{"cpu": 3}, {"cpu": 2, "restartPolicy": "Always"}]}, "3"),
        # What a pod asks for as a whole counts in place of its containers' sum.
        ({"containers": [{"cpu": 1}], "resources": {"requests": {"cpu": "4"}}, "overhead": {"cpu": "1"}}, "5"),
        ({"containers": [{"cpu": 1}], "resources": {"limits": {"memory": "1Gi"}}}, "1"),
    ],
)
def test_a_pod_holds_what_the_scheduler_counts(spec: dict[str, Any], cpus: str) -> None:
    for each in (*spec.get("containers", ()), *spec.get("initContainers", ())):
        if "cpu" in each:
            each["resources"] = {"requests": {"cpu": str(each["cpu"])}}
    assert cpu_request(spec) == Decimal(cpus)


def test_devices_of_a_pod_are_its_extended_resources() -> None:
    containers = [{"resources": {"limits": {GPU: "1", "cpu": "4"}}}, {}, {"resources": {"limits": {"rdma/hca": "1"}}}]
    assert devices({"containers": containers}) == {GPU, "rdma/hca"}


def test_nodes_that_are_alike_are_one_class() -> None:
    fleet = a_fleet([a_node("a", labels={"zone": "x"}), a_node("b", labels={"zone": "y"}), a_node("c", cpu=16)])
    assert sorted(map(list, fleet.classes.values())) == [["a", "b"], ["c"]]


def test_a_heartbeat_changes_nothing() -> None:
    fleet = a_fleet([a_node("a")])
    again = a_node("a")
    again["metadata"]["resourceVersion"] = "77"
    again["status"]["conditions"][0]["lastHeartbeatTime"] = "2026-01-01T00:00:00Z"
    again["status"]["images"] = [{"names": ["x"]}]
    again["metadata"]["labels"]["nobody"] = "asks"
    assert fleet.put(read_node(again)) == ()


@pytest.mark.parametrize(
    "change",
    [
        {"cpu": 31},
        {"gpus": 1},
        {"ready": False},
        {"cordoned": True},
        {"labels": {"zone": "y"}},
        {"taints": [{"key": "a", "effect": "NoSchedule"}]},
    ],
)
def test_what_matters_moves_a_node_to_another_class(change: dict[str, Any]) -> None:
    fleet = a_fleet([a_node("a", labels={"zone": "x"}), a_node("b", labels={"zone": "x"})], ["zone"])
    (before,) = fleet.classes
    left, joined = fleet.put(read_node(a_node("a", **{"labels": {"zone": "x"}, **change})))
    assert left == before
    assert {kind: list(names) for kind, names in fleet.classes.items()} == {before: ["b"], joined: ["a"]}


def test_a_label_is_looked_at_from_when_somebody_asks_for_it() -> None:
    fleet = a_fleet([a_node("a", labels={"zone": "x"}), a_node("b", labels={"zone": "y"})])
    assert len(fleet.classes) == 1
    assert fleet.look_at(["zone"]) is True
    assert {kind.labels for kind in fleet.classes} == {(("zone", "x"),), (("zone", "y"),)}
    assert fleet.look_at(["zone"]) is False


def test_a_node_that_is_gone_leaves_its_class() -> None:
    fleet = a_fleet([a_node("a")])
    (kind,) = fleet.classes
    assert fleet.remove("a") == (kind,)
    assert len(fleet) == 0
    assert not fleet.classes
    assert fleet.remove("a") == ()


NODES = st.builds(
    a_node,
    st.sampled_from("abcde"),
    cpu=st.sampled_from([16, 32]),
    gpus=st.sampled_from([0, 8]),
    labels=st.dictionaries(st.sampled_from(["zone", "type"]), st.sampled_from(["x", "y", ""])),
    taints=st.lists(st.sampled_from([{"key": "t", "effect": "NoSchedule"}]), max_size=1),
    cordoned=st.booleans(),
)
STEPS = st.lists(
    st.tuples(st.just("put"), NODES.map(read_node))
    | st.tuples(st.just("remove"), st.sampled_from("abcde"))
    | st.tuples(st.just("look_at"), st.lists(st.sampled_from(["zone", "type", NAME]), max_size=2)),
    max_size=30,
)


def recounted(nodes: Iterable[Node], keys: set[str]) -> dict[NodeClass, set[str]]:
    """Classes of all nodes, from nothing."""
    result: dict[NodeClass, set[str]] = {}
    for node in nodes:
        labels = {**node.labels, NAME: node.name}
        seen = tuple(sorted((key, labels[key]) for key in keys if key in labels))
        kind = NodeClass(seen, node.taints, node.cpus, node.devices, node.usable)
        result.setdefault(kind, set()).add(node.name)
    return result


@given(STEPS)
def test_after_any_changes_the_classes_are_those_of_a_recount(steps: list[tuple[str, Any]]) -> None:
    fleet, nodes, keys = Fleet(), dict[str, Node](), set[str]()
    for step, value in steps:
        before = recounted(nodes.values(), keys)
        changed: Iterable[NodeClass] = ()
        if step == "put":
            nodes[value.name] = value
            changed = fleet.put(value)
        elif step == "remove":
            nodes.pop(value, None)
            changed = fleet.remove(value)
        else:
            assert fleet.look_at(value) is not keys.issuperset(value)
            keys.update(value)
        after = recounted(nodes.values(), keys)
        assert {kind: set(names) for kind, names in fleet.classes.items()} == after
        assert len(fleet) == len(nodes)
        assert set(fleet.names()) == set(nodes)
        if step != "look_at":
            assert set(changed) == {kind for kind in before | after if before.get(kind) != after.get(kind)}
