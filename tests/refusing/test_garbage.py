"""Whatever comes over the wire, its sender is told, and the next caller is served."""

import os
from pathlib import Path

import msgspec
import pytest
import zmq

from conftest import EncoderProcess
from fleet_client import protocol
from fleet_client.protocol import Encode, Item, Result, Sampling, Status
from peer import Peer


@pytest.fixture
def peer(vision_encoder: EncoderProcess):
    with Peer(vision_encoder.endpoint) as each:
        yield each


def still_serves(encoder: EncoderProcess, photos: Path) -> None:
    with Peer(encoder.endpoint) as peer:
        assert peer.ask([("image", photos / "coffee.png")])[0][0].status is Status.OK


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"\x00",
        b"hello",
        b"\x80\x04\x95\x1d\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\x94.",
        msgspec.msgpack.encode({"type": "encode"}),
        msgspec.msgpack.encode({"type": "nonsense", "id": "x"}),
        msgspec.msgpack.encode({"type": "encode", "id": "x", "items": [], "extra": 1}),
        msgspec.msgpack.encode({"type": "encode", "id": 3, "items": []}),
        b"\x91" * 5000,
        os.urandom(300),
        bytes(protocol.MAX_HEADER_BYTES + 1),
    ],
    ids=["empty", "zero", "text", "pickle", "no-id", "tag", "extra", "types", "deep", "random", "long"],
)
def test_a_header_that_is_no_message(peer: Peer, vision_encoder: EncoderProcess, photos: Path, header: bytes) -> None:
    peer.socket.send_multipart([header, b"frame"])
    result, _ = peer.result()
    assert (result.status, result.index) == (Status.INVALID, -1)
    still_serves(vision_encoder, photos)


@pytest.mark.parametrize(
    ("request_", "status", "text"),
    [
        (Encode(id="", items=[Item(modality="image", frame=0)]), Status.INVALID, "request id"),
        (Encode(id="x" * 300, items=[Item(modality="image", frame=0)]), Status.INVALID, "request id"),
        (Encode(id="\x1b[2J", items=[Item(modality="image", frame=0)]), Status.INVALID, "cannot be printed"),
        (Encode(id="x", items=[]), Status.INVALID, "0 items"),
        (Encode(id="x", items=[Item(modality="image", frame=0)] * 1025), Status.INVALID, "1025 items"),
        (Encode(id="x", items=[Item(modality="image", frame=0)], timeout_ms=0), Status.INVALID, "timeout_ms"),
        (Encode(id="x", items=[Item(modality="image", frame=0)], version=99), Status.INCOMPATIBLE, "version 99"),
    ],
)
def test_a_request_out_of_bounds(peer: Peer, request_: Encode, status: Status, text: str) -> None:
    peer.send(request_, b"x")
    result, _ = peer.result()
    assert (result.status, result.index) == (status, -1)
    assert text in result.message


@pytest.mark.parametrize(
    ("item", "text"),
    [
        (Item(modality="image"), "either"),
        (Item(modality="image", frame=0, url="data:,"), "either"),
        (Item(modality="image", frame=7), "frame 7"),
        (Item(modality="image", frame=-1), "frame -1"),
        (Item(modality="image", frame=0, sampling=Sampling(fps=1)), "for video"),
        (Item(modality="video", frame=0, sampling=Sampling(fps=0)), "over 0"),
        (Item(modality="video", frame=0, sampling=Sampling(fps=float("nan"))), "over 0"),
        (Item(modality="video", frame=0, sampling=Sampling(frames=0)), "1 or more"),
        (Item(modality="video", frame=0, sampling=Sampling(fps=1, frames=2)), "not both"),
        (Item(modality="image", url="ftp://example.com/x"), "http"),
        (Item(modality="image", url="file:///etc/passwd"), "localRoot"),
    ],
)
def test_an_item_out_of_bounds_leaves_its_neighbour_alone(peer: Peer, photos: Path, item: Item, text: str) -> None:
    peer.send(Encode(id="two", items=[item, Item(modality="image", frame=0)]), (photos / "coffee.png").read_bytes())
    answers = peer.results(2)
    bad, good = answers["two", 0][0], answers["two", 1][0]
    assert bad.status is Status.INVALID
    assert text in bad.message
    assert good.status is Status.OK


def test_random_frames_do_not_stop_the_loop(vision_encoder: EncoderProcess, photos: Path) -> None:
    context = zmq.Context()
    socket = context.socket(zmq.DEALER)
    socket.setsockopt(zmq.LINGER, 0)
    socket.connect(vision_encoder.endpoint)
    for size in range(200):
        socket.send_multipart([os.urandom(size), os.urandom(size // 3)])
    for _ in range(200):
        assert socket.poll(30_000)
        header = socket.recv_multipart()[0]
        assert isinstance(protocol.unpack_from_server(header), Result)
    socket.close()
    context.term()
    still_serves(vision_encoder, photos)
    assert vision_encoder.metric("encoder_wire_errors_total") >= 200
