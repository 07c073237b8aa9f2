"""Meetings of those that want a part and those that have it."""

import asyncio

import pytest

from fleet_encoder.errors import Busy, Expired, Invalid
from fleet_encoder.wire.sglang import receivers as module
from fleet_encoder.wire.sglang.receivers import Receivers
from fleet_encoder.wire.sglang.request import Receiver


def rank(number: int, count: int = 2, req_id: str = "r") -> Receiver:
    return Receiver(req_id, count, f"tcp://127.0.0.1:{number}")


async def test_whoever_comes_first_waits() -> None:
    receivers = Receivers(60)
    receivers.add(rank(1))
    waiting = asyncio.ensure_future(receivers.wait("r", 60))
    await asyncio.sleep(0)
    receivers.add(rank(1))
    await asyncio.sleep(0)
    assert not waiting.done()
    receivers.add(rank(2))
    assert await waiting == ("tcp://127.0.0.1:1", "tcp://127.0.0.1:2")


async def test_a_place_is_good_for_one_delivery() -> None:
    receivers = Receivers(60)
    receivers.add(rank(1, 1))
    assert await receivers.wait("r", 60) == ("tcp://127.0.0.1:1",)
    with pytest.raises(Expired, match="0 of its receivers.*zmq_to_scheduler"):
        await receivers.wait("r", 0.01)


async def test_ranks_must_agree_on_their_count() -> None:
    receivers = Receivers(60)
    receivers.add(rank(1, 2))
    with pytest.raises(Invalid, match="receive_count is 3, another rank of 'r' said 2"):
        receivers.add(rank(2, 3))


async def test_one_that_fails_leaves_one_of_the_same_id_alone() -> None:
    receivers = Receivers(60)
    waiting = asyncio.ensure_future(receivers.wait("r", 60))
    await asyncio.sleep(0)
    receivers.forget("r")
    receivers.add(rank(1, 1))
    assert await waiting == ("tcp://127.0.0.1:1",)
    receivers.add(rank(2, 1, "other"))
    receivers.forget("other")
    with pytest.raises(Expired):
        await receivers.wait("other", 0.01)


async def test_what_nobody_asks_for_is_forgotten() -> None:
    receivers = Receivers(0)
    waiting = asyncio.ensure_future(receivers.wait("awaited", 60))
    await asyncio.sleep(0)
    receivers.add(rank(1, 1, "old"))
    receivers.forget_old()
    receivers.forget_old()
    with pytest.raises(Expired):
        await receivers.wait("old", 0.01)
    receivers.add(rank(1, 1, "awaited"))
    assert await waiting


async def test_a_flood_of_places_keeps_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 10)
    receivers = Receivers(60)
    waiting = asyncio.ensure_future(receivers.wait("r", 60))
    await asyncio.sleep(0)
    for each in range(100):
        receivers.add(rank(1, 1, f"flood-{each}"))
    receivers.add(rank(1, 1))
    assert await waiting == ("tcp://127.0.0.1:1",)
    many = [asyncio.ensure_future(receivers.wait(f"w-{each}", 60)) for each in range(10)]
    await asyncio.sleep(0)
    with pytest.raises(Busy):
        receivers.add(rank(1, 1, "one more"))
    for each in many:
        each.cancel()
    await asyncio.gather(*many, return_exceptions=True)


async def test_a_cancelled_wait_leaves_nothing() -> None:
    receivers = Receivers(60)
    waiting = asyncio.ensure_future(receivers.wait("r", 60))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    receivers.add(rank(1, 1))
    receivers.add(rank(1, 1))
    assert await receivers.wait("r", 60)
