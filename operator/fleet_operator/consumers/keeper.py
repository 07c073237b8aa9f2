"""Keeps the list of one language server as it shall be: after each change, and every few seconds."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace

from fleet_operator.consumers.asking import MODEL, SERVER, Asker, NoAnswerError
from fleet_operator.consumers.compatibility import Facts, server_facts
from fleet_operator.consumers.registry import Memory, changes
from fleet_operator.consumers.report import ServerState
from fleet_operator.consumers.servers import LanguageServer, Ports
from fleet_operator.consumers.wishes import Wishes
from fleet_operator.observed.mirror import Key

log = logging.getLogger(__name__)

INTERVAL_SECONDS = 5.0
REST_SECONDS = 0.25
"""Between two looks, so that what happens at once is one."""
KNOWN_SECONDS = 60.0
"""How often a language server is asked again what it is."""
UNFIT_SECONDS = 10.0
"""The same of one that cannot use the encoders: somebody may have just put that right."""
FAILURES = 3
"""In a row, before they are told: a language server that is busy for seconds is no news."""
MOST_AT_ONCE = 64
"""URLs that are registered at one look: then it is looked anew, as an encoder may have gone meanwhile."""
_SIDE_BY_SIDE = 8

_UNREACHABLE = (
    "its list of encoders, port {port}, {how}: start it with --language-only, with --encoder-bootstrap-port {port} and "
    "an address that others reach (--host 0.0.0.0), or set bootstrapPort to what it has, and let no NetworkPolicy keep "
    "the operator from it"
)
_UNKNOWN = "compatibility unknown: its API on port {port} {how}"

Wish = Callable[[Key, Facts, str], Wishes]


class Keeper:
    """Of one language server.

    Args:
        asker: Asks.
        wish: What the language server shall have of a pool, by what it says of itself.
        told: Called with pools after each look.
        server: Its pod.
        ports: Of the server.

    Attributes:
        pools: That it serves. When there are none any more, it ends once their encoders are unregistered.
    """

    def __init__(
        self, asker: Asker, wish: Wish, told: Callable[[Iterable[Key]], None], server: LanguageServer, ports: Ports
    ) -> None:
        self._asker = asker
        self._wish = wish
        self._told = told
        self._server = server
        self._ports = ports
        self.pools: frozenset[Key] = frozenset()
        self._memory = Memory()
        self._facts, self._unsure = Facts(), ""
        self._states: dict[Key, ServerState] = {}
        self._failures, self._trouble = 0, ""
        self._known, self._ask_again, self._woken = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._side_by_side = asyncio.Semaphore(_SIDE_BY_SIDE)

    def state(self, key: Key) -> ServerState | None:
        """How far it knows the encoders of a pool; None where it has not been looked at yet."""
        known = self._states.get(key)
        if known is None:
            return None
        trouble = _UNREACHABLE.format(port=self._ports.registry, how=self._trouble)
        return replace(
            known,
            name=self._server.name,
            ready=self._server.ready,
            unreachable=trouble if self._failures >= FAILURES else "",
        )

    def serve(self, pools: frozenset[Key], server: LanguageServer) -> None:
        """These pools, from now on; its pod may be ready now, or not any more."""
        if (pools, server) != (self.pools, self._server):
            self.pools, self._server = pools, server
            self.wake()

    def retire(self) -> None:
        """Nobody wants it to be served any more."""
        self.serve(frozenset(), self._server)

    def wake(self) -> None:
        """Something has changed: look at once."""
        self._woken.set()

    async def run(self) -> None:
        """Until it serves no pool any more."""
        knowing = asyncio.create_task(self._know())
        try:
            await self._known.wait()
            while True:
                self._woken.clear()
                await self._safely()
                if not self.pools and (not self._memory.ours or self._failures >= FAILURES):
                    return
                await _wait(self._woken, INTERVAL_SECONDS)
                await asyncio.sleep(REST_SECONDS)
        finally:
            knowing.cancel()

    async def _know(self) -> None:
        """Ask what it is, again and again. What it said once holds until it says something else."""
        while True:
            self._ask_again.clear()
            api = self._server.address(self._ports.api)
            try:
                model, server = await asyncio.gather(self._asker.told(api, MODEL), self._asker.told(api, SERVER))
            except NoAnswerError as error:
                if self._facts == Facts():
                    self._unsure = _UNKNOWN.format(port=self._ports.api, how=error)
                seconds = INTERVAL_SECONDS
            else:
                self._facts, self._unsure = server_facts(model, server), ""
                unfit = any(self._wish(key, self._facts, "").mismatch for key in self.pools)
                seconds = UNFIT_SECONDS if unfit else KNOWN_SECONDS
            self._known.set()
            self.wake()
            await _wait(self._ask_again, seconds)
            await asyncio.sleep(REST_SECONDS)

    async def _safely(self) -> None:
        """Look; a defect that this meets ends nothing else."""
        try:
            await self._look()
        except Exception:
            log.exception("%s: its list of encoders cannot be kept", self._server.name)
            self._failures += 1
            self._trouble = "cannot be kept, by a defect of the operator that its log has"
        self._told(self.pools)

    async def _look(self) -> None:
        address = self._server.address(self._ports.registry)
        listed: tuple[str, ...] | None = None
        try:
            listed = await self._asker.listed(address)
        except NoAnswerError as error:
            self._failures += 1
            self._trouble = str(error)
        # Not before the answer: an encoder may have gone meanwhile.
        wishes = {key: self._wish(key, self._facts, self._unsure) for key in self.pools}
        if listed is None:
            self._tell(wishes, frozenset())
            return
        wanted = frozenset[str]().union(*(each.wanted for each in wishes.values()))
        unwanted = frozenset[str]().union(*(each.unwanted for each in wishes.values()))
        asked, self._memory = changes(wanted, unwanted, listed, self._memory, time.monotonic())
        if asked.anew:
            self._ask_again.set()
        first = asked.register[:MOST_AT_ONCE]
        if len(first) < len(asked.register):
            self.wake()
        out, trouble = await self._each(self._asker.unregister, address, asked.unregister)
        self._memory = self._memory.unregistered(out)
        taken, more_trouble = await self._each(self._asker.register, address, first)
        self._memory = self._memory.registered(taken)
        if out or taken:
            said = "%s: %d encoders registered, %d unregistered"
            log.info(said, self._server.name, len(taken), len(out))
        self._trouble = trouble or more_trouble
        self._failures = self._failures + 1 if self._trouble else 0
        self._tell(wishes, frozenset(listed).difference(out).union(taken))

    async def _each(
        self, ask: Callable[[str, str], Awaitable[None]], address: str, urls: Iterable[str]
    ) -> tuple[list[str], str]:
        """Those of the URLs for which that was done, and what kept it from the others."""
        trouble = ""

        async def one(url: str) -> bool:
            nonlocal trouble
            async with self._side_by_side:
                try:
                    await ask(address, url)
                except NoAnswerError as error:
                    trouble = str(error)
                    return False
            return True

        urls = list(urls)
        done = await asyncio.gather(*map(one, urls))
        return [url for url, each in zip(urls, done, strict=True) if each], trouble

    def _tell(self, wishes: Mapping[Key, Wishes], there: frozenset[str]) -> None:
        before = self._states
        self._states = {
            key: ServerState(
                name=self._server.name,
                ready=self._server.ready,
                wanted=len(each.wanted),
                registered=len(each.wanted & there),
                mismatch=each.mismatch,
                doubt=each.doubt,
            )
            for key, each in wishes.items()
        }
        for key, state in self._states.items():
            if state.mismatch and (key not in before or before[key].mismatch != state.mismatch):
                log.warning("%s: INCOMPATIBLE with the encoders of %s: %s", state.name, key, state.mismatch)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
