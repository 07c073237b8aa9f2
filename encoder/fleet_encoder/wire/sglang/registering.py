"""Tells language servers that this encoder is there, and that it goes.

SGLang's language server keeps the list of its encoders in memory (`EncoderBootstrapServer`). So the list is looked at
again and again, and what is lost there, by a restart or an eviction, is told anew. In a cluster the operator does this
for all pods; an encoder does it where it is told to.
"""

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import structlog
from yarl import URL

from fleet_encoder.drain import Lifecycle
from fleet_encoder.metrics import Metrics
from fleet_encoder.wire.sglang import expected, nearby
from fleet_encoder.wire.sglang.asking import Asker, Info, Listed, NoAnswerError

log = structlog.get_logger()

LOOK_SECONDS = 5.0
FIRST_SECONDS = 0.25
"""Until the encoder is ready."""

RETRY_SECONDS = 1.0
"""Between two tries to be taken off a list."""

PATIENCE_SECONDS = 60.0
"""A language server whose health checks do not reach this encoder takes it off its list, and puts it back when they do.
Told anew at once, it would send requests that do not reach it either. One that was restarted was silent in between."""

NO_SERVER = "cannot register: is it a language server's address?"
AWAY = "does not answer, restarting? It is told anew when it is back"
NOT_COMPARED = "its list of encoders does not tell its model, so nobody has compared the two: --register its --port"


class IncompatibleError(Exception):
    """The language server expects another encoder; `str(error)` says what to do."""


@dataclass(slots=True)
class _Server:
    given: str
    """As it was given: the address of its API, or of its list of encoders."""
    bootstrap: str = ""
    """Of its list, once known."""
    own: str = ""
    """This encoder's URL for it, once known."""
    told: bool = False
    """It has been told at least once."""
    there: bool = False
    """This encoder was on its list at the last look."""
    gone_since: float | None = None
    """Taken off the list by somebody else, between two looks that were answered."""
    trouble: str = ""
    doubts: list[str] = field(default_factory=list)
    """That have been said."""


