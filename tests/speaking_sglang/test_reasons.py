"""Why a language server could not be asked: each way met on a socket of this machine."""

import asyncio
import socket
from collections.abc import Callable

import pytest
from aiohttp import web

from fleet_encoder.wire.sglang.asking import Asker, Info, NoAnswerError


async def met(port: int) -> NoAnswerError:
    """The error of asking there."""
    async with Asker() as asker:
        with pytest.raises(NoAnswerError) as caught:
            await asker.get(f"http://127.0.0.1:{port}/server_info", Info)
    return caught.value


async def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    error = await met(port)
    assert error.silent
    assert str(error) == f"127.0.0.1:{port} refuses connections"


async def test_nobody_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        error = await met(listening.getsockname()[1])
    assert error.silent
    assert "does not answer within" in str(error)


async def test_it_hangs_up() -> None:
    def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        error = await met(server.sockets[0].getsockname()[1])
    assert error.silent
    assert "ssl" not in str(error)


@pytest.mark.parametrize(
    ("answer", "is_silent", "words"),
    [
        (lambda: web.Response(status=502), True, "it answers HTTP 502"),
        (lambda: web.Response(status=404), False, "it answers HTTP 404"),
        (lambda: web.Response(text="{", content_type="application/json"), False, "not what a language server says"),
    ],
)
async def test_something_answers(answer: Callable[[], web.Response], is_silent: bool, words: str) -> None:
    async def handle(_: web.Request) -> web.Response:
        return answer()

    app = web.Application()
    app.router.add_get("/server_info", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        error = await met(runner.addresses[0][1])
    finally:
        await runner.cleanup()
    assert error.silent == is_silent
    assert words in str(error)
