"""Deliveries by themselves: what waits, waits for its own peer; what is not taken is given up."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
import zmq
import zmq.asyncio

from fleet_encoder.errors import ReceiverUnreachable
from fleet_encoder.wire.sglang import push
from fleet_encoder.wire.sglang.push import Push

BIG = bytes(32 << 20)


@pytest.fixture
async def pushing() -> AsyncIterator[Push]:
    each = Push(60)
    yield each
    await each.stop(0)


@pytest.fixture
async def context() -> AsyncIterator["zmq.asyncio.Context"]:
    each = zmq.asyncio.Context()
    yield each
    while sockets:
        sockets.pop().close(linger=0)
    each.term()


sockets: "list[zmq.asyncio.Socket]" = []
"""Open until the test ends: a socket that is merely forgotten is complained about."""


def pull(context: "zmq.asyncio.Context", port: int = 0, *, stuck: bool = False) -> "tuple[zmq.asyncio.Socket, str]":
    taker = context.socket(zmq.PULL)
    sockets.append(taker)
    if stuck:
        taker.setsockopt(zmq.RCVHWM, 1)
        taker.setsockopt(zmq.RCVBUF, 4096)
    taker.bind(f"tcp://127.0.0.1:{port or '*'}")
    return taker, taker.get_string(zmq.LAST_ENDPOINT).rstrip("\0")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        return int(bound.getsockname()[1])


async def test_messages_arrive_whole_and_connections_are_kept_or_not(
    pushing: Push, context: "zmq.asyncio.Context"
) -> None:
    taker, endpoint = pull(context)
    await pushing.send(endpoint, [b"a", memoryview(b"b" * 100_000)], keep=True)
    assert await taker.recv_multipart() == [b"a", b"b" * 100_000]
    assert pushing.connections == 1
    await pushing.send(endpoint, [b"c"], keep=True)
    assert pushing.connections == 1
    await pushing.send(endpoint, [b"d"], keep=False)
    assert [await taker.recv_multipart(), await taker.recv_multipart()] == [[b"c"], [b"d"]]
    assert pushing.connections == 0


async def test_idle_connections_are_closed(
    pushing: Push, context: "zmq.asyncio.Context", monkeypatch: pytest.MonkeyPatch
) -> None:
    _, endpoint = pull(context)
    await pushing.send(endpoint, [b"a"], keep=True)
    pushing.close_idle()
    assert pushing.connections == 1
    monkeypatch.setattr(push, "IDLE_SECONDS", -1.0)
    pushing.close_idle()
    assert pushing.connections == 0


async def test_a_receiver_may_listen_a_little_later(pushing: Push, context: "zmq.asyncio.Context") -> None:
    port = free_port()
    sending = asyncio.ensure_future(pushing.send(f"tcp://127.0.0.1:{port}", [b"a"], keep=False))
    await asyncio.sleep(0.3)
    assert not sending.done()
    taker, _ = pull(context, port)
    await sending
    assert await taker.recv_multipart() == [b"a"]


async def test_nobody_there(pushing: Push, context: "zmq.asyncio.Context", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(push, "CONNECT_SECONDS", 0.5)
    port = free_port()
    taker, endpoint = pull(context)
    dead = [
        asyncio.ensure_future(pushing.send(f"tcp://127.0.0.1:{port}", [b"a"], keep=keep)) for keep in (True, False) * 5
    ]
    await pushing.send(endpoint, [b"b"], keep=True)
    assert await taker.recv_multipart() == [b"b"]
    for each in dead:
        with pytest.raises(ReceiverUnreachable, match=f"127.0.0.1:{port}, took no connection.*SGLANG_HOST_IP"):
            await each
    assert pushing.connections == 1


async def test_a_message_that_is_not_taken_in_time(context: "zmq.asyncio.Context") -> None:
    pushing = Push(0.5)
    _, endpoint = pull(context, stuck=True)
    sending = [asyncio.ensure_future(pushing.send(endpoint, [b"a", BIG], keep=True)) for _ in range(9)]
    done, _ = await asyncio.wait(sending)
    errors = [each.exception() for each in done]
    assert any(isinstance(each, ReceiverUnreachable) and "did not take" in str(each) for each in errors)
    assert pushing.connections == 0
    await pushing.stop(60)  # nothing is left that it would wait for


async def test_a_caller_that_left_takes_its_message_with_it(pushing: Push, context: "zmq.asyncio.Context") -> None:
    port = free_port()
    sending = asyncio.ensure_future(pushing.send(f"tcp://127.0.0.1:{port}", [b"late"], keep=False))
    await asyncio.sleep(0.1)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert pushing.connections == 0
    taker, _ = pull(context, port)
    assert not await taker.poll(1000)
