"""From starting to gone: in a language server's list only while ready, and yet nobody who still asks is turned away."""

import asyncio
import base64
import json
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import web

from conftest import EncoderProcess, StartEncoder
from fetching.hosts import web_host
from fleet_encoder.wire.sglang.quiet import FAILURES, SHORTEST_SECONDS
from peer import unique_jpeg
from speaking_sglang.conftest import SGLANG, sglang_url
from speaking_sglang.language_server import language_server


def fresh(photos: Path, number: int) -> str:
    return base64.b64encode(unique_jpeg(photos / "rocket.jpg", number)).decode()


async def until(done: object, *arguments: object) -> None:
    assert callable(done)
    while not await asyncio.to_thread(done, *arguments):
        await asyncio.sleep(0.05)


async def test_while_it_starts(start_encoder: StartEncoder, qwen2_5_vl: Path, photos: Path, tmp_path: Path) -> None:
    """Its weights lie on a disk that never answers."""
    model = tmp_path / "model"
    shutil.copytree(qwen2_5_vl, model)
    (weights,) = model.glob("*.safetensors")
    weights.unlink()
    os.mkfifo(weights)
    encoder = start_encoder(model, *SGLANG)
    url = await asyncio.to_thread(sglang_url, encoder)
    async with language_server(url) as server:
        for path in ("/health", "/health_generate"):
            status, text = await server.get(path)
            assert status == 503
            assert "starting" in text
        answer = await server.encode([fresh(photos, 1)])
        assert answer.status == 503
        assert "Retry-After" in answer.headers
        status, text = await server.get("/model_info")
        assert status == 200
        assert '"is_encoder": true' in text


async def test_a_drain_serves_what_still_comes(start_encoder: StartEncoder, qwen2_5_vl: Path, photos: Path) -> None:
    """Nobody told it who has it in --encoder-urls: so it stays until nobody has asked for a while."""
    encoder = start_encoder(qwen2_5_vl, *SGLANG, "--drain-seconds", "60").wait_until_ready()
    async with language_server(sglang_url(encoder)) as server:
        assert (await server.ask([fresh(photos, 99)], req_id="early_local_part_0")).rows is not None
        encoder.terminate()
        await until(lambda: "draining" in encoder.log)
        for number in range(3):
            assert (await server.ask([fresh(photos, number)], req_id=f"late-{number}_local_part_0")).rows is not None
    assert await asyncio.to_thread(encoder.wait) == 0
    assert "drained" in encoder.log
    assert "unfinished=0" in encoder.log.replace("\x1b[0m", "").replace("\x1b[36m", "").replace("\x1b[35m", "")


async def test_a_drain_stays_until_who_polls_its_health_has_seen_it_fail_three_times(
    start_encoder: StartEncoder, qwen2_5_vl: Path
) -> None:
    """As SGLang's language server does it: then it takes the encoder off its list, and not before."""
    encoder = start_encoder(qwen2_5_vl, *SGLANG, "--drain-seconds", "60").wait_until_ready()
    seen: list[int] = []
    async with language_server(sglang_url(encoder)) as server:

        async def poll() -> None:
            while True:
                await asyncio.sleep(2 * SHORTEST_SECONDS)
                seen.append((await server.get("/health"))[0])

        polling = asyncio.ensure_future(poll())
        await until(lambda: len(seen) == 3)
        encoder.terminate()
        assert await asyncio.to_thread(encoder.wait) == 0
        polling.cancel()
        await asyncio.gather(polling, return_exceptions=True)
    assert seen[:3] == [200] * 3
    assert seen.count(503) >= FAILURES
    assert "drained" in encoder.log


async def test_a_drain_waits_for_deliveries(start_encoder: StartEncoder, qwen2_5_vl: Path, photos: Path) -> None:
    """What is encoded already, and waits for a rank to tell where it is."""
    encoder = start_encoder(qwen2_5_vl, *SGLANG, "--drain-seconds", "60").wait_until_ready()
    async with language_server(sglang_url(encoder)) as server:
        asked = asyncio.ensure_future(server.encode([fresh(photos, 1)], embedding_port=None))
        await until(lambda: encoder.metric("encoder_items_total", status="OK") == 1)
        encoder.terminate()
        await until(lambda: "draining" in encoder.log)
        assert (await server.tell("r_local_part_0", server.port)).status == 200
        assert (await asked).status == 200
        assert (await server.receive()).rows is not None
    assert await asyncio.to_thread(encoder.wait) == 0


