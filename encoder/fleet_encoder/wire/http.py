"""`/metrics`, `/healthz`, `/readyz` and `/model_info`: what Prometheus, the kubelet and the operator ask."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from fleet_encoder.drain import Lifecycle
from fleet_encoder.metrics import Metrics


class HttpFacade:
    """A small HTTP server on the event loop.

    Args:
        address: `host:port`, host `*` for all of IPv4 and IPv6; port 0 picks a free one, see `address` after `start`.
        lifecycle: What `/readyz` says.
        about: What `/model_info` says.
        metrics: What `/metrics` says.
    """

    def __init__(
        self, address: str, lifecycle: Lifecycle, about: Callable[[], dict[str, Any]], metrics: Metrics
    ) -> None:
        self.address = address
        self._lifecycle = lifecycle
        self._about = about
        app = web.Application()
        app.router.add_get("/metrics", partial(serve_metrics, metrics))
        app.router.add_get("/healthz", self._serve_health)
        app.router.add_get("/readyz", self._serve_ready)
        app.router.add_get("/model_info", self._serve_model_info)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False)

    async def start(self) -> None:
        """Bind and serve.

        Raises:
            OSError: The address cannot be bound.
        """
        self.address = await listen(self._runner, self.address)

    async def stop(self) -> None:
        """Close; requests under way end first."""
        await self._runner.cleanup()

    async def _serve_health(self, _: web.Request) -> web.Response:
        """Alive: the event loop answers. A loaded encoder is not a dead one."""
        return web.Response(text="ok\n")

    async def _serve_ready(self, _: web.Request) -> web.Response:
        return web.Response(text=f"{self._lifecycle.state.value}\n", status=200 if self._lifecycle.ready else 503)

    async def _serve_model_info(self, _: web.Request) -> web.Response:
        return web.json_response(self._about())


async def serve_metrics(metrics: Metrics, request: web.Request) -> web.Response:
    """All series, or those that `?name[]=` asks for: who scales a pool reads a twentieth of them."""
    names = request.query.getall("name[]", [])
    registry = metrics.registry.restricted_registry(names) if names else metrics.registry
    body = await asyncio.to_thread(generate_latest, registry)
    return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})


async def listen(runner: web.AppRunner, address: str) -> str:
    """Bind `host:port`, host `*` for all of IPv4 and IPv6, and serve.

    Returns:
        The address, with the port that was picked where it was 0.

    Raises:
        OSError: It cannot be bound.
    """
    host, _, port = address.rpartition(":")
    await runner.setup()
    site = web.TCPSite(runner, host.strip("[]*") or None, int(port), reuse_address=True)
    await site.start()
    bound, number = runner.addresses[0][:2]
    return f"[{bound}]:{number}" if ":" in bound else f"{bound}:{number}"
