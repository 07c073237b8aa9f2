import re
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_operator.nodes.node import read_node
from fleet_operator.nodes.shapes import ANY, shape_name, shapes
from fleet_operator.observed.mirror import Mirror
from fleet_operator.specs.names import deployment_name
from planning.clusters import GPU, GPU_TAINT, TYPE, a_daemon, a_node, shapes_for
from planning.pools import a_pool


def a_typed(kind: str, name: str = "", **fields: Any) -> dict[str, Any]:
    """A node of an instance type."""
    return a_node(name or kind, labels={TYPE: kind, **fields.pop("labels", {})}, **fields)


def chosen(pool_spec: dict[str, Any], *nodes: dict[str, Any]) -> list[str]:
    """Instance types of the nodes that a pool may use."""
    return sorted(str(dict(shape.labels)[TYPE]) for shape in shapes_for(a_pool(**pool_spec), nodes))


CPU, ONE, FOUR, EIGHT = a_typed("cpu"), a_typed("one", gpus=1), a_typed("four", gpus=4), a_typed("eight", gpus=8)


@pytest.mark.parametrize(
    ("gpus", "nodes", "expected"),
    [
        (None, [CPU, FOUR, EIGHT], ["eight", "four"]),
        (None, [CPU], ["cpu"]),
        (None, [ONE], ["one"]),
        (0, [CPU, FOUR], ["cpu"]),
        (0, [FOUR, EIGHT], ["eight", "four"]),
        (1, [CPU, ONE, EIGHT], ["eight", "one"]),
        (1, [CPU], []),
        (4, [CPU, ONE, FOUR, EIGHT], ["eight", "four"]),
        (8, [ONE, FOUR], []),
        (None, [], []),
    ],
)
def test_gpus_of_a_replica_choose_its_nodes(gpus: int | None, nodes: list[Any], expected: list[str]) -> None:
    resources = {} if gpus is None else {"gpus": gpus}
    assert chosen({"resources": resources}, *nodes) == expected


def test_a_gpu_has_the_name_that_the_pool_says() -> None:
    other = a_typed("other", **{"amd.com/gpu": "4"})
    (shape,) = shapes_for(a_pool(resources={"gpus": 1, "gpuResource": "amd.com/gpu"}), [EIGHT, other])
    assert (shape.gpus, dict(shape.labels)[TYPE]) == (4, "other")


def test_a_node_that_does_not_tell_its_cpus_is_none() -> None:
    silent = a_typed("silent")
    silent["status"] = {}
    assert chosen({}, silent, a_typed("small", cpu="900m")) == []


@pytest.mark.parametrize(
    ("gpus", "expected"),
    [(None, ["eight"]), (0, ["cpu"]), (1, ["eight"])],
)
def test_pools_that_want_gpus_alone_tolerate_their_taint(gpus: int | None, expected: list[str]) -> None:
    tainted = a_typed("eight", gpus=8, taints=[GPU_TAINT])
    assert chosen({"resources": {} if gpus is None else {"gpus": gpus}}, CPU, tainted) == expected
    if gpus == 0:
        assert chosen({"resources": {"gpus": 0}}, tainted) == []


def test_a_node_whose_gpus_are_not_there_yet_is_no_node_without() -> None:
    coming = a_typed("coming", taints=[GPU_TAINT])
    assert chosen({}, coming) == []
    assert chosen({}, coming, CPU) == ["cpu"]


def test_another_taint_keeps_the_pool_away_until_it_is_tolerated() -> None:
    tainted = a_typed("team", taints=[{"key": "team", "value": "a", "effect": "NoSchedule"}])
    assert chosen({}, tainted) == []
    tolerations = [{"key": "team", "operator": "Exists"}]
    assert chosen({"scheduling": {"tolerations": tolerations}}, tainted) == ["team"]


