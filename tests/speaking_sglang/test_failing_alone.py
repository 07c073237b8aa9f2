"""What goes wrong costs its own request, and nobody else's; and its sender reads what to do."""

import asyncio
import base64
import io
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import zmq
from aiohttp import web
from PIL import Image

from conftest import EncoderProcess, StartEncoder
from fetching.hosts import web_host
from peer import unique_jpeg
from speaking_sglang.conftest import SGLANG, sglang_url
from speaking_sglang.language_server import LanguageServer, language_server

number = iter(range(1 << 30))


def fresh(photos: Path) -> str:
    """An image that no cache has."""
    return base64.b64encode(unique_jpeg(photos / "rocket.jpg", next(number))).decode()


def req_id() -> str:
    return f"request-{next(number)}_local_part_0"


def bomb() -> str:
    """A small file of far too many pixels."""
    out = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode()


async def never(_: web.Request) -> web.Response:
    await asyncio.Event().wait()
    return web.Response()


async def until_idle(encoder: EncoderProcess) -> None:
    """Until it holds nothing of any request."""
    names = ("encoder_pending_items", "encoder_pending_patches", "encoder_pending_bytes")
    while any([await asyncio.to_thread(encoder.metric, name) for name in names]):
        await asyncio.sleep(0.05)


async def until_pending(encoder: EncoderProcess, count: int) -> None:
    while await asyncio.to_thread(encoder.metric, "encoder_pending_items") < count:
        await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("item", "status", "text"),
    [
        ("bm90IGFuIGltYWdl", 400, "image"),
        ("not base64!", 400, "base64"),
        ("file:///nonexistent.jpg", 400, "localRoot"),
        ("http://127.0.0.1:1/x.png", 400, "http://127.0.0.1:1"),
        ("http://169.254.169.254/latest", 400, "169.254.169.254"),
        ("bomb", 413, "pixels"),
        ({"url": "data:,hi", "content_hash": "0" * 64}, 400, "content_hash"),
    ],
)
async def test_a_bad_item_fails_its_own_request(
    server: LanguageServer, photos: Path, item: object, status: int, text: str
) -> None:
    bad = bomb() if item == "bomb" else item
    answers = await asyncio.gather(
        server.encode([fresh(photos)], req_id="before_local_part_0" + req_id()),
        server.encode([fresh(photos), bad], req_id="bad_local_part_0" + req_id()),
        server.encode([fresh(photos)], req_id="after_local_part_0" + req_id()),
    )
    assert [each.status for each in answers] == [200, status, 200], answers[1].body
    assert text in answers[1].body["message"]
    assert answers[1].body["status"] == "error"
    assert answers[1].body["req_id"].startswith("bad")
    parts = [await server.receive() for _ in range(3)]
    (failure,) = [each.about for each in parts if each.rows is None]
    assert failure.req_id == answers[1].body["req_id"]
    assert failure.error_code == status
    assert failure.error_msg == answers[1].body["message"]


async def test_a_bad_item_of_a_scheduler_is_told_by_the_answer(server: LanguageServer, photos: Path) -> None:
    answer = await server.encode(["bm90IGFuIGltYWdl"], embedding_port=None, req_id=req_id())
    assert answer.status == 400
    assert await server.nothing_more()


async def test_a_scheduler_that_waits_for_a_bad_item_is_told_where_it_waits(server: LanguageServer) -> None:
    name = req_id()
    assert (await server.tell(name, server.port)).status == 200
    answer = await server.encode(["bm90IGFuIGltYWdl"], embedding_port=None, req_id=name)
    failure = await server.receive()
    assert (failure.rows, failure.about.req_id, failure.about.error_code) == (None, name, answer.status)
    assert failure.about.error_msg == answer.body["message"]


async def test_what_is_full_says_so_at_once(start_encoder: StartEncoder, qwen2_5_vl: Path, photos: Path) -> None:
    """Others wait for a host that never answers; whoever comes then does not wait with them."""
    encoder = start_encoder(qwen2_5_vl, *SGLANG, "--max-pending-patches", "1").wait_until_ready()
    async with language_server(sglang_url(encoder)) as server, web_host(never) as host:
        waits = asyncio.ensure_future(server.encode([host.url], req_id=req_id()))
        await until_pending(encoder, 1)
        answer = await server.encode([fresh(photos)], req_id=req_id())
        assert answer.status == 503
        assert int(answer.headers["Retry-After"]) >= 1
        assert "retry later" in answer.body["message"]
        assert not waits.done()
        waits.cancel()
        await until_idle(encoder)
        assert (await server.encode([fresh(photos)], req_id=req_id())).status == 200


