"""Of thousands of pools, the API server and the reader of pool files take the same ones.

What the one takes and the other refuses is a pool that a cluster accepts and its operator cannot read, or one that
works on a laptop and not in the cluster.
"""

import copy
import itertools
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from kubernetes import client, config
from tests.cluster.control_plane import ControlPlane

from defining.test_schema import NODES
from fleet_operator.api import EncoderPool, PoolError
from fleet_operator.api.load import read_pool
from fleet_operator.api.schema import walk

Pool = dict[str, Any]
Judge = Callable[[Pool], str]

THREADS = 16
GENERIC: list[Any] = [None, True, 0, 1, -1, 2**63, 1.5, "", "a", [], ["a"], [None], {}, {"a": "b"}, {"a": None}, [{}]]
TEXTS = ["A", "1", " ", "a ", "a\n", "\n", "ä", "日本", "\x7f", "a/b", "a/b/c", "/a", "a/", "..", "../a", "a.b", "a..b"]
TEXTS += [
    "a_b",
    "-a",
    "a-",
    "a--b",
    "*",
    "*.a.b",
    "a.*",
    "a:80",
    "::1",
    "[::1]",
    "fe80::1%eth0",
    "a.b.",
    "_a._b",
    "a b",
]
TEXTS += [
    "a@b",
    "a:b@sha256:c",
    "http://a",
    "https://a:80/x",
    "HTTP://a",
    "http://",
    "http://a b",
    "http://a?b",
    "ftp://a",
]
TEXTS += [
    "http://u@a",
    "http://a\n",
    "nvidia.com/gpu",
    "Nvidia.com/gpu",
    "/gpu",
    "nvidia.com/",
    "nvidia..com/gpu",
    "a.b/c/d",
]
AMOUNTS: list[Any] = ["0", "-0", "+1", "00", "0.5", ".5", "5.", "1e3", "1E3", "1e", "1e-3", "1e99", "1Ki", "1ki", "1K"]
AMOUNTS += ["1k", "1m", "1u", "1n", "0.1n", "0.5m", "1500m", "1 Gi", "1Mi\n", "0x10", "NaN", "1.5", "1.5Gi", "1.1Ki"]
AMOUNTS += [
    "0.125Ti",
    "0.3k",
    "1.001",
    "1.0001",
    "1.0000000001",
    "4096",
    "4096.001",
    "1Pi",
    "1125899906842625",
    "8Ei",
    "9e18",
]
AMOUNTS += [
    "9223372036854775808",
    "1e10000000000",
    "1" * 64,
    "1" * 65,
    "１",
    "10%",
    "0%",
    "100%",
    "101%",
    "5",
    4096,
    4097,
]
MAPS: list[Any] = [{"A": "Z"}, {"a": 1}, {"a": ""}, {"": "a"}, {"a b": "c"}, {"x/y": "z"}, {"X.Y/y": "z"}, {"a": "b "}]
MAPS += [{"k" * 63: ""}, {"k" * 64: ""}, {"x/" + "k" * 63: ""}, {"x/" + "k" * 64: ""}, {"a": "v" * 63}, {"a": "v" * 64}]
MAPS += [{f"k{number}": "" for number in range(size)} for size in (64, 65)]
LISTS: list[Any] = [["image"], ["image", "image"], ["image", "video", "audio"], [{"name": "a"}], [{"name": "a"}] * 2]


def a_pool(spec: Pool) -> Pool:
    return {
        "apiVersion": "encoderfleet.io/v1alpha1",
        "kind": "EncoderPool",
        "metadata": {"name": "vision"},
        "spec": {"model": {"path": "/m"}, **spec},
    }


def values(node: dict[str, Any]) -> list[Any]:
    """To be tried for a field, by its schema; 2.0 is none: YAML's `2.0` is no whole number to a pool file's reader."""
    match node.get("type", "either"):
        case "string" if "enum" in node:
            return [*node["enum"], *(each.lower() for each in node["enum"]), *(each.upper() for each in node["enum"])]
        case "string":
            return [*TEXTS, *(letter * (node["maxLength"] + more) for letter in "aä" for more in (0, 1))]
        case "integer":
            return [node["minimum"] - 1, node["minimum"], node["maximum"], node["maximum"] + 1, "5"]
        case "array":
            return [*LISTS, [f"h{n}" for n in range(node["maxItems"])], [f"h{n}" for n in range(node["maxItems"] + 1)]]
        case "object" if "properties" not in node:
            return MAPS
        case "either":
            return AMOUNTS
    return []


