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
from tests.cluster.fixtures import Nodes

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


def apply(pools: Pools, nodes: Nodes, name: str, app: str, **more: Any) -> None:
    """A pool of two encoders of SGLang's, which need nobody to be ready."""
    pools.apply(
        name,
        model={"path": "/models/vl", "dtype": "bfloat16"},
        runtime="SGLang",
        replicas=2,
        resources={"gpus": 0, "cpus": 1},
        scheduling={"nodeSelector": nodes.selector},
        consumers=[{"selector": {"matchLabels": {"app": app}}, "port": PORT, **more}],
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
    apply(own_pools, nodes, "vision", "evil")
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
    apply(own_pools, nodes, "vision", "forgetful")
    found = own_pools.wait("vision", TYPE, "False", "Unreachable")
    assert "takes encoders, and does not list them" in found["message"]
    assert len(forgetful.asked) > 4
    # It is told of them again and again, which is no news.
    assert len([line for line in operator.log.splitlines() if "encoders registered" in line]) <= 2
