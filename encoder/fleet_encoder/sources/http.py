"""Media by http and https: sockets on the event loop, and nothing else on it.

Redirects are followed here and not by aiohttp, so that every hop is judged as if it had been asked for. No proxy,
cookie or credential of this process is ever used.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from types import TracebackType
from typing import Self

import aiohttp
import numpy as np
import structlog
from aiohttp.abc import AbstractResolver
from yarl import URL

from fleet_encoder import __version__
from fleet_encoder.errors import Invalid
from fleet_encoder.sources.addresses import Reach
from fleet_encoder.sources.answers import REDIRECTS, check_size, check_status, failure, is_coded
from fleet_encoder.sources.connecting import RefusedAddressError, connector, system_resolver
from fleet_encoder.sources.inflate import inflate
from fleet_encoder.sources.shares import HostTurns
from fleet_encoder.sources.urls import http_url, redacted, redirect

log = structlog.get_logger()

MAX_REDIRECTS = 5

TOTAL = 256
PER_HOST = 64
WAITING_PER_HOST = 64
"""Downloads at one moment. One host, with those that wait for it, takes half of the places at most."""

TIMEOUT = aiohttp.ClientTimeout(total=None, connect=10.0, sock_connect=5.0, sock_read=15.0)
"""Seconds for look-up and connection, for the connection alone, and between two pieces of the body."""

HEADERS = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": f"encoderfleet/{__version__}"}


class HttpSource:
    """One session for all downloads of the process; an async context manager.

    Args:
        allowed_domains: `spec.media.allowedDomains`; empty: any.
        allow_private: `spec.media.allowPrivateNetworks`.
        max_bytes: `spec.media.maxBytes`.
        threads: Where compressed bodies are undone.
        judge: Who is behind a numeric address.
        resolver: Names to addresses; None: the system's. Closed with the session.
    """

    def __init__(
        self,
        *,
        allowed_domains: tuple[str, ...],
        allow_private: bool,
        max_bytes: int,
        threads: Executor,
        judge: Callable[[str], Reach],
        resolver: AbstractResolver | None,
    ) -> None:
        self._allowed_domains = allowed_domains
        self._highest = Reach.PRIVATE if allow_private else Reach.PUBLIC
        self._max_bytes = max_bytes
        self._threads = threads
        self._judge = judge
        self._resolver = resolver
        self._turns = HostTurns(TOTAL, PER_HOST, WAITING_PER_HOST)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        if self._resolver is None:
            self._resolver = system_resolver()
        self._session = aiohttp.ClientSession(
            connector=connector(self._judge, self._highest, self._resolver),
            timeout=TIMEOUT,
            headers=HEADERS,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,  # it would happen on the event loop
            trust_env=False,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
        if self._resolver is not None:
            await self._resolver.close()

    async def fetch(self, text: str, cover: Callable[[int], None]) -> bytearray | memoryview:
        """Download one file.

        Args:
            text: The URL as it was sent.
            cover: Called with the bytes that are held so far, before more are; raises to refuse.

        Raises:
            Invalid: The URL, a redirect or an address is refused, or the host says that there is no such file.
            TooLarge: By its Content-Length, or once that many bytes came.
            MediaUnreachable: The host fails or is too slow.
            Busy: Too many downloads from that host.
        """
        url = http_url(text, self._allowed_domains)
        for _ in range(MAX_REDIRECTS + 1):
            async with self._turns.take(url.raw_host or ""):
                answer = await self._ask(url, cover)
            if not isinstance(answer, URL):
                return answer
            url = answer
        raise Invalid(f"{redacted(text)}: over {MAX_REDIRECTS} redirects: send the URL of the file itself")

    async def _ask(self, url: URL, cover: Callable[[int], None]) -> bytearray | memoryview | URL:
        """One request: the body, or where to go instead."""
        assert self._session is not None, "used outside of its context"
        shown = redacted(str(url))
        try:
            async with self._session.get(url, allow_redirects=False) as response:
                if response.status in REDIRECTS:
                    return redirect(url, response.headers.get("Location"), self._allowed_domains)
                check_status(response.status, shown)
                coded = is_coded(response.headers.get("Content-Encoding", ""), shown)
                body = await self._receive(response, cover, shown)
        except (aiohttp.ClientError, TimeoutError) as error:
            cause = getattr(error, "os_error", None)
            if isinstance(cause, RefusedAddressError):
                log.warning("media address refused", url=shown, address=cause.address, reach=cause.reach.name)
            raise failure(error, shown) from None
        if not coded:
            return body
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, inflate, body, self._max_bytes, cover, shown)

    async def _receive(
        self, response: aiohttp.ClientResponse, cover: Callable[[int], None], shown: str
    ) -> bytearray | memoryview:
        """The body as it is on the wire; never more than the limit and one piece."""
        length = response.content_length
        if length is not None:
            check_size(length, self._max_bytes, shown)
            # Growing a buffer to 200 MB costs the event loop 0.2 s in all, filling one that is there a tenth of it.
            # Pages that nothing was written to are no memory: a host that announces much and sends little holds little.
            return await _fill(np.empty(length, np.uint8).data, response.content, cover)
        body = bytearray()
        async for piece in response.content.iter_any():
            check_size(len(body) + len(piece), self._max_bytes, shown)
            cover(len(body) + len(piece))
            body += piece
        return body


async def _fill(body: memoryview, content: aiohttp.StreamReader, cover: Callable[[int], None]) -> memoryview:
    end = 0
    async for piece in content.iter_any():  # aiohttp ends it at the announced length, or raises
        cover(end + len(piece))
        body[end : end + len(piece)] = piece
        end += len(piece)
    return body
