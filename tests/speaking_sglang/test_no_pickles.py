"""Pickles are written for SGLang's receivers, and never read: whatever comes in, nothing in it is executed."""

import asyncio
import base64
import os
import pickle
import random
import re
import socket
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zmq
import zmq.asyncio

from conftest import EncoderProcess, package_folder
from fleet_client import protocol
from fleet_client.protocol import Encode, Item
from peer import unique_jpeg
from speaking_sglang.language_server import LanguageServer

PACKAGES = ("fleet_encoder", "fleet_client", "fleet_operator", "fleet_cli", "fleet_machine", "fleet_compatibility")
LOADERS = re.compile(
    r"^\s*(import|from)\s+(pickle|_pickle|cPickle|dill|cloudpickle|joblib|shelve|marshal|jsonpickle)\b"
    r"|\btorch\.load\(|\b(np|numpy)\.load\(|allow_pickle|recv_pyobj|send_pyobj|weights_only"
    r"|\byaml\.(load|unsafe_load|full_load)\(|(?<![.\w])(eval|exec)\(",
    re.MULTILINE,
)


@pytest.mark.parametrize("package", PACKAGES)
def test_no_module_can_load_one(package: str) -> None:
    files = list(package_folder(package).rglob("*.py"))
    assert files
    found = [f"{file}: {match[0]!r}" for file in files for match in LOADERS.finditer(file.read_text())]
    assert found == []


class Evil:
    """Its pickle makes a file, where it is loaded."""

    def __init__(self, witness: Path) -> None:
        self.command = ["touch", str(witness)]

    def __reduce__(self) -> tuple[Any, ...]:
        return subprocess.check_call, (self.command,)


def pickles(witness: Path) -> list[bytes]:
    evil = [pickle.dumps(Evil(witness), protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)]
    system = b"cos\nsystem\n(S'touch " + os.fsencode(witness) + b"'\ntR."
    return [*evil, system, pickle.dumps({"type": "encode", "id": Evil(witness)}), pickle.dumps(list(range(10)))]


def garbage() -> list[bytes]:
    chance = random.Random(7)
    return [chance.randbytes(chance.randrange(0, 4000)) for _ in range(20)] + [b"", b"\x00" * 5000, b"{" * 5000]


def test_the_pickles_are_evil(tmp_path: Path) -> None:
    """Else the tests below show nothing."""
    for number, make in enumerate([pickle.loads, *[pickle.loads] * 3]):
        witness = tmp_path / str(number)
        make(pickles(witness)[number])
        assert witness.exists()


async def test_every_socket_and_endpoint(
    sglang_encoder: EncoderProcess, server: LanguageServer, photos: Path, tmp_path: Path
) -> None:
    witness = tmp_path / "executed"
    messages = [*pickles(witness), *garbage()]
    await asyncio.to_thread(over_http, sglang_encoder, server.url, messages)
    await asyncio.to_thread(over_tcp, [sglang_encoder.endpoint, sglang_encoder.http, server.url], messages)
    await asyncio.to_thread(over_zmq, sglang_encoder.endpoint, messages)
    await as_media(server, messages)

    assert not witness.exists()
    assert sglang_encoder.process.poll() is None
    assert "Traceback" not in sglang_encoder.log
    photo = base64.b64encode(unique_jpeg(photos / "rocket.jpg", 77)).decode()
    assert (await server.ask([photo], req_id="after-all_local_part_0")).rows is not None


def over_http(encoder: EncoderProcess, url: str, messages: list[bytes]) -> None:
    """As bodies of every path of both ports, by every method."""
    import http.client

    paths = {
        url: ["/encode", "/scheduler_receive_url", "/send", "/scheduler_receive_meta_data", "/health", "/model_info"],
        encoder.http: ["/metrics", "/healthz", "/readyz"],
    }
    for base, each in paths.items():
        for path in each:
            for number, message in enumerate(messages):
                connection = http.client.HTTPConnection(base.removeprefix("http://"), timeout=60)
                kind = ("application/json", "application/octet-stream", "application/python-pickle")[number % 3]
                method = ("POST", "POST", "PUT", "GET")[number % 4]
                connection.request(method, path, message, {"Content-Type": kind})
                reply = connection.getresponse()
                text = reply.read()
                assert reply.status in (200, 400, 405, 501), (path, message)
                if path in ("/encode", "/scheduler_receive_url") and method == "POST":
                    assert reply.status == 400
                    assert msgspec.json.decode(text)["status"] == "error"
                connection.close()


def over_tcp(addresses: list[str], messages: list[bytes]) -> None:
    """Where a port expects HTTP or ZMTP, just so."""
    for address in addresses:
        host, _, port = address.rpartition("//")[2].rpartition(":")
        for message in messages:
            with socket.create_connection((host, int(port)), timeout=60) as connection:
                connection.sendall(message)


def over_zmq(endpoint: str, messages: list[bytes]) -> None:
    """As header, as frame behind one, and as media of the native wire."""
    context = zmq.Context()
    dealer = context.socket(zmq.DEALER)
    dealer.connect(endpoint)
    items = [Item(modality="image", frame=0)]
    for number, message in enumerate(messages):
        dealer.send_multipart([message])
        dealer.send_multipart([message, message])
        dealer.send_multipart([protocol.pack(Encode(id=f"evil-{number}", items=items)), message])
    for _ in range(3 * len(messages)):
        assert dealer.poll(60_000)
        assert b"OK" not in dealer.recv_multipart()[0]
    dealer.close(linger=0)
    context.term()


async def as_media(server: LanguageServer, messages: list[bytes]) -> None:
    """As what an item holds."""
    for number, message in enumerate(messages):
        for modality in ("IMAGE", "VIDEO", "AUDIO"):
            item = {"url": base64.b64encode(message or b" ").decode(), "extra": base64.b64encode(message).decode()}
            name = f"evil-{number}-{modality}_local_part_0"
            answer = await server.encode([item], modality, req_id=name)
            assert answer.status == 400, (message, answer.body)
            assert (await server.receive()).about.error_code == 400