async def test_a_caller_that_hangs_up_takes_its_work_with_it(
    sglang_encoder: EncoderProcess, server: LanguageServer, photos: Path
) -> None:
    """Its other items were not begun: they would be computed where anybody waited."""
    async with web_host(never) as host:
        asked = [
            asyncio.ensure_future(server.encode([host.url], req_id=req_id(), num_parts=9, part_idx=each))
            for each in range(9)
        ]
        await until_pending(sglang_encoder, 9)
        computed = sglang_encoder.metric("encoder_items_total", status="OK")
        for each in asked:
            each.cancel()
        await until_idle(sglang_encoder)
    assert sglang_encoder.metric("encoder_items_total", status="OK") == computed
    assert sglang_encoder.metric("encoder_items_total", status="CANCELLED") >= 9
    assert await server.nothing_more()


async def test_a_caller_that_hangs_up_with_its_embedding_is_a_success(
    sglang_encoder: EncoderProcess, server: LanguageServer, photos: Path
) -> None:
    """SGLang's tokenizer does not wait for the answer of a request whose embedding it has."""

    def answered(status: str) -> float:
        return sglang_encoder.metric("encoder_sglang_requests_total", status=status)

    succeeded, failed = answered("success"), answered("error")
    for _ in range(10):
        asked = asyncio.ensure_future(server.encode([fresh(photos)], req_id=req_id()))
        assert (await server.receive()).rows is not None
        asked.cancel()
        await asyncio.wait([asked])
    await until_idle(sglang_encoder)
    while answered("success") + answered("error") < succeeded + failed + 10:
        await asyncio.sleep(0.05)
    assert (answered("success"), answered("error")) == (succeeded + 10, failed)


async def test_a_slow_url_delays_nobody_else(server: LanguageServer, photos: Path) -> None:
    async with web_host(never) as host:
        slow = [asyncio.ensure_future(server.encode([host.url], req_id=req_id())) for _ in range(20)]
        for _ in range(5):
            assert (await server.ask([fresh(photos)], req_id=req_id())).rows is not None
        assert not any(each.done() for each in slow)
        for each in slow:
            each.cancel()


