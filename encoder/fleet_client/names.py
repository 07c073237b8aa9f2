"""Names that stand for several encoders, such as a headless Service: each of its addresses is one of them.

libzmq takes the first address of a name, and would leave all other replicas idle. Names are looked up again and again,
as replicas come and go; one that cannot be looked up keeps the addresses that it had.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

LOOK_SECONDS = 5.0
"""Between two looks at a name: what cluster DNS lets an answer be kept for."""
MISSING_SECONDS = 1.0
"""The same while a name has no address."""
THREADS = 4

Lookup = Callable[[str], Sequence[str]]
"""Host -> its addresses; raises OSError where it has none."""


def split(address: str) -> tuple[str, str] | None:
    """Host and port of an endpoint that has a name to look up; None for `ipc://` and for numeric addresses. Pure."""
    if not address.startswith("tcp://"):
        return None
    host, _, port = address.removeprefix("tcp://").rpartition(":")
    try:
        ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return host, port
    return None


def look_up(host: str) -> list[str]:
    """IPv4 addresses of a host, or its IPv6 ones where it has no others: an encoder with both is one encoder.

    Raises:
        OSError: It has none, or nobody says.
    """
    found = {(family, where[0]) for family, _, _, _, where in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    for wanted in (socket.AF_INET, socket.AF_INET6):
        if addresses := sorted(str(address) for family, address in found if family == wanted):
            return addresses
    raise OSError(f"{host} has no address")


class Names:
    """Looks names up until it is closed. Belongs to one event loop, in which it calls back.

    Args:
        endpoints: Normalised; those without a name stay as they are.
        tell: Told all addresses after each look. A name without an address stands for itself.
        unknown: Told an endpoint whose name has no address.
        lookup: Of one host, in a thread.
    """

    def __init__(
        self,
        endpoints: Iterable[str],
        tell: Callable[[list[str]], None],
        unknown: Callable[[str], None],
        lookup: Lookup = look_up,
    ) -> None:
        self._tell, self._unknown, self._lookup = tell, unknown, lookup
        self._found = {each: [each] for each in endpoints}
        named = {each: name for each in self._found if (name := split(each)) is not None}
        # Where a resolver hangs, a thread does, and nothing else.
        self._threads = ThreadPoolExecutor(THREADS, "fleet_client-names") if named else None
        self._tasks = [asyncio.create_task(self._follow(each, *name)) for each, name in named.items()]

    @property
    def addresses(self) -> list[str]:
        """Of all encoders, each once."""
        return [*dict.fromkeys(address for every in self._found.values() for address in every)]

    def close(self) -> list[asyncio.Task[None]]:
        """Look no more. Returns tasks for the caller to await."""
        for task in self._tasks:
            task.cancel()
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
        return self._tasks

    async def _follow(self, endpoint: str, host: str, port: str) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                hosts = await loop.run_in_executor(self._threads, self._lookup, host)
            except (OSError, UnicodeError):
                hosts = []
            addresses = [f"tcp://[{each}]:{port}" if ":" in each else f"tcp://{each}:{port}" for each in hosts]
            if addresses:
                self._found[endpoint] = addresses
                self._tell(self.addresses)
            elif self._found[endpoint] == [endpoint]:
                self._unknown(endpoint)
            await asyncio.sleep(LOOK_SECONDS if addresses else MISSING_SECONDS)
