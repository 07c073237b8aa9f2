"""An encoder that is told `*`, as pods are, answers wherever its address is: IPv4, IPv6 or both."""

import socket
import urllib.request
from pathlib import Path

import pytest
from tests.cluster import ports

from conftest import StartEncoder
from peer import Peer


def loopbacks() -> list[str]:
    """Of this machine; `::1` where it has IPv6."""
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return ["127.0.0.1", "[::1]"]
    except OSError:
        return ["127.0.0.1"]


def test_all_addresses_are_listened_on(start_encoder: StartEncoder, qwen2_5_vl: Path) -> None:
    wire, http = ports.free(2)
    encoder = start_encoder(qwen2_5_vl, "--cpus", "1", "--bind", f"tcp://*:{wire}", "--http", f"*:{http}")
    encoder.wait_until_bound()
    for host in loopbacks():
        with urllib.request.urlopen(f"http://{host}:{http}/healthz", timeout=30) as reply:
            assert reply.status == 200
        with Peer(f"tcp://{host}:{wire}") as peer:
            assert peer.hello().model


@pytest.mark.skipif("[::1]" not in loopbacks(), reason="this machine has no IPv6")
def test_an_address_of_ipv6_is_told_in_brackets(start_encoder: StartEncoder, qwen2_5_vl: Path) -> None:
    encoder = start_encoder(qwen2_5_vl, "--cpus", "1", "--bind", "tcp://[::1]:0", "--http", "[::1]:0")
    encoder.wait_until_bound()
    assert encoder.http.startswith("http://[::1]:")
    assert encoder.get("/healthz")[0] == 200
    with Peer(encoder.endpoint) as peer:
        assert peer.hello().model