async def test_a_dead_destination_costs_its_own_request(server: LanguageServer, photos: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port = bound.getsockname()[1]
    dead = [
        asyncio.ensure_future(server.encode([fresh(photos)], req_id=req_id(), embedding_port=port)) for _ in range(12)
    ]
    for _ in range(5):
        assert (await server.ask([fresh(photos)], req_id=req_id())).rows is not None
    for answer in await asyncio.gather(*dead):
        assert answer.status == 502
        assert f"127.0.0.1:{port}" in answer.body["message"]


async def test_a_port_of_another_kind_is_a_dead_destination(server: LanguageServer, photos: Path) -> None:
    """It takes the connection, and speaks no ZMQ: it must not get an embedding."""
    got = bytearray()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(1 << 16):
            got.extend(piece)
        writer.close()

    other = await asyncio.start_server(listen, "127.0.0.1", 0)
    answer = await server.encode([fresh(photos)], req_id=req_id(), embedding_port=other.sockets[0].getsockname()[1])
    other.close()
    assert answer.status == 502
    assert len(got) < 1000


@pytest.mark.parametrize("times", [2, 10])
async def test_one_part_is_delivered_once(server: LanguageServer, photos: Path, times: int) -> None:
    item, name = fresh(photos), req_id()
    answers = await asyncio.gather(*[server.encode([item], req_id=name) for _ in range(times)])
    assert sorted(each.status for each in answers) == [200] + [409] * (times - 1)
    late = await server.encode([item], req_id=name)
    assert late.status == 409
    assert "asked for before" in late.body["message"]
    assert (await server.receive()).rows is not None
    assert await server.nothing_more()


async def test_one_part_of_a_scheduler_is_delivered_once(server: LanguageServer, photos: Path) -> None:
    item, name = fresh(photos), req_id()
    asked = [asyncio.ensure_future(server.encode([item], req_id=name, embedding_port=None)) for _ in range(5)]
    done, waiting = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
    while len(done) < 4:
        more, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        done |= more
    assert {each.result().status for each in done} == {409}
    assert (await server.tell(name, server.port)).status == 200
    (last,) = waiting
    assert (await last).status == 200
    assert (await server.receive()).rows is not None
    assert await server.nothing_more()


async def test_a_part_that_failed_may_be_asked_for_again(server: LanguageServer, photos: Path) -> None:
    name = req_id()
    assert (await server.encode(["bm90IGFuIGltYWdl"], req_id=name)).status == 400
    assert (await server.receive()).rows is None
    assert (await server.ask([fresh(photos)], req_id=name)).rows is not None


async def test_a_hash_that_does_not_fit_is_refused(server: LanguageServer, photos: Path) -> None:
    item = {"url": fresh(photos), "content_hash": "sha256:" + "0" * 64}
    answer = await server.encode([item], req_id=req_id())
    assert answer.status == 400
    assert "it has changed since" in answer.body["message"]
    assert (await server.receive()).about.error_code == 400


@pytest.mark.parametrize("path", ["/send", "/scheduler_receive_meta_data"])
async def test_mooncake_is_told_of_zmq(server: LanguageServer, path: str) -> None:
    answer = await server.post(path, {"req_id": "r"})
    assert answer.status == 501
    assert "--encoder-transfer-backend zmq_to_tokenizer" in answer.body["message"]


@pytest.fixture
async def small(start_encoder: StartEncoder, qwen2_5_vl: Path) -> AsyncIterator[tuple[EncoderProcess, LanguageServer]]:
    """An encoder that takes bodies up to 2 MB."""
    encoder = start_encoder(qwen2_5_vl, *SGLANG, "--max-pending-bytes", "1000000").wait_until_ready()
    async with language_server(sglang_url(encoder)) as server:
        yield encoder, server


async def raw(server: LanguageServer, request: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, _, port = server.url.removeprefix("http://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request)
    await writer.drain()
    return reader, writer


async def test_bodies_are_judged_before_they_are_read(
    small: tuple[EncoderProcess, LanguageServer], photos: Path
) -> None:
    _, server = small
    head = b"POST /encode HTTP/1.1\r\nHost: e\r\nContent-Type: application/json\r\n"
    reader, writer = await raw(server, head + b"Content-Length: 100000000000\r\n\r\n")
    assert b" 413 " in await reader.readline()
    writer.close()
    # In chunks nobody says how long it will be.
    reader, writer = await raw(server, head + b"Transfer-Encoding: chunked\r\n\r\n")
    chunk = b"10000\r\n" + bytes(0x10000) + b"\r\n"
    for _ in range(40):
        writer.write(chunk)
        await writer.drain()
    assert b" 413 " in await reader.readline()
    writer.close()
    answer = await server.post("/encode", b"\x1f\x8b" + bytes(50), headers={"Content-Encoding": "gzip"})
    assert answer.status == 400

    # Whoever announces a body and sends none takes nothing from the others.
    silent = [await raw(server, head + b"Content-Length: 1900000\r\n\r\n{") for _ in range(20)]
    assert (await server.ask([fresh(photos)], req_id=req_id())).rows is not None
    for _, writer in silent:
        writer.close()


async def test_where_a_part_is_wanted_leaves_nothing_behind(small: tuple[EncoderProcess, LanguageServer]) -> None:
    """Bodies of a few thousand characters, 2 MB in all: more than the encoder may hold."""
    _, server = small
    for each in range(500):
        body = {"req_id": f"{each}", "receive_count": 1, "receive_url": "127.0.0.1:5", "more": "x" * 4000}
        answer = await server.post("/scheduler_receive_url", body)
        assert answer.status == 200, answer.body


async def test_a_server_that_takes_nothing_costs_its_own_request(
    start_encoder: StartEncoder, qwen2_5_vl: Path, photos: Path
) -> None:
    flags = (*SGLANG, "--send-seconds", "3", "--drain-seconds", "5")
    encoder = start_encoder(qwen2_5_vl, *flags).wait_until_ready()
    async with language_server(sglang_url(encoder)) as server:
        stuck = server.context.socket(zmq.PULL)
        server.sockets.append(stuck)
        stuck.setsockopt(zmq.RCVHWM, 1)
        stuck.setsockopt(zmq.RCVBUF, 4096)
        port = stuck.bind_to_random_port("tcp://127.0.0.1")
        answers = []
        while not any(each.status == 502 for each in answers):
            ask = [
                server.encode([fresh(photos)] * 8, req_id=req_id(), embedding_port=[port, server.port])
                for _ in range(8)
            ]
            answers = await asyncio.gather(*ask)
        assert "did not take its embedding" in "".join(each.body["message"] for each in answers if each.body)
        assert (await server.encode([fresh(photos)], req_id=req_id())).status == 200
    encoder.terminate()
    assert await asyncio.to_thread(encoder.wait) == 0