def test_node_selector_and_affinity_of_the_pool_choose_too() -> None:
    near, far = a_typed("near", labels={"zone": "a"}), a_typed("far", labels={"zone": "b"})
    assert chosen({"scheduling": {"nodeSelector": {"zone": "a"}}}, near, far) == ["near"]
    term = {"matchExpressions": [{"key": "zone", "operator": "NotIn", "values": ["a"]}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    assert chosen({"scheduling": {"affinity": {"nodeAffinity": required}}}, near, far) == ["far"]


def test_a_shape_has_what_the_least_of_its_nodes_has() -> None:
    nodes = [
        a_typed("a", "a-0", cpu=32, gpus=8),
        a_typed("a", "a-1", cpu="31500m", gpus=7),
        a_typed("a", "a-2", cpu=64, gpus=8, cordoned=True),
    ]
    (shape,) = shapes_for(a_pool(), nodes)
    assert (shape.cpus, shape.gpus) == (Decimal("31.5"), 7)
    assert (shape.nodes, shape.usable) == (3, 2)
    assert set(shape.some) == {"a-0", "a-1", "a-2"}


def test_a_few_nodes_of_a_shape_are_named_however_many_there_are() -> None:
    (shape,) = shapes_for(a_pool(), [a_typed("a", f"a-{n}", cpu=30 + n % 9) for n in range(50)])
    assert shape.nodes == 50
    assert 0 < len(shape.some) <= 8


@pytest.mark.parametrize(
    ("daemons", "held"),
    [
        ([], "0"),
        ([a_daemon("0.25"), a_daemon(2)], "2.25"),
        ([a_daemon(2, selector={"gpu": "yes"})], "2"),
        ([a_daemon(2, selector={"gpu": "no"})], "0"),
        (
            [
                a_daemon(
                    1,
                    affinity={
                        "nodeAffinity": {
                            "requiredDuringSchedulingIgnoredDuringExecution": {
                                "nodeSelectorTerms": [{"matchExpressions": [{"key": "gpu", "operator": "Exists"}]}]
                            }
                        }
                    },
                )
            ],
            "1",
        ),
    ],
)
def test_daemon_sets_hold_cpus_of_the_nodes_that_take_them(daemons: list[Any], held: str) -> None:
    (shape,) = shapes_for(a_pool(), [a_typed("a", labels={"gpu": "yes"})], daemons)
    assert shape.held == Decimal(held)


def test_a_daemon_set_that_tolerates_no_taint_is_not_on_tainted_nodes() -> None:
    tainted = a_typed("a", gpus=8, taints=[GPU_TAINT])
    (shape,) = shapes_for(a_pool(), [tainted], [a_daemon(2), a_daemon(1, tolerations=[{"operator": "Exists"}])])
    assert shape.held == 1


def test_the_node_with_the_most_daemon_sets_counts() -> None:
    nodes = [a_typed("a", "a-0", labels={"log": "yes"}), a_typed("a", "a-1")]
    (shape,) = shapes_for(a_pool(), nodes, [a_daemon(1), a_daemon(3, selector={"log": "yes"})])
    assert shape.held == 4


def daemon_object(cpu: str, **selector: str) -> dict[str, Any]:
    container = {"name": "a", "resources": {"requests": {"cpu": cpu}}}
    template = {"spec": {"containers": [container], "nodeSelector": selector}}
    return {"metadata": {"namespace": "kube-system", "name": "agent"}, "spec": {"template": template}}


def test_labels_that_a_daemon_set_asks_for_are_looked_at() -> None:
    mirror = Mirror()
    mirror.put_node(a_node("a", labels={"log": "yes"}))
    mirror.put_node(a_node("b"))
    assert mirror.put_daemon(daemon_object("2", log="yes")) is True
    (shape,) = shapes(a_pool().spec, mirror.fleet.classes, mirror.daemons)
    assert shape.held == 2


def test_a_daemon_set_matters_where_it_holds_or_held_cpus() -> None:
    mirror = Mirror()
    assert mirror.put_daemon(daemon_object("0", log="yes")) is False
    assert mirror.put_daemon(daemon_object("1", log="yes")) is True
    assert mirror.put_daemon(daemon_object("1", log="yes")) is False
    assert mirror.put_daemon(daemon_object("0", log="yes")) is True
    assert mirror.remove_daemon("kube-system", "agent") is False


SHAPE_LABELS = st.lists(
    st.tuples(
        st.sampled_from([TYPE, "nvidia.com/gpu.product", "pool"]),
        st.none() | st.from_regex(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?", fullmatch=True),
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda each: each[0],
).map(tuple)


@given(SHAPE_LABELS)
def test_a_shape_is_called_by_a_name_that_a_label_and_a_deployment_may_have(labels: Any) -> None:
    name = shape_name(labels)
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", name)
    assert len(name) <= 30
    assert len(deployment_name("p" * 50, name)) <= 253
    assert shape_name(labels) == name


@given(st.lists(SHAPE_LABELS, min_size=2, max_size=12))
def test_shapes_of_different_labels_have_different_names(several: list[Any]) -> None:
    different = {labels for labels in several if any(value is not None for _, value in labels)}
    assert len({shape_name(labels) for labels in different} | {ANY}) == len(different) + 1


@pytest.mark.parametrize(
    ("labels", "pattern"),
    [
        ((), "any"),
        (((TYPE, None), ("gpu", None)), "any"),
        (((TYPE, "p5.48xlarge"), ("gpu", "NVIDIA-H100-80GB-HBM3")), r"p5-48xlarge-nvidia-h100-[0-9a-f]{5}"),
        (((TYPE, "c7i.4xlarge"), ("gpu", None)), r"c7i-4xlarge-[0-9a-f]{5}"),
        # Cut between words, and inside of one where it is longer than all that there is room for.
        (((TYPE, "a2-ultragpu-1g"), ("gpu", "NVIDIA-A100-SXM4-80GB")), r"a2-ultragpu-1g-nvidia-[0-9a-f]{5}"),
        (((TYPE, "g2-standard-48"), ("gpu", "NVIDIA-L4")), r"g2-standard-48-nvidia-l4-[0-9a-f]{5}"),
        (((TYPE, "g2-standard-48"), ("gpu", "NVIDIA-L40")), r"g2-standard-48-nvidia-[0-9a-f]{5}"),
        (((TYPE, "x" * 40),), r"x{24}-[0-9a-f]{5}"),
        (((TYPE, "---"),), r"[0-9a-f]{5}"),
        (((TYPE, ""),), r"[0-9a-f]{5}"),
    ],
)
def test_a_name_says_what_the_nodes_are(labels: Any, pattern: str) -> None:
    assert re.fullmatch(pattern, shape_name(labels))


def test_names_stay_as_they_are_from_version_to_version() -> None:
    # Deployments are called by them: another name would be other pods.
    assert shape_name(((TYPE, "p5.48xlarge"), ("nvidia.com/gpu.product", None))) == "p5-48xlarge-ff1bf"


def test_a_label_without_a_value_is_not_a_label_that_is_missing() -> None:
    pool = a_pool(scheduling={"shapeLabels": ["role"]})
    some, others = shapes_for(pool, [a_node("a", labels={"role": ""}), a_node("b")])
    assert (some.nodes, others.nodes) == (1, 1)
    assert some.name != others.name


def test_without_shape_labels_all_nodes_are_one_shape() -> None:
    (shape,) = shapes_for(a_pool(scheduling={"shapeLabels": []}), [CPU, a_typed("other", cpu=8)])
    assert (shape.name, shape.labels, shape.cpus) == (ANY, (), Decimal(8))


def test_shapes_come_in_the_order_of_their_names_whatever_the_order_of_nodes() -> None:
    nodes = [read_node(each) for each in (FOUR, ONE, EIGHT)]
    forwards, backwards = shapes_for(a_pool(), nodes), shapes_for(a_pool(), nodes[::-1])
    assert forwards == backwards
    assert [shape.name for shape in forwards] == sorted(shape.name for shape in forwards)


def test_the_resource_that_a_pool_asks_for_is_what_it_tolerates() -> None:
    taint = {"key": "amd.com/gpu", "effect": "NoSchedule"}
    node = a_typed("amd", taints=[taint], **{"amd.com/gpu": "2"})
    assert chosen({"resources": {"gpus": 1, "gpuResource": "amd.com/gpu"}}, node) == ["amd"]
    assert chosen({"resources": {"gpus": 1, "gpuResource": GPU}}, node) == []
