"""Keeps the list of one language server as it shall be: after each change, and every few seconds."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from fleet_operator.consumers import many
from fleet_operator.consumers.asking import Asker, NoAnswerError
from fleet_operator.consumers.compatibility import Facts
from fleet_operator.consumers.knowing import Knowing, wait
from fleet_operator.consumers.registry import Memory, changes
from fleet_operator.consumers.report import ServerState
from fleet_operator.consumers.servers import LanguageServer
from fleet_operator.consumers.wishes import Wishes
from fleet_operator.observed.mirror import Key

log = logging.getLogger(__name__)

INTERVAL_SECONDS = 5.0
REST_SECONDS = 0.25
"""Between two looks, so that what happens at once is one."""
FAILURES = 3
"""In a row, before they are told: a language server that is busy for seconds is no news."""
RETIRING_SECONDS = 300.0
"""For so long one that does not answer is tried, once it is to lose the encoders. Mostly its pod is no more."""
MOST_AT_ONCE = 64
"""URLs that are registered at one look: then it is looked anew, as an encoder may have gone meanwhile."""

_UNREACHABLE = (
    "its list of encoders, port {port}, {how}: start it with --language-only, with --encoder-bootstrap-port {port} and "
    "an address that others reach (--host 0.0.0.0), or set bootstrapPort to what it has, and let no NetworkPolicy keep "
    "the operator from it"
)

_FORGETS = "takes encoders, and does not list them"

Wish = Callable[[Key, Facts, str], Wishes]


class Keeper:
    """Of one language server.

    Args:
        asker: Asks.
        wish: What the language server shall have of a pool, by what it says of itself.
        told: Called with pools after each look.
        server: Its pod.
        port: Of its list.
        apis: Ports where its API may be.

    Attributes:
        pools: That it serves. When there are none any more, it ends once their encoders are unregistered.
    """

    def __init__(
        self,
        asker: Asker,
        wish: Wish,
        told: Callable[[Iterable[Key]], None],
        server: LanguageServer,
        port: int,
        apis: tuple[int, ...],
    ) -> None:
        self._asker = asker
        self._wish = wish
        self._told = told
        self._server = server
        self._port = port
        self._apis = apis
        self.pools: frozenset[Key] = frozenset()
        self._memory = Memory()
        self._woken = asyncio.Event()
        self._knowing = Knowing(asker, server, apis, self._fits, self._woken.set)
        self._states: dict[Key, ServerState] = {}
        self._failures, self._trouble = 0, ""
        self._ends: float | None = None
        """When to give up, once it serves no pool."""
        self._changed, self._seen = 0, -1
        """What was to be looked at, counted; and how much of it was when the last look began."""

    @property
    def fresh(self) -> bool:
        """All that has changed so far was looked at, or cannot be."""
        return self._seen == self._changed or self._failures >= FAILURES

    def state(self, key: Key) -> ServerState | None:
        """How far it knows the encoders of a pool; None where it has not been looked at yet."""
        known = self._states.get(key)
        if known is None:
            return None
        trouble = _UNREACHABLE.format(port=self._port, how=self._trouble)
        return replace(
            known,
            name=self._server.name,
            ready=self._server.ready,
            unreachable=trouble if self._failures >= FAILURES else "",
        )

    def serve(self, pools: frozenset[Key], server: LanguageServer, apis: tuple[int, ...]) -> None:
        """These pools, from now on; its pod may be ready now, or not any more, or be another one."""
        if pools:
            self._ends = None
        if (pools, server, apis) != (self.pools, self._server, self._apis):
            self.pools, self._server, self._apis = pools, server, apis
            self._knowing.serve(server, apis)
            self.wake()

    def retire(self) -> None:
        """Nobody wants it to be served any more."""
        if self._ends is None:
            self._ends = time.monotonic() + RETIRING_SECONDS
        self.serve(frozenset(), self._server, self._apis)

    def wake(self) -> None:
        """Something has changed: look at once."""
        self._changed += 1
        self._woken.set()

    async def run(self) -> None:
        """Until it serves no pool any more."""
        knowing = asyncio.create_task(self._knowing.run())
        try:
            await self._knowing.first()
            while True:
                self._woken.clear()
                await self._safely()
                if not self.pools and (not self._memory.ours or self._given_up()):
                    return
                await wait(self._woken, INTERVAL_SECONDS)
                await asyncio.sleep(REST_SECONDS)
        finally:
            knowing.cancel()

    def _given_up(self) -> bool:
        over = self._failures >= FAILURES and self._ends is not None and time.monotonic() >= self._ends
        if over:
            said = "%s: %d encoders not unregistered, if it is still there: its list of encoders, port %d, %s"
            log.info(said, self._server.name, len(self._memory.ours), self._port, self._trouble)
        return over

    def _fits(self, facts: Facts) -> bool:
        return not any(self._wish(key, facts, "").mismatch for key in self.pools)

    async def _safely(self) -> None:
        """Look; a defect that this meets ends nothing else."""
        seen = self._changed
        try:
            await self._look()
        except Exception:
            log.exception("%s: its list of encoders cannot be kept", self._server.name)
            self._failures += 1
            self._trouble = "cannot be kept, by a defect of the operator that its log has"
        self._seen = seen
        self._told(self.pools)

    async def _look(self) -> None:
        address = self._server.address(self._port)
        listed: tuple[str, ...] | None = None
        try:
            listed = await self._asker.listed(address)
        except NoAnswerError as error:
            self._failures += 1
            self._trouble = str(error)
        # Not before the answer: an encoder may have gone meanwhile.
        knowing = self._knowing
        wishes = {key: self._wish(key, knowing.facts, knowing.unsure) for key in self.pools}
        if listed is None:
            self._tell(wishes, frozenset())
            return
        usable = () if knowing.waited_for else wishes.values()
        wanted = frozenset[str]().union(*(each.wanted for each in usable))
        unwanted = frozenset[str]().union(*(each.unwanted for each in wishes.values()))
        asked, self._memory = changes(wanted, unwanted, listed, self._memory, time.monotonic())
        if asked.anew:
            knowing.again()
        first = asked.register[:MOST_AT_ONCE]
        if len(first) < len(asked.register):
            self.wake()
        out, trouble = await many.each(self._asker.unregister, address, asked.unregister)
        self._memory = self._memory.unregistered(out)
        taken, more_trouble = await many.each(self._asker.register, address, first)
        self._memory = self._memory.registered(taken)
        new = [url for url in taken if url not in asked.forgotten]
        if out or new:
            said = "%s: %d encoders registered, %d unregistered"
            log.info(said, self._server.name, len(new), len(out))
        if new:
            self._woken.set()  # they count when they are seen on the list
        self._trouble = trouble or more_trouble or (_FORGETS if asked.forgotten else "")
        self._failures = self._failures + 1 if self._trouble else 0
        self._tell(wishes, frozenset(listed).difference(out))

    def _tell(self, wishes: Mapping[Key, Wishes], there: frozenset[str]) -> None:
        # One that is waited for, and is not ready, shall have none yet: nothing is about to change by that.
        starting = self._knowing.waited_for and not self._server.ready
        before = self._states
        self._states = {
            key: ServerState(
                name=self._server.name,
                ready=self._server.ready,
                wanted=0 if starting else len(each.wanted),
                registered=0 if starting else len(each.wanted & there),
                mismatch=each.mismatch,
                doubt=each.doubt,
            )
            for key, each in wishes.items()
        }
        for key, state in self._states.items():
            if state.mismatch and (key not in before or before[key].mismatch != state.mismatch):
                log.warning("%s: INCOMPATIBLE with the encoders of %s: %s", state.name, key, state.mismatch)
