"""An encoder sees to its place in the lists of language servers.

The lists here are ours, so that they can misbehave; `tests/interop` has SGLang's own.
"""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.cluster.certificates import Authority

from conftest import StartEncoder
from speaking_sglang.conftest import SGLANG

MODEL = {"model_type": "qwen2_5_vl", "architectures": ["Qwen2_5_VLForConditionalGeneration"]}


class Lists:
    """A language server: its list of encoders and its API, on two ports.

    Attributes:
        urls: The list.
        calls: What was asked for, in order.
        busy: So many of the next unregistrations are refused.
        away: It does not serve, as while it starts.
        model: What its API says of its model.
        server: What it says of itself beside.
    """

    def __init__(self) -> None:
        self.urls: list[str] = []
        self.calls: list[str] = []
        self.busy = 0
        self.away = False
        self.model: Any = MODEL
        self.server: dict[str, Any] = {"dtype": "auto", "encoder_transfer_backend": "zmq_to_tokenizer"}
        self.bootstrap = self.api = ""

    async def listed(self, _: web.Request) -> web.Response:
        if self.away:
            return web.Response(status=502)
        return web.json_response({"encoder_urls": self.urls})

    async def register(self, request: web.Request) -> web.Response:
        self.calls.append("register")
        self.urls.append((await request.json())["url"])
        return web.Response(text="OK")

    async def unregister(self, request: web.Request) -> web.Response:
        self.calls.append("unregister")
        if self.busy:
            self.busy -= 1
            return web.Response(status=503)
        self.urls.remove((await request.json())["url"])
        return web.Response(text="OK")

    async def server_info(self, _: web.Request) -> web.Response:
        port = int(self.bootstrap.rpartition(":")[2])
        return web.json_response({**self.server, "encoder_bootstrap_port": port})

    async def model_info(self, _: web.Request) -> web.Response:
        return web.json_response(self.model)


async def serve(*routes: web.RouteDef, tls: ssl.SSLContext | None = None) -> tuple[web.AppRunner, str]:
    app = web.Application()
    app.add_routes(routes)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    return runner, f"http{'s' if tls else ''}://127.0.0.1:{runner.addresses[0][1]}"


@asynccontextmanager
async def lists(tls: ssl.SSLContext | None = None) -> AsyncIterator[Lists]:
    """A language server; `tls` is its API's."""
    made = Lists()
    first, made.bootstrap = await serve(
        web.get("/list_encoder_urls", made.listed),
        web.post("/register_encoder_url", made.register),
        web.delete("/unregister_encoder_url", made.unregister),
    )
    second, made.api = await serve(
        web.get("/server_info", made.server_info), web.get("/model_info", made.model_info), tls=tls
    )
    try:
        yield made
    finally:
        await first.cleanup()
        await second.cleanup()


async def until(done: Callable[[], object]) -> None:
    while not await asyncio.to_thread(done):
        await asyncio.sleep(0.05)


async def test_from_ready_to_gone(start_encoder: StartEncoder, qwen2_5_vl: Path) -> None:
    """Registered by the API's address; a list that is lost is filled again; a refusal to unregister is not the end."""
    async with lists() as made:
        encoder = await asyncio.to_thread(
            lambda: start_encoder(qwen2_5_vl, *SGLANG, "--register", made.api).wait_until_ready()
        )
        await until(lambda: made.urls)
        assert made.urls == [encoder.sglang]
        assert encoder.metric("encoder_sglang_registered") == 1
        made.busy = 2
        encoder.terminate()
        assert await asyncio.to_thread(encoder.wait) == 0
        assert made.urls == []
        assert made.calls == ["register", "unregister", "unregister", "unregister"]


async def test_a_restarted_language_server_is_told_anew(start_encoder: StartEncoder, qwen2_5_vl: Path) -> None:
    async with lists() as made:
        encoder = await asyncio.to_thread(
            lambda: start_encoder(qwen2_5_vl, *SGLANG, "--register", made.bootstrap).wait_until_ready()
        )
        await until(lambda: made.urls)
        made.away = True
        await until(lambda: "does not answer, restarting? It is told anew when it is back" in encoder.log)
        made.urls.clear()
        made.away = False
        await until(lambda: made.urls)
        assert made.urls == [encoder.sglang]
        encoder.terminate()
        assert await asyncio.to_thread(encoder.wait) == 0
        assert "cannot register" not in encoder.log
        # It was named by its list, which says nothing of its model.
        assert encoder.log.count("nobody has compared the two") == 1


