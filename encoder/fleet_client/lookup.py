"""What the resolver says of a host."""

import socket
from collections.abc import Callable, Sequence
from typing import Any

_EMPTY = getattr(socket, "EAI_NODATA", socket.EAI_NONAME)
_MISSING = {socket.EAI_NONAME, _EMPTY}

Lookup = Callable[[str], Sequence[str]]
"""Host -> its addresses; raises OSError where it has none, or nobody says."""


def look_up(host: str) -> list[str]:
    """IPv4 addresses of a host, or its IPv6 ones where it has no others: an encoder with both is one encoder.

    Only of those kinds that this machine has an address of. This does not go for `localhost`: it may be an IPv4 address
    where nothing else is.

    Raises:
        OSError: It has none, or nobody says.
        UnicodeError: It cannot be a name.
    """
    flags = 0 if host.rstrip(".").lower() == "localhost" else socket.AI_ADDRCONFIG
    try:
        answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=flags)
    except socket.gaierror as error:
        if error.errno != _EMPTY:
            raise
        answers = _each_kind(host, flags)
    for wanted in (socket.AF_INET, socket.AF_INET6):
        if found := sorted({str(where[0]) for family, _, _, _, where in answers if family == wanted}):
            return found
    raise socket.gaierror(socket.EAI_NONAME, f"{host} has no address")


def is_missing(error: OSError) -> bool:
    """Whether it says that there is no such name, or nothing behind it."""
    return isinstance(error, socket.gaierror) and error.errno in _MISSING


def _each_kind(host: str, flags: int) -> list[Any]:
    """What `getaddrinfo` says of IPv4, or else of IPv6.

    Asked for both, glibc calls a name empty where one kind is, though a server failed at the other.

    Raises:
        OSError: There is neither, or nobody says for one of them.
    """
    try:
        return socket.getaddrinfo(host, None, socket.AF_INET, socket.SOCK_STREAM, flags=flags)
    except socket.gaierror as error:
        if not is_missing(error):
            raise
    return socket.getaddrinfo(host, None, socket.AF_INET6, socket.SOCK_STREAM, flags=flags)
