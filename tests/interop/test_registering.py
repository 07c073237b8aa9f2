"""Language servers are told of encoders: the operator's own process, a real API server, SGLang's own lists."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.fixtures import Nodes
from tests.cluster.kwok import CUSTOM
from tests.interop.language_servers import LABELS, Lists, addresses, apis, encoders, run_encoders, start_pod, tell, url

from operating.operator_process import OperatorProcess, Pools, until

TYPE = "ConsumersRegistered"
ENCODERS, SERVERS = addresses(4), addresses(2)


def nothing_is_written(operator: OperatorProcess) -> bool:
    """While lists are looked at four times. What came before, such as news of pods, may be written a little later."""
    before, looks = operator.writes(), operator.metric("encoderfleet_registry_requests_total", request="list")
    until(lambda: operator.metric("encoderfleet_registry_requests_total", request="list") >= looks + 4)
    return operator.writes() == before


@pytest.fixture(scope="module")
def lists(sglang: Path) -> Iterator[Lists]:
    """Of two language servers."""
    with Lists(sglang, SERVERS) as started:
        yield started


def a_pool(nodes: Nodes, **spec: Any) -> dict[str, Any]:
    return {
        "resources": {"gpus": 0, "cpus": 1},
        "scheduling": {"nodeSelector": nodes.selector},
        "podTemplate": {"annotations": CUSTOM},
        "consumers": [{"selector": {"matchLabels": LABELS}}],
        **spec,
    }


def known(lists: Lists, *hosts: str) -> bool:
    """Whether all language servers know these encoders, and no others."""
    return all(lists.urls(host) == {*map(url, hosts)} for host in lists.hosts)


def test_language_servers_know_the_encoders_that_serve(
    own_pools: Pools, start_operator: Any, nodes: Nodes, lists: Lists
) -> None:
    pools = own_pools
    nodes(1, cpus=16)
    operator: OperatorProcess = start_operator().wait_until_ready()
    hosts = ENCODERS[:2]
    pools.apply("vision", **a_pool(nodes, replicas=2))
    with encoders(*ENCODERS), apis(*SERVERS):
        pods = run_encoders(pools, "vision", hosts)
        pools.wait("vision", TYPE, "False", "NoLanguageServers")
        for number, host in enumerate(SERVERS):
            start_pod(pools, f"vlm-{number}", host, nodes.selector)
        until(lambda: known(lists, *hosts), why=lambda: operator.log)
        found = pools.wait("vision", TYPE, "True", "Registered")
        assert found["message"] == "2 encoders registered with 2 language servers"
        assert operator.metric("encoderfleet_pool_registrations", pool="vision") == 4

        # An encoder that is not ready leaves, and comes back.
        first, second = pods
        tell(pools, first, pods[first], ready=False)
        until(lambda: known(lists, pods[second]))
        tell(pools, first, pods[first])
        until(lambda: known(lists, *hosts))

        # Its end is announced: it leaves while it still runs, and the new one comes.
        pools.kubectl("patch", "pod", first, "--type=merge", "-p", '{"metadata": {"finalizers": ["a.example/b"]}}')
        pools.kubectl("delete", "pod", first, "--wait=false")
        until(lambda: known(lists, pods[second]))
        assert pools.get("pod", first) is not None
        pools.kubectl("patch", "pod", first, "--type=merge", "-p", '{"metadata": {"finalizers": null}}')
        until(lambda: pools.get("pod", first) is None)
        staying = {second: pods[second]}
        (third,) = until(lambda: {*names(pools)} - {second})
        tell(pools, third, ENCODERS[2])
        until(lambda: known(lists, staying[second], ENCODERS[2]))

        # A language server is started anew.
        lists.restart(SERVERS[0])
        until(lambda: known(lists, staying[second], ENCODERS[2]), why=lambda: operator.log)
        # In steady state nothing is written.
        pools.wait("vision", TYPE, "True", "Registered")
        until(lambda: nothing_is_written(operator))

        # The operator is away: nothing changes, and nothing does when it is back.
        assert operator.stop() == 0
        assert known(lists, staying[second], ENCODERS[2])
        operator = start_operator().wait_until_ready()
        until(lambda: operator.metric("encoderfleet_registry_requests_total", request="list") >= 4)
        assert known(lists, staying[second], ENCODERS[2])
        assert operator.metric("encoderfleet_registry_requests_total", request="register") == 0
        assert operator.writes() == 0

        # Consumers change: who is none any more loses them. Then all do, as the pool goes.
        pools.patch("vision", consumers=[{"selector": {"matchLabels": {"app": "other"}}}])
        until(lambda: known(lists))
        pools.patch("vision", consumers=[{"selector": {"matchLabels": LABELS}}])
        until(lambda: known(lists, staying[second], ENCODERS[2]))
        pools.kubectl("delete", "encp", "vision")
        until(lambda: known(lists))
    assert "Traceback" not in operator.log


def names(pools: Pools) -> list[str]:
    pods = pools.all("pods", "encoderfleet.io/pool=vision")
    return [each["metadata"]["name"] for each in pods if each["spec"].get("nodeName")]


def test_a_language_server_of_another_model_is_told_of_no_encoder(
    own_pools: Pools, start_operator: Any, nodes: Nodes, lists: Lists
) -> None:
    pools = own_pools
    nodes(1, cpus=16)
    operator: OperatorProcess = start_operator().wait_until_ready()
    right, wrong = SERVERS
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "vlm"}}
    pools.apply("vision", **a_pool(nodes, consumers=[{"service": {"name": "vlm"}}]))
    found = pools.wait("vision", TYPE, "False", "ConsumersUnreadable")
    assert "there is no Service" in found["message"]
    pools.kubectl(
        "create", "-f", "-", input=json.dumps({**service, "spec": {"selector": LABELS, "ports": [{"port": 30000}]}})
    )
    other = {"model_type": "qwen2_vl", "architectures": ["Qwen2VLForConditionalGeneration"]}
    with encoders(ENCODERS[3]), apis(right), apis(wrong, **other):
        run_encoders(pools, "vision", ENCODERS[3:])
        start_pod(pools, "right", right, nodes.selector)
        start_pod(pools, "wrong", wrong, nodes.selector)
        until(lambda: lists.urls(right) == {url(ENCODERS[3])}, why=lambda: operator.log)
        found = pools.wait("vision", TYPE, "False", "Incompatible")
        assert (
            f"{pools.namespace}/wrong: model_type of the encoders is qwen2_5_vl, its own is qwen2_vl"
            in found["message"]
        )
        assert lists.urls(wrong) == set()
        assert "INCOMPATIBLE" in operator.log
        assert "Incompatible" in {each["reason"] for each in pools.events("vision")}
    # Its pod is replaced by one of the right model.
    with encoders(ENCODERS[3]), apis(*SERVERS):
        pools.wait("vision", TYPE, "True", "Registered")
        assert known(lists, ENCODERS[3])
    pools.kubectl("delete", "encp", "vision")
    until(lambda: known(lists))
