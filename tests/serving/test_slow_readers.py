"""Clients that do not read their answers: what waits for them is bounded, and they are told what they lost."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
import zmq
import zmq.asyncio

from fleet_encoder.wire import outbox
from fleet_encoder.wire.outbox import Outbox

MB = 1 << 20
ANSWER = bytes(8 * MB)
Gone = list[tuple[bytes, bool]]
Connect = Callable[[bytes], "zmq.asyncio.Socket"]


@pytest.fixture
async def server() -> AsyncIterator[tuple[Outbox, Gone, Connect]]:
    """An outbox, who was given up, and how to become one of its clients."""
    context, gone = zmq.asyncio.Context(), []
    sockets: list[zmq.asyncio.Socket] = []
    router = context.socket(zmq.ROUTER)
    router.setsockopt(zmq.ROUTER_MANDATORY, 1)
    router.setsockopt(zmq.SNDHWM, 1)
    port = router.bind_to_random_port("tcp://127.0.0.1")

    def connect(identity: bytes) -> "zmq.asyncio.Socket":
        client = context.socket(zmq.DEALER)
        client.setsockopt(zmq.IDENTITY, identity)
        client.setsockopt(zmq.RCVHWM, 1)
        client.connect(f"tcp://127.0.0.1:{port}")
        sockets.append(client)
        return client

    yield Outbox(router, lambda *who: gone.append(who)), gone, connect
    for socket in (router, *sockets):
        socket.close(linger=0)
    context.term()


async def greeted(box: Outbox, gone: Gone, client: "zmq.asyncio.Socket", identity: bytes) -> None:
    """Until the router knows the client: before, it has nowhere to send to."""
    while not box.send(identity, [b"hello"]):
        await asyncio.sleep(0.01)
    assert await client.recv() == b"hello"
    gone.clear()


async def until_sent(box: Outbox) -> None:
    while not box.empty:
        await asyncio.sleep(0.01)


async def test_the_one_that_is_behind_most_is_given_up_for_all(
    server: tuple[Outbox, Gone, Connect], monkeypatch: pytest.MonkeyPatch
) -> None:
    box, gone, connect = server
    stopped, late = connect(b"stopped"), connect(b"late")
    await greeted(box, gone, stopped, b"stopped")
    await greeted(box, gone, late, b"late")
    monkeypatch.setattr(outbox, "MAX_TOTAL_BYTES", 200 * MB)
    for number in range(5):
        assert box.send(b"late", [bytes([number]), ANSWER])
    for _ in range(40):
        if not box.send(b"stopped", [ANSWER]):
            break
    assert gone == [(b"stopped", True)]
    for number in range(5):
        assert (await late.recv_multipart())[0] == bytes([number])
    await until_sent(box)
    assert gone == [(b"stopped", True)]


@pytest.mark.parametrize("reason", ["bytes", "time"])
async def test_one_that_was_given_up_is_told_what_it_lost_and_served_again(
    reason: str, server: tuple[Outbox, Gone, Connect], monkeypatch: pytest.MonkeyPatch
) -> None:
    box, gone, connect = server
    client = connect(b"a")
    await greeted(box, gone, client, b"a")
    if reason == "bytes":
        monkeypatch.setattr(outbox, "MAX_BACKLOG_BYTES", 64 * MB)
    else:
        monkeypatch.setattr(outbox, "STUCK_SECONDS", 0.0)
    sent = 0
    while not gone and sent < 30:
        box.send(b"a", [b"answer", ANSWER], lambda: [b"lost"])
        sent += 1
    while not gone:
        await asyncio.sleep(0.01)
    assert gone == [(b"a", True)]
    assert box.empty  # nobody waits for it
    for _ in range(3):
        assert not box.send(b"a", [b"answer", ANSWER], lambda: [b"lost"])
    assert not box.send(b"a", [b"load"])
    heard = [(await client.recv_multipart())[0] for _ in range(sent + 3)]
    assert heard == sorted(heard)  # "answer" before "lost"
    assert heard.count(b"lost") > 3
    while not box.send(b"a", [b"again"]):
        await asyncio.sleep(0.01)
    assert await client.recv() == b"again"
    assert gone == [(b"a", True)]


async def test_one_that_left_meanwhile_is_forgotten(server: tuple[Outbox, Gone, Connect]) -> None:
    box, gone, connect = server
    client = connect(b"a")
    await greeted(box, gone, client, b"a")
    while box.empty:
        box.send(b"a", [ANSWER])
    client.close(linger=0)
    await until_sent(box)
    assert gone == [(b"a", False)]


async def test_one_long_answer_is_kept_however_long(
    server: tuple[Outbox, Gone, Connect], monkeypatch: pytest.MonkeyPatch
) -> None:
    box, gone, connect = server
    client = connect(b"a")
    await greeted(box, gone, client, b"a")
    monkeypatch.setattr(outbox, "MAX_BACKLOG_BYTES", MB)
    monkeypatch.setattr(outbox, "MAX_TOTAL_BYTES", MB)
    sent = 0
    while box.empty:  # until the pipe and the sockets' buffers are full
        assert box.send(b"a", [ANSWER])
        sent += 1
    for _ in range(sent):
        assert len(await client.recv()) == len(ANSWER)
    assert gone == []
