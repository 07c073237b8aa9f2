"""What many language servers make is not worked out for each of them."""

import asyncio

import pytest

from fleet_operator.consumers import telling
from fleet_operator.consumers.compatibility import Facts
from fleet_operator.consumers.telling import Telling
from fleet_operator.consumers.wished import Wished
from fleet_operator.consumers.wishes import Wishes
from fleet_operator.observed.mirror import Key

ONE, TWO = Key("team", "one"), Key("team", "two")
FACTS = Facts(model_type="qwen2_5_vl")


def test_those_that_say_the_same_shall_have_the_same_until_something_changes() -> None:
    made = list[tuple[Key, Facts, str]]()

    def make(*asked: object) -> Wishes:
        made.append(asked)  # type: ignore[arg-type]
        return Wishes()

    wished = Wished(make)
    for _ in range(100):
        wished.of(ONE, FACTS, "")
        wished.of(TWO, FACTS, "")
    assert made == [(ONE, FACTS, ""), (TWO, FACTS, "")]
    wished.of(ONE, Facts(), "its API refuses")
    assert made[2:] == [(ONE, Facts(), "its API refuses")]
    wished.forget(ONE)
    wished.of(ONE, FACTS, "")
    wished.of(TWO, FACTS, "")
    assert made[3:] == [(ONE, FACTS, "")]
    wished.forget_all()
    wished.of(TWO, FACTS, "")
    assert made[4:] == [(TWO, FACTS, "")]


async def test_a_pool_is_told_of_once_however_many_looks_there_were(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(telling, "SECONDS", 0.05)
    told = list[Key]()

    def tell(key: Key) -> None:
        told.append(key)
        if key == TWO:
            raise RuntimeError("a defect")

    one = Telling(tell)
    running = asyncio.create_task(one.run())
    for _ in range(100):
        one.soon([ONE])
    one.soon([])
    await until_told(told, 1)
    # What comes while it rests is told of together; a defect of one pool is no other's.
    for _ in range(100):
        one.soon([TWO])
    await until_told(told, 2)
    one.soon([ONE])
    await until_told(told, 3)
    assert told == [ONE, TWO, ONE]
    assert "cannot be told" in caplog.text
    running.cancel()


async def until_told(told: list[Key], count: int) -> None:
    async with asyncio.timeout(30):
        while len(told) < count:
            await asyncio.sleep(0.01)
