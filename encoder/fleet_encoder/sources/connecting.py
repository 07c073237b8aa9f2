"""The only place where an encoder connects to a media host: every address is judged there, names and literals alike.

The judgement is made on the address that the socket is about to be connected to, so a name that answers differently the
next time it is asked (DNS rebinding) gains nothing.
"""

import socket
from collections.abc import Callable

import aiohttp
from aiohttp.abc import AbstractResolver

from fleet_encoder.sources.addresses import Reach

KEEP_ALIVE_SECONDS = 15.0
DNS_SECONDS = 3.0
DNS_TRIES = 2


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


def system_resolver() -> AbstractResolver:
    """Names as resolv.conf and the hosts file have them, asked on the event loop: dead DNS servers hold no thread."""
    return aiohttp.AsyncResolver(timeout=DNS_SECONDS, tries=DNS_TRIES)
