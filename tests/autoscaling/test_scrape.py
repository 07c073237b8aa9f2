"""Reading encoders over real sockets."""

import asyncio

import pytest

from autoscaling.encoders import dribble, serving, tell
from fleet_operator.scaling import scrape
from fleet_operator.scaling.scrape import Scraper

PATIENCE = 60


async def read(addresses: dict[str, str]) -> tuple[set[str], list[str]]:
    """Who was read, and how each reading ended."""
    outcomes: list[str] = []
    async with Scraper(outcomes.append) as scraper:
        readings = await asyncio.wait_for(scraper.read(addresses), PATIENCE)
    return set(readings), sorted(outcomes)


async def test_one_that_answers_without_end_is_one_that_does_not_answer() -> None:
    async with serving(dribble) as endless, serving(tell) as good:
        assert await read({"endless": endless, "good": good}) == ({"good"}, ["ok", "unreachable"])


async def test_one_that_waits_for_its_turn_loses_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scrape, "CONNECTIONS", 1)
    async with serving(dribble) as endless, serving(tell) as good:
        assert await read({"endless": endless, "good": good}) == ({"good"}, ["ok", "unreachable"])


async def test_nobody_listens_and_no_encoder_listens() -> None:
    async def other(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 28\r\n\r\nencoder_ready{,\t=  =1ba}\r\n\r\n")
        await writer.drain()

    async with serving() as gone:
        pass
    async with serving(other) as strange:
        assert await read({"gone": gone, "strange": strange}) == (set(), ["not_metrics", "unreachable"])
