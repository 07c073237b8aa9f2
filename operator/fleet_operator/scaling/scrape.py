"""Reading encoders' /metrics: many at a time, each bounded in time and size."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Self
from urllib.parse import urlencode

import aiohttp

from fleet_operator.autoscale import SERIES, MetricsError, Reading, read, read_sglang

CONNECTIONS = 512
CONNECT_SECONDS = 2.0
ANSWER_SECONDS = 4.0
"""For all of it, connecting included: one that sends byte after byte must not hold up the look at all pools."""
MAX_BYTES = 1 << 20
"""An encoder's metrics have 60 KB; what is much larger is not an encoder's."""
PATH = "/metrics?" + urlencode([("name[]", name) for name in SERIES])
"""An encoder gives just these, 3 KB; one that does not know how gives all."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How an encoder tells its load.

    Attributes:
        path: Where.
        read: Makes a reading of the text and of the time.
    """

    path: str
    read: Callable[[str, float], Reading]


NATIVE = Dialect(PATH, read)
SGLANG_ON_GPU = Dialect("/metrics", partial(read_sglang, device="cuda"))
"""SGLang's encoder is asked for all: of several processes' metrics, some alone are none at all."""
SGLANG_ON_CPU = Dialect("/metrics", partial(read_sglang, device="cpu"))


class Scraper:
    """Reads. An async context manager.

    Args:
        observe: Told how each reading ended: `ok`, `unreachable` or `not_metrics`.
    """

    def __init__(self, observe: Callable[[str], None]) -> None:
        self._observe = observe
        self._session: aiohttp.ClientSession | None = None
        self._turns = asyncio.Semaphore(CONNECTIONS)

    async def __aenter__(self) -> Self:
        # Pods come and go, and a proxy has no business between us: neither cookies nor the environment's settings.
        connector = aiohttp.TCPConnector(limit=0, use_dns_cache=False)  # `_turns` is the limit
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
        self._session = aiohttp.ClientSession(
            connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._session is not None
        await self._session.close()

    async def read(self, addresses: Mapping[str, str], dialect: Dialect = NATIVE) -> dict[str, Reading]:
        """Readings of those that answer.

        Args:
            addresses: Name -> `host:port`.
            dialect: How they tell it.
        """
        names = list(addresses)
        readings = await asyncio.gather(*(self._one(addresses[name], dialect) for name in names))
        return {name: reading for name, reading in zip(names, readings, strict=True) if reading is not None}

    async def _one(self, address: str, dialect: Dialect) -> Reading | None:
        assert self._session is not None
        try:
            # The time begins with its turn: else those that others keep waiting would be lost for it.
            async with self._turns, asyncio.timeout(ANSWER_SECONDS):
                body = await self._body(self._session, f"http://{address}{dialect.path}")
            reading = dialect.read(body.decode(), time.monotonic())
        except (aiohttp.ClientError, OSError, TimeoutError):
            self._observe("unreachable")
            return None
        except (MetricsError, UnicodeDecodeError):
            self._observe("not_metrics")
            return None
        self._observe("ok")
        return reading

    async def _body(self, session: aiohttp.ClientSession, url: str) -> bytes:
        async with session.get(url, allow_redirects=False) as answer:
            if answer.status != 200:
                raise MetricsError(f"no metrics: HTTP {answer.status}")
            body = await answer.content.read(MAX_BYTES + 1)
            while 0 < len(body) <= MAX_BYTES and (more := await answer.content.read(MAX_BYTES + 1 - len(body))):
                body += more
            return body
