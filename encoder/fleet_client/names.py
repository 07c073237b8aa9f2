"""Names that stand for several encoders, such as a headless Service: each of its addresses is one of them.

libzmq takes the first address of a name, and would leave all other replicas idle. Names are looked up again and again,
as replicas come and go.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from fleet_client import addresses
from fleet_client.connection import UNRESOLVED
from fleet_client.lookup import Lookup, is_missing, look_up
from fleet_client.threads import on_a_thread

LOOK_SECONDS = 5.0
"""Between two looks at a name: what cluster DNS lets an answer be kept for."""
MISSING_SECONDS = 1.0
"""The same while a name has no address, or nobody says."""

MISSING_LOOKS = 3
"""After so many answers in a row without its addresses, they are forgotten: others may have them soon."""

LOOKS_AT_ONCE = 32
"""Of one client: each takes a thread."""
PLACE_SECONDS = 5.0
"""After which a look does not count among these any more."""

_log = logging.getLogger("fleet_client")


@dataclass(slots=True)
class Name:
    """What one name stands for. Pure: answers in, addresses out.

    Attributes:
        endpoint: With the name in it.
        host: The name.
        port: Of all its encoders.
        addresses: Endpoints of its encoders. While there are none, it stands for itself.
        problem: What was wrong with the last look, for a person.
        missing: How many answers in a row had none of its addresses: there is no such name, or only IPv6 is left of it.
    """

    endpoint: str
    host: str
    port: str
    addresses: list[str] = field(default_factory=list)
    problem: str = "its name is still being looked up"
    missing: int = 0

    def __post_init__(self) -> None:
        self.addresses = self.addresses or [self.endpoint]

    @property
    def known(self) -> bool:
        """Whether it stands for encoders."""
        return self.addresses != [self.endpoint]

    def heard(self, answer: Sequence[str] | Exception, connected: Callable[[str], bool]) -> None:
        """Its hosts, or why there are none; `connected`: whether an endpoint is still of use.

        Where nobody says, what was found before stays. Where there is no such name any more, it stays while it is of
        use, and is then forgotten: others will have these addresses. The same goes for IPv4 addresses in whose place
        only IPv6 ones are told: so it looks, too, while a server fails at the question for the former.
        """
        found = [] if isinstance(answer, Exception) else [addresses.join(host, self.port) for host in answer]
        lacking = self.known and _any_ipv4(self.addresses) and not _any_ipv4(found)
        if found and not lacking:
            self.addresses = found
            self.missing, self.problem = 0, ""
        elif found or _missing(answer):
            self.missing += 1
            self.problem = "it has no IPv4 address any more" if found else UNRESOLVED
            if self.missing >= MISSING_LOOKS and not any(connected(each) for each in self.addresses):
                self.addresses = found or [self.endpoint]
        else:
            self.problem = f"its name cannot be looked up: {getattr(answer, 'strerror', None) or answer}"


def _missing(answer: Sequence[str] | Exception) -> bool:
    """Whether there is no such name, or nothing behind it."""
    return is_missing(answer) if isinstance(answer, OSError) else isinstance(answer, Sequence | UnicodeError)


def _any_ipv4(endpoints: Iterable[str]) -> bool:
    return any("[" not in each for each in endpoints)


class Names:
    """Looks names up until it is closed. Belongs to one event loop, in which it calls back.

    `LOOKS_AT_ONCE` names are looked up at once, the others in turn. A look that takes longer than `PLACE_SECONDS` lets
    the next one go ahead: names at which a server hangs delay the others, and do not stop them. The price is a thread
    more, so that a resolver that never comes back costs one a name in the end, as its looks cannot be stopped.

    Args:
        endpoints: Normalised; those without a name stay as they are.
        tell: Told after each look: the addresses of all encoders, each once, and among them the names that stand for
            themselves, with what is wrong with them.
        connected: Whether an address that was told is of use still.
        lookup: Of one host, on a thread.
    """

    def __init__(
        self,
        endpoints: Iterable[str],
        tell: Callable[[list[str], Mapping[str, str]], None],
        connected: Callable[[str], bool],
        lookup: Lookup = look_up,
    ) -> None:
        self._tell, self._connected, self._lookup = tell, connected, lookup
        self._places = asyncio.Semaphore(LOOKS_AT_ONCE)
        self._endpoints = [*endpoints]
        named = {each: parts for each in self._endpoints if (parts := addresses.split(each)) is not None}
        self._names = {each: Name(each, *parts) for each, parts in named.items()}
        self._tasks = [asyncio.create_task(self._follow(each)) for each in self._names.values()]

    @property
    def addresses(self) -> list[str]:
        """Of all encoders, each once."""
        every = (self._names[each].addresses if each in self._names else [each] for each in self._endpoints)
        return [*dict.fromkeys(address for some in every for address in some)]

    @property
    def problems(self) -> dict[str, str]:
        """What is wrong with the names that stand for themselves."""
        return {each.endpoint: each.problem for each in self._names.values() if not each.known}

    def close(self) -> list[asyncio.Task[None]]:
        """Look no more. Returns tasks for the caller to await."""
        for task in self._tasks:
            task.cancel()
        return self._tasks

    async def _follow(self, name: Name) -> None:
        well = True
        while True:
            try:
                await self._look(name)
                well = True
            except Exception:  # such as no thread to be had: that passes, and nobody else looks
                if well:
                    _log.warning("a look at %s failed; there will be others", name.host, exc_info=True)
                well = False
            await asyncio.sleep(LOOK_SECONDS if well and not name.problem else MISSING_SECONDS)

    async def _look(self, name: Name) -> None:
        answer: Sequence[str] | Exception
        try:
            answer = await self._ask(name.host)
        except (OSError, UnicodeError) as error:
            answer = error
        name.heard(answer, self._connected)
        self._tell(self.addresses, self.problems)

    async def _ask(self, host: str) -> Sequence[str]:
        await self._places.acquire()
        loop = asyncio.get_running_loop()
        place = loop.create_future()
        place.add_done_callback(lambda _: self._places.release())  # once, whichever cancels it
        late = loop.call_later(PLACE_SECONDS, place.cancel)
        try:
            return await on_a_thread("fleet_client-look", lambda: self._lookup(host))
        finally:
            late.cancel()
            place.cancel()
