"""Clients that do not read their answers: what waits for them is bounded, for each and for all together."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
import zmq
import zmq.asyncio

from fleet_encoder.wire import outbox
from fleet_encoder.wire.outbox import Outbox

MB = 1 << 20
Connect = Callable[[bytes], "zmq.asyncio.Socket"]


@pytest.fixture
async def server() -> AsyncIterator[tuple[Outbox, list[bytes], Connect]]:
    """An outbox, who was given up, and how to become one of its clients."""
    context, gone = zmq.asyncio.Context(), []
    clients: list[zmq.asyncio.Socket] = []
    router = context.socket(zmq.ROUTER)
    router.setsockopt(zmq.ROUTER_MANDATORY, 1)
    router.setsockopt(zmq.SNDHWM, 1)
    port = router.bind_to_random_port("tcp://127.0.0.1")

    def connect(identity: bytes) -> "zmq.asyncio.Socket":
        client = context.socket(zmq.DEALER)
        client.setsockopt(zmq.IDENTITY, identity)
        client.setsockopt(zmq.RCVHWM, 1)
        client.connect(f"tcp://127.0.0.1:{port}")
        clients.append(client)
        return client

    yield Outbox(router, gone.append), gone, connect
    for socket in (router, *clients):
        socket.close(linger=0)
    context.term()


async def greeted(box: Outbox, client: "zmq.asyncio.Socket", identity: bytes) -> None:
    """Until the router knows the client: before, it has nowhere to send to."""
    while not box.send(identity, [b"hello"]):
        await asyncio.sleep(0.01)
    assert await client.recv() == b"hello"


async def test_the_one_that_is_behind_most_is_given_up_for_all(
    server: tuple[Outbox, list[bytes], Connect], monkeypatch: pytest.MonkeyPatch
) -> None:
    box, gone, connect = server
    stopped, late = connect(b"stopped"), connect(b"late")
    await greeted(box, stopped, b"stopped")
    await greeted(box, late, b"late")
    gone.clear()
    monkeypatch.setattr(outbox, "MAX_TOTAL_BYTES", 200 * MB)
    answer = bytes(8 * MB)
    for number in range(5):
        assert box.send(b"late", [bytes([number]), answer])
    for _ in range(40):
        if not box.send(b"stopped", [answer]):
            break
    assert gone == [b"stopped"]
    for number in range(5):
        assert (await late.recv_multipart())[0] == bytes([number])
    while not box.empty:
        await asyncio.sleep(0.01)
    assert gone == [b"stopped"]


async def test_one_long_answer_is_kept_however_long(
    server: tuple[Outbox, list[bytes], Connect], monkeypatch: pytest.MonkeyPatch
) -> None:
    box, gone, connect = server
    client = connect(b"a")
    await greeted(box, client, b"a")
    gone.clear()
    monkeypatch.setattr(outbox, "MAX_BACKLOG_BYTES", MB)
    monkeypatch.setattr(outbox, "MAX_TOTAL_BYTES", MB)
    long, sent = bytes(32 * MB), 0
    while box.empty:  # until the pipe and the sockets' buffers are full
        assert box.send(b"a", [long])
        sent += 1
    for _ in range(sent):
        assert len(await client.recv()) == len(long)
    assert gone == []
