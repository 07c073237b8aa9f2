"""The only place where an encoder connects to a media host: every address is judged there, names and literals alike.

The judgement is made on the address that the socket is about to be connected to, so a name that answers differently the
next time it is asked (DNS rebinding) gains nothing.
"""

import asyncio
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from fleet_encoder.sources.addresses import Reach

DNS_THREADS = 32
"""Look-ups at one moment; most of the time they wait."""

KEEP_ALIVE_SECONDS = 15.0

_NUMERIC = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV


class RefusedAddressError(OSError):
    """An address that must not be connected to.

    All have the same text, so that several of them for one host are still recognised as one reason.

    Attributes:
        address: For the log; the sender does not learn what a name leads to inside somebody's network.
        reach: Why.
    """

    def __init__(self, address: str, reach: Reach) -> None:
        super().__init__("refused")
        self.address = address
        self.reach = reach


def connector(judge: Callable[[str], Reach], highest: Reach, resolver: AbstractResolver) -> aiohttp.TCPConnector:
    """A connector that raises `RefusedAddressError` for addresses beyond `highest`. Call it on the event loop.

    Args:
        judge: Who is behind a numeric address.
        highest: The least harmless that is still connected to.
        resolver: Names to addresses; whoever made it closes it.
    """

    def open_socket(info: aiohttp.AddrInfoType) -> socket.socket:
        family, kind, protocol, _, address = info
        reach = judge(str(address[0]))
        if reach > highest:
            raise RefusedAddressError(str(address[0]), reach)
        return socket.socket(family, kind, protocol)

    # How many downloads there are is `HostTurns`' affair: limit 0 is none.
    return aiohttp.TCPConnector(
        limit=0,
        keepalive_timeout=KEEP_ALIVE_SECONDS,
        resolver=resolver,
        socket_factory=open_socket,
    )


class ThreadResolver(AbstractResolver):
    """The system's resolver in threads of its own: a dead DNS server must not hold up the loop's default executor."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(DNS_THREADS, thread_name_prefix="dns")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """All addresses of `host`.

        Raises:
            OSError: It has none, or nobody knows.
        """
        answers = await asyncio.get_running_loop().run_in_executor(self._threads, _look_up, host, port, family)
        return [
            ResolveResult(hostname=host, host=address, port=port, family=kind, proto=0, flags=socket.AI_NUMERICHOST)
            for kind, address in answers
        ]

    async def close(self) -> None:
        """Let the threads go; look-ups under way end unheard."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _look_up(host: str, port: int, family: int) -> list[tuple[int, str]]:
    answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, family=family, flags=socket.AI_ADDRCONFIG)
    return [(kind, socket.getnameinfo(address, _NUMERIC)[0]) for kind, _, _, _, address in answers]
