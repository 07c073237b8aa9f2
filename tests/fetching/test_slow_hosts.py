"""A slow host costs its own callers time, and nobody else."""

import asyncio

import aiohttp
import pytest
from aiohttp import web

from fetching.hosts import PUBLIC, Names, fetcher, raw_host, web_host
from fleet_encoder.errors import Busy, Expired, MediaUnreachable
from fleet_encoder.sources import fetch as fetching
from fleet_encoder.sources import http
from fleet_encoder.sources.shares import HostTurns


async def fine(request: web.Request) -> web.Response:
    return web.Response(body=b"fine")


async def never(request: web.Request) -> web.Response:
    await asyncio.Event().wait()
    return web.Response()


async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A byte now and then: no single read takes long."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.01)


async def drip_head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("host_kind", [say_nothing, drip, drip_head])
async def test_the_items_deadline_ends_it(host_kind: object) -> None:
    async with raw_host(host_kind) as host, fetcher() as fetch:  # type: ignore[arg-type]
        with pytest.raises(Expired, match="deadline"):
            await fetch.fetch(host.url, 0.3)
        assert fetch.held_bytes == 0


@pytest.mark.parametrize("timeout", [0, -1.5])
async def test_a_deadline_that_has_passed_asks_nobody(timeout: float) -> None:
    async with web_host(fine) as host, fetcher() as fetch:
        with pytest.raises(Expired):
            await fetch.fetch(host.url, timeout)
        assert host.requests == []


@pytest.mark.parametrize("host_kind", [drip, drip_head])
async def test_without_a_deadline_there_is_an_end_too(host_kind: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "MAX_SECONDS", 0.3)
    async with raw_host(host_kind) as host, fetcher() as fetch:  # type: ignore[arg-type]
        for timeout in (None, 1000.0):
            with pytest.raises(MediaUnreachable, match="serve it faster"):
                await fetch.fetch(host.url, timeout)


async def test_silence_in_the_middle_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "TIMEOUT", aiohttp.ClientTimeout(total=None, sock_read=0.2))

    async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc")
        await reader.read()

    async with raw_host(stall) as host, fetcher() as fetch:
        with pytest.raises(MediaUnreachable, match="too slow"):
            await fetch.fetch(host.url, None)


async def test_a_caller_who_leaves_hangs_up() -> None:
    heard_end = asyncio.Event()
    asked = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await reader.read()
        heard_end.set()

    async with raw_host(serve) as host, fetcher() as fetch:
        task = asyncio.create_task(fetch.fetch(host.url, None))
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(heard_end.wait(), 30)
        assert fetch.held_bytes == 0


async def test_a_host_that_never_answers_leaves_room_for_the_others() -> None:
    names = Names(slow_example=[[PUBLIC]], fast_example=[[PUBLIC]])
    most = http.PER_HOST + http.WAITING_PER_HOST
    assert most < http.TOTAL
    async with web_host(never) as slow, web_host(fine) as fast, fetcher(resolver=names) as fetch:
        stuck = [asyncio.create_task(fetch.fetch(f"http://slow.example:{slow.port}/{n}", None)) for n in range(most)]
        while len(slow.requests) < http.PER_HOST:
            await asyncio.sleep(0)
        with pytest.raises(Busy, match=r"slow\.example") as caught:
            await fetch.fetch(f"http://slow.example:{slow.port}/", None)
        assert caught.value.retry_after > 0
        served = await asyncio.gather(
            *(fetch.fetch(f"http://fast.example:{fast.port}/", None) for _ in range(200)), return_exceptions=True
        )
        assert served.count(b"fine") >= most  # what one host may have at a time; nobody waited for the slow one
        assert {type(each) for each in served if each != b"fine"} <= {Busy}
        assert len(slow.requests) == http.PER_HOST
        for task in stuck:
            task.cancel()
        await asyncio.gather(*stuck, return_exceptions=True)


async def test_turns_come_back_when_a_waiting_caller_leaves() -> None:
    turns = HostTurns(total=2, per_host=1, waiting=1)
    let_go = asyncio.Event()

    async def use(host: str) -> str:
        async with turns.take(host):
            await let_go.wait()
            return host

    first = asyncio.create_task(use("a"))
    waiting = asyncio.create_task(use("a"))
    await asyncio.sleep(0)
    with pytest.raises(Busy):
        await use("a")
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    second = asyncio.create_task(use("a"))
    await asyncio.sleep(0)
    assert not second.done()
    let_go.set()
    assert await asyncio.gather(first, second) == ["a", "a"]
    assert await use("a") == "a"


async def test_whoever_waits_for_a_hosts_turn_holds_no_place_among_all() -> None:
    turns = HostTurns(total=2, per_host=1, waiting=10)
    let_go = asyncio.Event()

    async def use(host: str) -> str:
        async with turns.take(host):
            if host == "slow":
                await let_go.wait()
            return host

    slow = [asyncio.create_task(use("slow")) for _ in range(5)]
    await asyncio.sleep(0)
    assert await use("fast") == "fast"
    assert not any(task.done() for task in slow)
    let_go.set()
    assert await asyncio.gather(*slow) == ["slow"] * 5
