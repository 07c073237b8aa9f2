"""Tells language servers that this encoder is there, and that it goes.

SGLang's language server keeps the list of its encoders in memory (`EncoderBootstrapServer`). So the list is looked at
again and again, and what is lost there, by a restart or an eviction, is told anew. In a cluster the operator does this
for all pods; an encoder does it where it is told to.
"""

import asyncio
import os
import socket
import time
from dataclasses import dataclass

import aiohttp
import structlog
from yarl import URL

from fleet_encoder.drain import Lifecycle
from fleet_encoder.metrics import Metrics

log = structlog.get_logger()

LOOK_SECONDS = 5.0
FIRST_SECONDS = 0.25
"""Until the encoder is ready."""

ANSWER_SECONDS = 3.0

PATIENCE_SECONDS = 60.0
"""A language server whose health checks do not reach this encoder takes it off its list, and puts it back when they do.
Told anew at once, it would send requests that do not reach it either. One that was restarted was silent in between."""


@dataclass(slots=True)
class _Server:
    url: str
    told: bool = False
    """It has been told at least once."""
    there: bool = False
    """This encoder was on its list at the last look."""
    gone_since: float | None = None
    """Taken off the list by somebody else, between two looks that were answered."""
    trouble: str = ""


class Registration:
    """This encoder's place in the lists of language servers.

    Args:
        servers: Their bootstrap addresses, `http://host:8997`.
        own: This encoder's URL for them; empty for the address that leads to each, and `port`.
        port: Where this encoder listens.
        lifecycle: Only a ready encoder is told of.
        metrics: Where it is counted.
    """

    def __init__(self, servers: tuple[str, ...], own: str, port: int, lifecycle: Lifecycle, metrics: Metrics) -> None:
        self._servers = [_Server(each.rstrip("/")) for each in servers]
        self._own = own.rstrip("/")
        self._port = port
        self._lifecycle = lifecycle
        self._metrics = metrics
        self._left = False

    async def run(self) -> None:
        """Look and tell, until cancelled."""
        async with self._session() as session:
            while not self._left:
                if self._lifecycle.ready:
                    await asyncio.gather(*(self._see_to(session, each) for each in self._servers))
                    self._metrics.sglang_registered.set(sum(each.there for each in self._servers))
                await asyncio.sleep(LOOK_SECONDS if self._lifecycle.ready else FIRST_SECONDS)

    async def leave(self) -> bool:
        """Have this encoder taken off all lists. False where it was on none."""
        self._left = True
        told = [each for each in self._servers if each.told]
        async with self._session() as session:
            await asyncio.gather(*(self._take_off(session, each) for each in told))
        self._metrics.sglang_registered.set(0)
        return bool(told)

    def _session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS))

    async def _see_to(self, session: aiohttp.ClientSession, server: _Server) -> None:
        try:
            own = self._own or await asyncio.to_thread(own_url, server.url, self._port)
            async with session.get(f"{server.url}/list_encoder_urls") as answer:
                answer.raise_for_status()
                there = own in (await answer.json())["encoder_urls"]
            if there:
                server.gone_since = None
            elif server.there:
                server.gone_since = time.monotonic()
                log.warning("taken off its list: do its health checks reach this encoder?", server=server.url, url=own)
            waits = server.gone_since is not None and time.monotonic() - server.gone_since < PATIENCE_SECONDS
            if not there and not waits and not self._left:
                server.told, server.gone_since, there = True, None, True
                async with session.post(f"{server.url}/register_encoder_url", json={"url": own}) as answer:
                    answer.raise_for_status()
                log.info("registered", server=server.url, url=own)
            server.there, server.told, server.trouble = there, server.told or there, ""
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, KeyError, TypeError) as error:
            server.there, server.gone_since = False, None
            self._say(server, f"{type(error).__name__}: {error}")

    async def _take_off(self, session: aiohttp.ClientSession, server: _Server) -> None:
        try:
            own = self._own or await asyncio.to_thread(own_url, server.url, self._port)
            async with session.delete(f"{server.url}/unregister_encoder_url", json={"url": own}) as answer:
                answer.raise_for_status()
            log.info("unregistered", server=server.url, url=own)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            log.warning("not unregistered: its health checks will find out", server=server.url, error=repr(error))

    def _say(self, server: _Server, trouble: str) -> None:
        """Once for each kind of trouble: it is tried again for ever."""
        kind = trouble.partition(":")[0]
        if kind != server.trouble:
            server.trouble = kind
            log.warning(
                "cannot register: is it a language server's --encoder-bootstrap-port?", server=server.url, error=trouble
            )


def own_url(server: str, port: int) -> str:
    """This machine as `server` sees it; `SGLANG_HOST_IP` says otherwise. Asks the system's name server; blocking.

    Raises:
        OSError: There is no way to `server`.
    """
    host = os.environ.get("SGLANG_HOST_IP", "")
    if not host:
        there = URL(server)
        family, kind, _, _, address = socket.getaddrinfo(there.host, there.port or 80, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as probe:
            probe.connect(address)  # sends nothing: only the way is chosen
            host = probe.getsockname()[0]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