def around(path: str) -> Pool:
    """A pool in which the field at `path` alone decides."""
    spec: Pool = {}
    if path.startswith("spec.model.") and path != "spec.model.path":
        spec["model"] = {"pvc": {"claimName": "c"}} if path.startswith("spec.model.pvc") else {"name": "a/b"}
    if path.startswith("spec.model.tokenSecretRef."):
        spec["model"]["tokenSecretRef"] = {"name": "s"}
    if path.startswith("spec.threads."):
        spec["threads"] = {"policy": "Manual"}
    if path == "spec.autoscaling.minReplicas":
        spec["autoscaling"] = {"maxReplicas": 100_000}
    return a_pool(spec)


def with_value(path: str, value: Any) -> Pool:
    pool = around(path)
    place: Any = pool
    *steps, last = path.split(".")
    for step in steps:
        if step.endswith("[]"):
            (place,) = place.setdefault(step[:-2], [{"type": "Pods", "value": 1, "periodSeconds": 1}])
        else:
            place = place.setdefault(step, {})
    place[last] = value
    return pool


def one_field_each() -> Iterator[Pool]:
    for path, _ in walk(EncoderPool):
        if path.startswith("spec."):
            node = NODES[f".{path}"]
            yield from (with_value(path, value) for value in (*GENERIC, *values(node)))


def several_fields() -> Iterator[Pool]:
    """What rules over several fields are about."""

    def some(**choices: list[Any]) -> Iterator[Pool]:
        for chosen in itertools.product(*choices.values()):
            yield {key: each for key, each in zip(choices, chosen, strict=True) if each is not None}

    sources = some(path=[None, "/m"], name=[None, "a/b"], pvc=[None, {"claimName": "c"}], revision=[None, "v1"])
    yield from (a_pool({"model": each}) for each in sources)
    numbers: dict[str, list[Any]] = {"preprocessWorkers": [None, 2], "videoDecodeThreads": [None, 0, 2]}
    numbers |= {"ffmpegThreads": [None, 2], "intraOpThreads": [None, 2]}
    yield from (a_pool({"threads": each}) for each in some(policy=[None, "Auto", "Manual"], **numbers))
    away = [None, 0, 1, "0%", "1%"]
    yield from (a_pool({"rollout": each}) for each in some(maxSurge=away, maxUnavailable=away))
    bounds: list[Any] = [None, 1, 9, 10, 11]
    yield from (a_pool({"autoscaling": each}) for each in some(minReplicas=bounds, maxReplicas=bounds))
    times = some(
        drainSeconds=[None, 0, 10], preStopSeconds=[None, 0, 10], terminationGracePeriodSeconds=[None, 9, 10, 20, 35]
    )
    yield from (a_pool({"lifecycle": each}) for each in times)
    modes: dict[str, list[Any]] = {"mode": [None, "Off", "Advise", "Auto"], "backend": [None, "Builtin", "HPA", "KEDA"]}
    yield from (a_pool({"autoscaling": each}) for each in some(**modes, prometheusAddress=[None, "http://p:9090"]))


@pytest.fixture(scope="module")
def ask(control_plane: ControlPlane, definition: None) -> Iterator[Judge]:
    """What the API server has against a pool; empty where it takes it. Nothing is kept."""
    configuration = client.Configuration()
    config.load_kube_config(str(control_plane.kubeconfig), client_configuration=configuration)
    configuration.connection_pool_maxsize = THREADS
    with client.ApiClient(configuration) as connection:
        api = client.CustomObjectsApi(connection)

        def judge(pool: Pool) -> str:
            where = ("encoderfleet.io", "v1alpha1", "default", "encoderpools")
            try:
                api.create_namespaced_custom_object(
                    *where, copy.deepcopy(pool), dry_run="All", field_validation="Strict"
                )
            except client.ApiException as error:
                if error.status not in (400, 422):
                    raise
                return str(json.loads(error.body)["message"])
            return ""

        yield judge


def read(pool: Pool) -> str:
    """What the reader of pool files has against it."""
    try:
        read_pool(copy.deepcopy(pool))
    except PoolError as error:
        return str(error)
    return ""


@pytest.mark.timeout(600)
def test_both_take_the_same_pools(ask: Judge) -> None:
    pools = [*one_field_each(), *several_fields()]
    with ThreadPoolExecutor(THREADS) as threads:
        asked = list(threads.map(ask, pools))
    answers = [(pool["spec"], there, read(pool)) for pool, there in zip(pools, asked, strict=True)]
    assert len(answers) > 2000
    differ = [each for each in answers if bool(each[1]) != bool(each[2])]
    assert differ == []
    taken = sum(not there for _, there, _ in answers)
    assert min(taken, len(answers) - taken) > 500  # else the values say nothing
