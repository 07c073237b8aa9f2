"""A reverse proxy before the API server, in which a test can be the network: kill, delay, refuse, fall silent.

Whoever asks through it is the cluster's admin.
"""

import asyncio
import base64
import json
import ssl
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from aiohttp import web

WRITES = ("POST", "PUT", "PATCH", "DELETE")
REVIEW = "selfsubjectaccessreviews"
_HOP_BY_HOP = {"transfer-encoding", "content-encoding", "content-length", "connection", "host"}


class Request:
    """What the operator asked."""

    def __init__(self, method: str, path: str, query: str) -> None:
        self.method = method
        self.path = path
        self.query = query
        self.watch = "watch=true" in query
        self.write = method in WRITES and REVIEW not in path

    def __repr__(self) -> str:
        return f"{self.method} {self.path}"


Meddle = Callable[[Request], Awaitable[web.StreamResponse | None]]
"""Called before, or after, a request is passed on; an answer is given in place of the API server's."""


async def _leave_alone(_: Request) -> None:
    return None


class Proxy:
    """Passes requests on. A context manager.

    Args:
        kubeconfig: The admin's.
        folder: Where the kubeconfig that leads through here is written.

    Attributes:
        before: Called before a request is passed on.
        after: Called before its answer is.
        requests: All that came.
        silent: Whether watches say nothing.
        unheard: How the paths end of which watches say nothing.
    """

    def __init__(self, kubeconfig: Path, folder: Path) -> None:
        self.before: Meddle = _leave_alone
        self.after: Meddle = _leave_alone
        self.requests: list[Request] = []
        self.silent = False
        self.unheard = "-"
        self.kubeconfig = folder / "through-proxy.yaml"
        self._theirs = yaml.safe_load(kubeconfig.read_text())
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> "Proxy":
        self._thread.start()
        port = asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(30)
        cluster = {"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}
        context = {"name": "c", "context": {"cluster": "c", "user": "u"}}
        user = {"name": "u", "user": {"token": "none"}}
        document = {"apiVersion": "v1", "kind": "Config", "clusters": [cluster], "contexts": [context], "users": [user]}
        self.kubeconfig.write_text(yaml.safe_dump({**document, "current-context": "c"}))
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
        self._loop.close()

    async def _start(self) -> int:
        self._server = self._theirs["clusters"][0]["cluster"]["server"]
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._tls(), limit=0),
            auto_decompress=True,
            timeout=aiohttp.ClientTimeout(total=None),
            read_bufsize=1 << 21,
        )
        app = web.Application(client_max_size=1 << 24)
        app.router.add_route("*", "/{path:.*}", self._pass_on)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return self._runner.addresses[0][1]

    async def _stop(self) -> None:
        await self._runner.cleanup()
        await self._session.close()
        await asyncio.sleep(0.3)  # TLS connections close a little later than they are told to

    def _tls(self) -> ssl.SSLContext:
        cluster, user = self._theirs["clusters"][0]["cluster"], self._theirs["users"][0]["user"]
        files = {}
        for name, text in (("ca", cluster["certificate-authority-data"]), ("cert", user["client-certificate-data"])):
            files[name] = self.kubeconfig.with_name(f"proxy-{name}.pem")
            files[name].write_bytes(base64.b64decode(text))
        key = self.kubeconfig.with_name("proxy-key.pem")
        key.write_bytes(base64.b64decode(user["client-key-data"]))
        context = ssl.create_default_context(cafile=files["ca"])
        context.load_cert_chain(files["cert"], key)
        return context

    async def _pass_on(self, incoming: web.Request) -> web.StreamResponse:
        request = Request(incoming.method, incoming.path, incoming.query_string)
        self.requests.append(request)
        if (instead := await self.before(request)) is not None:
            return instead
        headers = {key: each for key, each in incoming.headers.items() if key.lower() not in _HOP_BY_HOP}
        headers.pop("Authorization", None)
        url = f"{self._server}{incoming.path_qs}"
        try:
            async with self._session.request(
                incoming.method, url, headers=headers, data=await incoming.read() or None
            ) as theirs:
                if (instead := await self.after(request)) is not None:
                    return instead
                answer = web.StreamResponse(status=theirs.status, headers=_kept(theirs.headers))
                await answer.prepare(incoming)
                async for piece in theirs.content.iter_any():
                    while request.watch and (self.silent or request.path.endswith(self.unheard)):
                        await asyncio.sleep(0.1)
                    await answer.write(piece)
                await answer.write_eof()
                return answer
        except aiohttp.ClientError as error:
            return web.Response(status=502, text=str(error))


def _kept(headers: Any) -> dict[str, str]:
    return {key: each for key, each in headers.items() if key.lower() not in _HOP_BY_HOP}


def refusal(code: int, reason: str, message: str, **headers: str) -> web.Response:
    """As the API server says no."""
    status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason}
    return web.Response(
        status=code, text=json.dumps({**status, "message": message}), headers=headers, content_type="application/json"
    )