async def test_a_drain_waits_for_a_body_that_is_on_its_way(
    start_encoder: StartEncoder, qwen2_5_vl: Path, photos: Path
) -> None:
    encoder = start_encoder(qwen2_5_vl, *SGLANG, "--drain-seconds", "60").wait_until_ready()
    async with language_server(sglang_url(encoder)) as server:
        body = json.dumps(server.request([fresh(photos, 1)])).encode()
        half = len(body) // 2

        async def slowly() -> AsyncIterator[bytes]:
            yield body[:half]
            await until(lambda: encoder.metric("encoder_ready") == 1)
            encoder.terminate()
            await until(lambda: "draining" in encoder.log)
            await asyncio.sleep(2 * SHORTEST_SECONDS)  # time to close too early
            yield body[half:]

        async with server.session.post(server.url + "/encode", data=slowly()) as reply:
            assert reply.status == 200
        assert (await server.receive()).rows is not None
    assert await asyncio.to_thread(encoder.wait) == 0


async def test_a_drain_ends_in_time_whoever_waits(start_encoder: StartEncoder, qwen2_5_vl: Path, photos: Path) -> None:
    """For a host that never answers, and for ranks that never tell where they are."""

    async def never(_: web.Request) -> web.Response:
        await asyncio.Event().wait()
        return web.Response()

    encoder = start_encoder(qwen2_5_vl, *SGLANG, "--drain-seconds", "3").wait_until_ready()
    async with language_server(sglang_url(encoder)) as server, web_host(never) as host:
        asked = [
            asyncio.ensure_future(server.encode([host.url], req_id="a_local_part_0")),
            asyncio.ensure_future(server.encode([fresh(photos, 1)], req_id="b_local_part_0", embedding_port=None)),
        ]
        await until(lambda: encoder.metric("encoder_items_total", status="OK") == 1)
        encoder.terminate()
        assert await asyncio.to_thread(encoder.wait) == 0
        for each in await asyncio.gather(*asked, return_exceptions=True):
            assert isinstance(each, BaseException) or each.status in (500, 503)


def descriptors(encoder: EncoderProcess) -> int:
    """That it has open."""
    return len(os.listdir(f"/proc/{encoder.process.pid}/fd"))


async def test_many_requests_leave_nothing_behind(start_encoder: StartEncoder, qwen2_5_vl: Path, photos: Path) -> None:
    encoder = start_encoder(qwen2_5_vl, *SGLANG, "--max-pending-patches", "2000000").wait_until_ready()
    items = [fresh(photos, number) for number in range(40)]
    async with language_server(sglang_url(encoder)) as server:

        async def one(number: int) -> int:
            """Each with a port of its own, as SGLang's tokenizer has it; every fifth of a scheduler."""
            name, item = f"many-{number}_local_part_0", items[number % len(items)]
            if number % 5 == 0:
                asked = asyncio.ensure_future(server.encode([item], req_id=name, embedding_port=None))
                assert (await server.tell(name, server.port)).status == 200
                return (await asked).status
            taker, port = server.pull()
            answer = await server.encode([item], req_id=name, embedding_port=port)
            assert answer.status == 200, answer.body
            assert (await server.receive(taker)).about.req_id == name
            taker.close(linger=0)
            return answer.status

        assert await asyncio.gather(*[one(number) for number in range(20)]) == [200] * 20
        before = descriptors(encoder)
        assert await asyncio.gather(*[one(number) for number in range(20, 520)]) == [200] * 500
        hung_up = [
            asyncio.ensure_future(server.encode([fresh(photos, number)], req_id=f"gone-{number}_local_part_0"))
            for number in range(1, 50)
        ]
        await until(lambda: encoder.metric("encoder_sglang_requests_received_total") >= 520 + 25)
        for each in hung_up:
            each.cancel()
        await asyncio.gather(*hung_up, return_exceptions=True)
        for name in ("encoder_pending_items", "encoder_pending_patches", "encoder_pending_bytes"):
            await until(lambda name=name: encoder.metric(name) == 0)
        # The scheduler's connection is kept; all others are closed.
        await until(lambda: descriptors(encoder) <= before + 5)