class Registration:
    """This encoder's place in the lists of language servers.

    Args:
        servers: Addresses of their lists, `http://host:8997`; or of their APIs, `http://host:30000`, which also say
            what model they expect.
        own: This encoder's URL for them; empty for the address that leads to each, and `port`.
        port: Where this encoder listens.
        about: What this encoder's `/model_info` says.
        lifecycle: Only a ready encoder is told of.
        metrics: Where it is counted.
    """

    def __init__(
        self,
        servers: tuple[str, ...],
        own: str,
        port: int,
        about: Callable[[], dict[str, Any]],
        lifecycle: Lifecycle,
        metrics: Metrics,
    ) -> None:
        self._servers = [_Server(each.rstrip("/")) for each in servers]
        self._own = own.rstrip("/")
        self._port = port
        self._about = about
        self._lifecycle = lifecycle
        self._metrics = metrics
        self._left = False

    async def run(self) -> None:
        """Look and tell, until cancelled; a language server that hangs delays no other."""
        async with Asker() as asker:
            await asyncio.gather(*(self._follow(asker, each) for each in self._servers))

    async def leave(self, until: float) -> bool:
        """Have this encoder taken off all lists; tried again until `time.monotonic()` is `until`.

        No look may be under way any more: what it registers would come after this.

        Returns:
            Whether all who were told have taken it off.
        """
        self._left = True
        self._metrics.sglang_registered.set(0)
        told = [each for each in self._servers if each.told]
        async with Asker() as asker:
            while True:
                done = await asyncio.gather(*(self._take_off(asker, each) for each in told))
                told = [each for each, off in zip(told, done, strict=True) if not off]
                if not told or time.monotonic() + RETRY_SECONDS >= until:
                    return not told
                await asyncio.sleep(RETRY_SECONDS)

    async def _follow(self, asker: Asker, server: _Server) -> None:
        while not self._left:
            if self._lifecycle.ready:
                await self._see_to(asker, server)
                self._metrics.sglang_registered.set(sum(each.there for each in self._servers))
            await asyncio.sleep(LOOK_SECONDS if self._lifecycle.ready else FIRST_SECONDS)

    async def _see_to(self, asker: Asker, server: _Server) -> None:
        try:
            if not server.there:
                server.bootstrap = await self._find(asker, server)
            await self._look(asker, server)
            server.trouble = ""
        except IncompatibleError as error:
            self._say(server, "INCOMPATIBLE: not registered", str(error))
        except NoAnswerError as error:
            self._say(server, AWAY if server.told and error.silent else NO_SERVER, str(error))
        except Exception as error:  # whatever answers there: it must not end the encoder
            self._say(server, NO_SERVER, f"{type(error).__name__}: {error}")

    async def _find(self, asker: Asker, server: _Server) -> str:
        """Where the language server's list is.

        Raises:
            IncompatibleError: It expects another encoder.
            NoAnswerError: It does not say.
        """
        given = server.given
        with contextlib.suppress(NoAnswerError):
            await asker.get(f"{given}/list_encoder_urls", Listed)
            self._doubt(server, [NOT_COMPARED])
            return given
        server_info, model_info = [
            msgspec.structs.asdict(await asker.get(f"{given}/{each}", Info)) for each in ("server_info", "model_info")
        ]
        own = self._about()
        config = await asyncio.to_thread(nearby.config, model_info["model_path"], server_info["revision"])
        if unfit := expected.mismatch(own, model_info, server_info, config):
            raise IncompatibleError(unfit)
        port = expected.bootstrap_port(server_info)
        if port is None:
            raise IncompatibleError("it has no list of encoders: start it with --encoder-bootstrap-port 8997")
        self._doubt(server, expected.doubts(own, model_info, server_info))
        # Whatever its API speaks: its list speaks HTTP.
        return str(URL(given).with_scheme("http").with_port(port))

    async def _look(self, asker: Asker, server: _Server) -> None:
        """See whether this encoder is on the list, and put it there."""
        own = await self._own_url(server)
        there = own in (await asker.get(f"{server.bootstrap}/list_encoder_urls", Listed)).encoder_urls
        if there:
            server.gone_since = None
        elif server.there:
            server.gone_since = time.monotonic()
            log.warning("taken off its list: do its health checks reach this encoder?", server=server.given, url=own)
        waits = server.gone_since is not None and time.monotonic() - server.gone_since < PATIENCE_SECONDS
        if not there and not waits and not self._left:
            server.told, server.gone_since, there = True, None, True
            await asker.ask("POST", f"{server.bootstrap}/register_encoder_url", {"url": own})
            log.info("registered", server=server.given, url=own)
        server.there, server.told = there, server.told or there

    async def _take_off(self, asker: Asker, server: _Server) -> bool:
        url = f"{server.bootstrap}/unregister_encoder_url"
        try:
            await asker.ask("DELETE", url, {"url": server.own})
            log.info("unregistered", server=server.given, url=server.own)
            return True
        except NoAnswerError as error:
            log.warning("not unregistered yet", server=server.given, reason=str(error))
            return False

    async def _own_url(self, server: _Server) -> str:
        if not server.own:
            server.own = self._own or await asyncio.to_thread(own_url, server.bootstrap, self._port)
        return server.own

    def _doubt(self, server: _Server, doubts: list[str]) -> None:
        """Once, until there are others."""
        for why in doubts:
            if why not in server.doubts:
                log.warning("doubtful, registered all the same", server=server.given, reason=why)
        server.doubts = doubts

    def _say(self, server: _Server, what: str, why: str, kind: str = "") -> None:
        """Once for each kind of trouble: it is tried again for ever."""
        server.there, server.gone_since = False, None
        kind = what + (kind or why)
        if kind != server.trouble:
            server.trouble = kind
            log.warning(what, server=server.given, reason=why)


def own_url(server: str, port: int) -> str:
    """This machine as `server` sees it; `SGLANG_HOST_IP` says otherwise. Asks the system's name server; blocking.

    Raises:
        OSError: There is no way to `server`.
    """
    host = os.environ.get("SGLANG_HOST_IP", "").strip("[]")
    if not host:
        there = URL(server)
        family, kind, _, _, address = socket.getaddrinfo(there.host, there.port or 80, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as probe:
            probe.connect(address)  # sends nothing: only the way is chosen
            host = probe.getsockname()[0]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
