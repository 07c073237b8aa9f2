"""The documents' scripts run, and their bytes are the wire's."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from conftest import EncoderProcess
from fleet_client import errors, inbox, protocol, tensors
from fleet_client.protocol import Cancel, Encode, Hello, Item, Meta, Result, Status, Tensor
from peer import Peer

DOCS = Path(__file__).parents[2] / "docs"
HEX = {
    name: bytes.fromhex(content)
    for name, content in re.findall(r"```hex (\w+)\n(.*?)```", (DOCS / "wire.md").read_text(), re.DOTALL)
}
SCRIPTS = re.findall(r"```python\n(.*?)```", (DOCS / "client.md").read_text(), re.DOTALL)
RESULT = Result(
    id="7f-0",
    index=0,
    status=Status.OK,
    tensor=Tensor(frame=0, dtype="float32", shape=[2, 2]),
    meta=Meta(tokens=2, patches=8, grid=(1, 2, 4)),
)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("hello", Hello(client="docs")),
        ("encode", Encode(id="7f-0", items=[Item(modality="image", frame=0)], timeout_ms=60_000)),
        ("result", RESULT),
        ("cancel", Cancel(id="7f-0")),
    ],
)
def test_the_headers_are_these_bytes(name: str, message: protocol.ClientMessage | protocol.ServerMessage) -> None:
    assert protocol.pack(message) == HEX[name]


def test_the_tensor_is_these_bytes() -> None:
    answer = inbox.read([HEX["result"], HEX["tensor"]])
    assert isinstance(answer, inbox.Answer)
    assert answer.result == RESULT
    assert answer.result.tensor is not None
    assert np.array_equal(tensors.read(answer.result.tensor, answer.frame, "numpy"), [[1.0, -2.0], [0.5, 0.0]])


def test_an_encoder_understands_these_bytes(vision_encoder: EncoderProcess, photos: Path) -> None:
    with Peer(vision_encoder.endpoint) as peer:
        peer.socket.send(HEX["hello"])
        assert isinstance(peer.receive()[0], protocol.Welcome)
        peer.socket.send_multipart([HEX["encode"], (photos / "coffee.png").read_bytes()])
        result, rows = peer.result()
    assert (result.id, result.status) == ("7f-0", Status.OK)
    assert rows is not None


def test_every_status_and_error_is_in_the_documents() -> None:
    wire, client = (DOCS / "wire.md").read_text(), (DOCS / "client.md").read_text()
    assert all(f"| `{status}` |" in wire for status in Status)
    kinds = [name for name, kind in vars(errors).items() if getattr(kind, "__module__", "") == errors.__name__]
    assert all(re.search(rf"^[│├└─ ]*{name} ", client, re.MULTILINE) for name in kinds)


@pytest.mark.parametrize("script", SCRIPTS, ids=["sync", "async", "torch"])
def test_the_scripts_run(
    script: str, vision_encoder: EncoderProcess, photos: Path, clips: Path, tmp_path: Path
) -> None:
    shutil.copy(photos / "rocket.jpg", tmp_path / "photo.jpg")
    shutil.copy(clips / "carphone_pristine.mp4", tmp_path / "clip.mp4")
    address = vision_encoder.endpoint.removeprefix("tcp://")
    assert "127.0.0.1:5570" in script
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script.replace("127.0.0.1:5570", address)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) in (1, 2)
