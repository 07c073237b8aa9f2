"""Free ports of loopback for servers that will be restarted on the same one."""

import random
import socket
from collections.abc import Iterator

HOST = "127.0.0.1"
FIRST, LAST = 20000, 32767
"""Below what the kernel gives to outgoing connections: none of those can sit on a port while its server is down."""


def free(count: int) -> list[int]:
    """`count` different ports that nobody listens on. Drawn at random, so that two runs hardly ever meet."""
    drawn = _drawn()
    return [next(drawn) for _ in range(count)]


def in_a_row(count: int) -> int:
    """The first of `count` ports in a row that nobody listens on; drawn likewise."""
    return next(first for first in _drawn() if all(map(_is_free, range(first, first + count))))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _drawn() -> Iterator[int]:
    candidates = list(range(FIRST, LAST + 1))
    random.SystemRandom().shuffle(candidates)
    yield from filter(_is_free, candidates)
    raise OSError(f"no free port on {HOST} between {FIRST} and {LAST}")
