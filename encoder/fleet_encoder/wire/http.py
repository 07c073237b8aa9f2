"""`/metrics`, `/healthz` and `/readyz`: what Prometheus and the kubelet ask."""

import asyncio

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from fleet_encoder.drain import Lifecycle
from fleet_encoder.metrics import Metrics


class HttpFacade:
    """A small HTTP server on the event loop.

    Args:
        address: `host:port`, host `*` for all of IPv4 and IPv6; port 0 picks a free one, see `address` after `start`.
        lifecycle: What `/readyz` says.
        metrics: What `/metrics` says.
    """

    def __init__(self, address: str, lifecycle: Lifecycle, metrics: Metrics) -> None:
        self.address = address
        self._lifecycle = lifecycle
        self._metrics = metrics
        app = web.Application()
        app.router.add_get("/metrics", self._serve_metrics)
        app.router.add_get("/healthz", self._serve_health)
        app.router.add_get("/readyz", self._serve_ready)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False)

    async def start(self) -> None:
        """Bind and serve.

        Raises:
            OSError: The address cannot be bound.
        """
        host, _, port = self.address.rpartition(":")
        await self._runner.setup()
        site = web.TCPSite(self._runner, host.strip("[]*") or None, int(port), reuse_address=True)
        await site.start()
        bound, port = self._runner.addresses[0][:2]
        self.address = f"[{bound}]:{port}" if ":" in bound else f"{bound}:{port}"

    async def stop(self) -> None:
        """Close; requests under way end first."""
        await self._runner.cleanup()

    async def _serve_metrics(self, request: web.Request) -> web.Response:
        """All series, or those that `?name[]=` asks for: who scales a pool reads a twentieth of them."""
        names = request.query.getall("name[]", [])
        registry = self._metrics.registry.restricted_registry(names) if names else self._metrics.registry
        body = await asyncio.to_thread(generate_latest, registry)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _serve_health(self, _: web.Request) -> web.Response:
        """Alive: the event loop answers. A loaded encoder is not a dead one."""
        return web.Response(text="ok\n")

    async def _serve_ready(self, _: web.Request) -> web.Response:
        return web.Response(text=f"{self._lifecycle.state.value}\n", status=200 if self._lifecycle.ready else 503)
