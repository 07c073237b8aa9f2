"""A language server's list of encoders and its API, as far as they are asked, on sockets of this machine."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

MODEL = {"model_path": "/m", "model_type": "qwen2_5_vl", "architectures": ["Qwen2_5_VLForConditionalGeneration"]}
SERVER = {"dtype": "auto", "revision": None, "encoder_transfer_backend": "zmq_to_tokenizer", "language_only": True}


_DEEP = f'{{"encoder_urls": {"[" * 100_000}{"]" * 100_000}}}'


class LanguageServer:
    """One. `urls` is its list.

    Attributes:
        manner: How it answers: `well`, `hangs`, `fails`, `nonsense`, `deep` (a list in a list, and so on), or
            `forgets`: it takes encoders, and does not list them.
        model: What `/model_info` says; None: it is not served.
        takes_none: It says nothing when it is told of encoders.
        api_hangs: Its API takes requests, and does not answer.
        asked: Requests so far, as `POST url`.
        looks: How often its list was asked for.
    """

    def __init__(self, urls: list[str] | None = None) -> None:
        self.urls = urls if urls is not None else []
        self.manner = "well"
        self.model: dict[str, Any] | None = dict(MODEL)
        self.server: dict[str, Any] = dict(SERVER)
        self.api_status = 200
        self.api_hangs = False
        self.takes_none = False
        self.asked: list[str] = []
        self.looks = 0
        self.port = 0

    @asynccontextmanager
    async def running(self, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator["LanguageServer"]:
        """Serve list and API on one port."""
        app = web.Application()
        app.router.add_get("/list_encoder_urls", self._list)
        app.router.add_post("/register_encoder_url", self._register)
        app.router.add_delete("/unregister_encoder_url", self._unregister)
        app.router.add_get("/model_info", self._model_info)
        app.router.add_get("/server_info", self._server_info)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        listening = socket.create_server((host, port))
        self.port = listening.getsockname()[1]
        await web.SockSite(runner, listening).start()
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _behave(self) -> None:
        if self.manner == "hangs":
            await asyncio.sleep(60)
        if self.manner == "fails":
            raise web.HTTPInternalServerError

    async def _list(self, _: web.Request) -> web.Response:
        self.looks += 1
        await self._behave()
        if self.manner == "deep":
            return web.Response(text=_DEEP, content_type="application/json")
        return web.json_response(["x"] if self.manner == "nonsense" else {"encoder_urls": self.urls})

    async def _register(self, request: web.Request) -> web.Response:
        await self._behave()
        url = (await request.json())["url"]
        self.asked.append(f"POST {url}")
        if self.takes_none:
            await asyncio.sleep(60)
        if url not in self.urls and self.manner != "forgets":
            self.urls.append(url)
        return web.Response(text="OK")

    async def _unregister(self, request: web.Request) -> web.Response:
        await self._behave()
        url = (await request.json())["url"]
        self.asked.append(f"DELETE {url}")
        if url in self.urls:
            self.urls.remove(url)
        return web.Response(text="OK")

    async def _model_info(self, _: web.Request) -> web.Response:
        if self.api_hangs:
            await asyncio.sleep(60)
        if self.model is None:
            raise web.HTTPNotFound
        if self.manner == "deep":
            return web.Response(text=_DEEP, content_type="application/json")
        return web.json_response(self.model, status=self.api_status)

    async def _server_info(self, _: web.Request) -> web.Response:
        return web.json_response(self.server, status=self.api_status)
