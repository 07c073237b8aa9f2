"""What is encoded and not taken is bounded: whoever has waited longest is given up."""

import asyncio

import pytest

from fleet_encoder.errors import ReceiverUnreachable
from fleet_encoder.wire.sglang import outgoing
from fleet_encoder.wire.sglang.outgoing import Outgoing


async def held(all_of_it: Outgoing, size: int, taken: asyncio.Event) -> str:
    async with all_of_it.hold(size):
        await taken.wait()
    return "taken"


async def test_the_oldest_goes_where_there_is_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outgoing, "MAX_BYTES", 100)
    all_of_it, taken = Outgoing(), asyncio.Event()
    tasks = []
    for size in (40, 40, 20, 30, 60):
        tasks.append(asyncio.create_task(held(all_of_it, size, taken)))
        await asyncio.sleep(0)
    # 40 40 20 fit; the 30 costs the first one; the 60 the second and the 20.
    _, waiting = await asyncio.wait(tasks[:3], timeout=30)
    assert not waiting
    for each in tasks[:3]:
        with pytest.raises(ReceiverUnreachable, match="does it still run"):
            each.result()
    assert all_of_it.bytes == 90
    taken.set()
    assert await asyncio.gather(*tasks[3:]) == ["taken", "taken"]
    assert all_of_it.bytes == 0


async def test_one_alone_may_be_larger(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outgoing, "MAX_BYTES", 100)
    all_of_it, taken = Outgoing(), asyncio.Event()
    taken.set()
    assert await held(all_of_it, 1000, taken) == "taken"


async def test_who_is_cancelled_is_cancelled() -> None:
    all_of_it = Outgoing()
    task = asyncio.create_task(held(all_of_it, 10, asyncio.Event()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert all_of_it.bytes == 0
