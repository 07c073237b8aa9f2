"""Language servers that say and do what they like, at addresses of loopback, and the operator's own process.

The pools' pods are pretended.
"""

import asyncio
import json
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from tests.cluster.control_plane import ControlPlane
from tests.cluster.fixtures import Nodes

from fleet_operator.specs.names import ENCODERS_FROM
from operating.operator_process import Pools, until
from registering.language_server import LanguageServer

TYPE = "ConsumersRegistered"
PORT = 8997

StartServer = Callable[[LanguageServer, str], None]


@pytest.fixture
def serve() -> Iterator[StartServer]:
    """Let language servers listen, each at an address of its own, until the test ends."""
    loop, stack = asyncio.new_event_loop(), AsyncExitStack()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def do(what: Coroutine[Any, Any, Any]) -> None:
        asyncio.run_coroutine_threadsafe(what, loop).result(60)

    yield lambda server, address: do(stack.enter_async_context(server.running(address, PORT)))
    do(stack.aclose())
    loop.call_soon_threadsafe(loop.stop)
    thread.join(60)
    loop.close()


def a_language_server() -> LanguageServer:
    """One that an encoder of SGLang's suits."""
    server = LanguageServer()
    server.server["encoder_transfer_backend"] = "zmq_to_scheduler"
    return server


def start_pod(pools: Pools, name: str, address: str, **annotations: str) -> None:
    """A pod that a language server runs in, with the label `app`: its name up to a dash."""
    meta = {"name": name, "labels": {"app": name.partition("-")[0]}, "annotations": annotations}
    spec = {"nodeSelector": {"no": "node"}, "containers": [{"name": "main", "image": "sglang"}]}
    pools.kubectl(
        "apply", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec})
    )
    conditions = [{"type": "Ready", "status": "True"}]
    status = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "conditions": conditions}
    pools.kubectl("patch", "pod", name, "--subresource=status", "--type=merge", "-p", json.dumps({"status": status}))


def labelled(app: str, **more: Any) -> dict[str, Any]:
    """A consumer."""
    return {"selector": {"matchLabels": {"app": app}}, "port": PORT, **more}


def apply(pools: Pools, nodes: Nodes, name: str, *consumers: dict[str, Any]) -> None:
    """A pool of two encoders of SGLang's, which need nobody to be ready."""
    pools.apply(
        name,
        model={"path": "/models/vl", "dtype": "bfloat16"},
        runtime="SGLang",
        replicas=2,
        resources={"gpus": 0, "cpus": 1},
        scheduling={"nodeSelector": nodes.selector},
        consumers=list(consumers),
    )


def test_what_one_says_keeps_no_pool_from_being_told_of(
    own_pools: Pools, start_operator: Any, nodes: Nodes, serve: StartServer
) -> None:
    nodes(2, cpus=4)
    operator = start_operator().wait_until_ready()
    evil = a_language_server()
    # A lone surrogate, which no API server takes.
    evil.server["dtype"] = "\ud800float16"
    serve(evil, "127.78.0.1")
    start_pod(own_pools, "evil-0", "127.78.0.1")
    apply(own_pools, nodes, "vision", labelled("evil"))
    found = own_pools.wait("vision", TYPE, "True", "Registered")
    assert "compatibility unknown: its API on port 8997 answers, but with no JSON object" in found["message"]
    # A line of a log ends where it says so.
    evil.server["dtype"] = "float16\n2026-01-01 ERROR forged: line"
    found = own_pools.wait("vision", TYPE, "False", "Incompatible")
    assert "dtype of the encoders is bfloat16, its own is float162026-01-01 ERROR forged: line:" in found["message"]
    assert not [line for line in operator.log.splitlines() if line.startswith("2026-01-01 ERROR")]
    until(lambda: evil.urls == [])
    # The pool is kept on.
    own_pools.patch("vision", replicas=1)
    until(lambda: own_pools.status("vision").get("replicas") == 1)


def test_one_that_takes_encoders_and_lists_none_is_no_registered_one(
    own_pools: Pools, start_operator: Any, nodes: Nodes, serve: StartServer
) -> None:
    nodes(2, cpus=4)
    operator = start_operator().wait_until_ready()
    forgetful = a_language_server()
    forgetful.manner = "forgets"
    serve(forgetful, "127.78.0.2")
    start_pod(own_pools, "forgetful-0", "127.78.0.2")
    apply(own_pools, nodes, "vision", labelled("forgetful"))
    found = own_pools.wait("vision", TYPE, "False", "Unreachable")
    assert "takes encoders, and does not list them" in found["message"]
    assert len(forgetful.asked) > 4
    # It is told of them again and again, which is no news.
    assert len([line for line in operator.log.splitlines() if "encoders registered" in line]) <= 2


def deleted(server: LanguageServer) -> list[str]:
    """What it was told not to use any more."""
    return [each for each in server.asked if each.startswith("DELETE")]


def test_whoever_is_no_consumer_any_more_loses_the_encoders(
    own_pools: Pools, start_operator: Any, nodes: Nodes, control_plane: ControlPlane, serve: StartServer
) -> None:
    """By its annotation, by the pool's spec, by the pool's end; and in between not for a moment."""
    nodes(2, cpus=4)
    operator = start_operator().wait_until_ready()
    chat = control_plane.create_namespace()
    try:
        servers, there = Pools(control_plane, chat), {name: a_language_server() for name in ("asks-0", "stays-0")}
        for number, (name, server) in enumerate(there.items()):
            serve(server, f"127.78.1.{number}")
            start_pod(servers, name, f"127.78.1.{number}", **{ENCODERS_FROM: own_pools.namespace})
        asks, stays = there.values()
        first, second = (labelled(app, namespace=chat) for app in ("asks", "stays"))
        apply(own_pools, nodes, "vision", first, second)
        until(lambda: len(asks.urls) == len(stays.urls) == 2)
        servers.kubectl("annotate", "pod", "asks-0", f"{ENCODERS_FROM}-")
        until(lambda: not asks.urls)
        servers.kubectl("annotate", "pod", "asks-0", f"{ENCODERS_FROM}=other, {own_pools.namespace}")
        until(lambda: len(asks.urls) == 2)
        # Another port of its API, where it says nothing: it has the encoders all the while.
        apply(own_pools, nodes, "vision", {**first, "port": 1}, second)
        until(lambda: operator.metric("encoderfleet_registry_requests_total", request="model", outcome="failed") > 4)
        assert (len(asks.urls), len(deleted(asks))) == (2, 2)
        apply(own_pools, nodes, "vision", second)
        until(lambda: not asks.urls)
        assert len(deleted(asks)) == 4
        assert len(stays.urls) == 2
        own_pools.kubectl("delete", "encp", "vision")
        until(lambda: not stays.urls)
    finally:
        control_plane.delete_namespace(chat)