async def test_an_api_by_https_has_a_list_by_http(
    start_encoder: StartEncoder, qwen2_5_vl: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path / "authority")
    pair = authority.server("IP:127.0.0.1")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(pair.certificate, pair.key)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
    async with lists(tls) as made:
        encoder = await asyncio.to_thread(
            lambda: start_encoder(qwen2_5_vl, *SGLANG, "--register", made.api).wait_until_ready()
        )
        await until(lambda: made.urls)
        assert made.urls == [encoder.sglang]


async def test_of_another_model_it_stays_away(start_encoder: StartEncoder, qwen2_5_vl: Path) -> None:
    async with lists() as made:
        made.model = {**MODEL, "model_type": "qwen2_vl"}
        encoder = await asyncio.to_thread(
            lambda: start_encoder(qwen2_5_vl, *SGLANG, "--register", made.api).wait_until_ready()
        )
        await until(lambda: "INCOMPATIBLE" in encoder.log)
        assert "its model_type is qwen2_vl, here it is qwen2_5_vl" in encoder.log
        made.model = MODEL
        await until(lambda: made.urls)


async def test_of_another_size_it_stays_away(start_encoder: StartEncoder, qwen2_5_vl: Path, tmp_path: Path) -> None:
    """The same architecture; its config.json can be read here."""
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "qwen2_5_vl", "hidden_size": 256}))
    async with lists() as made:
        made.model = {**MODEL, "model_path": str(tmp_path)}
        encoder = await asyncio.to_thread(
            lambda: start_encoder(qwen2_5_vl, *SGLANG, "--register", made.api).wait_until_ready()
        )
        await until(lambda: "INCOMPATIBLE" in encoder.log)
        assert "takes embeddings of width 256, here they have 512" in encoder.log
        made.model = {**MODEL, "model_path": str(qwen2_5_vl)}
        await until(lambda: made.urls)
        assert "doubtful" not in encoder.log


async def test_one_that_a_failed_request_may_end_is_named_once(start_encoder: StartEncoder, qwen2_5_vl: Path) -> None:
    async with lists() as made:
        made.server["encoder_transfer_backend"] = "zmq_to_scheduler"
        encoder = await asyncio.to_thread(
            lambda: start_encoder(qwen2_5_vl, *SGLANG, "--register", made.api).wait_until_ready()
        )
        await until(lambda: made.urls)
        made.away = True
        await until(lambda: "does not answer" in encoder.log)
        made.urls.clear()
        made.away = False
        await until(lambda: made.urls)
        encoder.terminate()
        assert await asyncio.to_thread(encoder.wait) == 0
        assert encoder.log.count("start it with --encoder-transfer-backend zmq_to_tokenizer") == 1


async def test_whatever_answers_there_does_not_end_it(start_encoder: StartEncoder, qwen2_5_vl: Path) -> None:
    async with lists() as made:
        made.model = ["no", "object"]
        encoder = await asyncio.to_thread(
            lambda: start_encoder(qwen2_5_vl, *SGLANG, "--register", made.api).wait_until_ready()
        )
        await until(lambda: "cannot register" in encoder.log)
        assert encoder.get("/readyz")[0] == 200
        assert made.urls == []


async def hostile(answer: Callable[[web.Request], Any]) -> tuple[web.AppRunner, str]:
    """Something that answers whatever is asked for in one way."""
    return await serve(web.route("*", "/{path:.*}", answer))


async def test_hostile_ones_keep_it_from_no_other_and_lead_it_nowhere(
    start_encoder: StartEncoder, qwen2_5_vl: Path
) -> None:
    led: list[str] = []

    async def elsewhere(request: web.Request) -> web.Response:
        led.append(f"{request.method} {request.path}")
        return web.json_response({"encoder_urls": []})

    async def endless(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        while True:
            await answer.write(b" " * 65536)

    async def deep(_: web.Request) -> web.Response:
        return web.Response(text="[" * 100_000, content_type="application/json")

    async def silent(_: web.Request) -> web.Response:
        await asyncio.sleep(3600)
        return web.Response()

    async with lists() as made:
        runners = [await hostile(elsewhere)]

        async def redirect(request: web.Request) -> web.Response:
            raise web.HTTPTemporaryRedirect(f"{runners[0][1]}{request.path}")

        runners += [await hostile(each) for each in (redirect, endless, deep, silent)]
        addresses = [address for _, address in runners[1:]]
        try:
            encoder = await asyncio.to_thread(
                lambda: start_encoder(
                    qwen2_5_vl, *SGLANG, "--register", ",".join([*addresses, made.api])
                ).wait_until_ready()
            )
            await until(lambda: made.urls)
            told = ("it answers HTTP 307", "it answers with too much", "is not what", "it does not answer within 3 s")
            await until(lambda: all(each in encoder.log for each in told))
            assert encoder.get("/readyz")[0] == 200
            assert led == []
        finally:
            for runner, _ in runners:
                await runner.cleanup()
