"""/metrics, /healthz and /readyz of the operator."""

from collections.abc import Callable
from types import TracebackType
from typing import Self

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest


class AddressError(Exception):
    """Nothing can be served at an address."""


class Server:
    """Serves while it is entered. An async context manager.

    Args:
        address: `host:port`; host `*` is all of IPv4 and IPv6.
        registry: Of `/metrics`.

    Raises:
        AddressError: At once, or where it is entered: nothing can be served there.
    """

    def __init__(self, address: str, registry: CollectorRegistry) -> None:
        host, _, port = address.rpartition(":")
        if not port.isdecimal():
            raise AddressError("there is no port in it")
        self._host, self._port = host.strip("[]*") or None, int(port)
        self._registry = registry
        self._trouble: Callable[[], str] = lambda: ""
        self._ready = False
        self._waiting = "the cluster"
        app = web.Application()
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/healthz", self._health)
        app.router.add_get("/readyz", self._readiness)
        self._runner = web.AppRunner(app, access_log=None)

    def ready(self, trouble: Callable[[], str]) -> None:
        """The operator works now.

        Args:
            trouble: Says why it should be restarted; empty while all is well.
        """
        self._ready = True
        self._trouble = trouble

    def waiting(self, cause: str) -> None:
        """The operator does not work yet, and that is why."""
        self._waiting = cause

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except (OSError, OverflowError) as error:
            await self._runner.cleanup()
            raise AddressError(getattr(error, "strerror", None) or str(error)) from error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _health(self, _: web.Request) -> web.Response:
        trouble = self._trouble()
        return web.Response(text=trouble or "ok", status=503 if trouble else 200)

    async def _readiness(self, _: web.Request) -> web.Response:
        text = "ok" if self._ready else f"waiting: {self._waiting}"
        return web.Response(text=text, status=200 if self._ready else 503)
