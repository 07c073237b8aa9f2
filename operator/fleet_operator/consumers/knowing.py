"""What one language server says of itself: asked again and again, as it may be started anew as something else.

Its list of encoders listens before its API does, while it loads its weights. Told of encoders then, one of another
model would use them until it can say so. So while it is silent, and never said a word, it is waited for; but not for
good, as its API may be one that the operator is kept from.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable

from fleet_operator.consumers.asking import MODEL, SERVER, Asker, NoAnswerError
from fleet_operator.consumers.compatibility import Facts, server_facts
from fleet_operator.consumers.servers import LanguageServer

log = logging.getLogger(__name__)

INTERVAL_SECONDS = 5.0
"""Until one that gave no answer is asked again."""
WAITING_SECONDS = 1.0
"""The same of one that is waited for."""
KNOWN_SECONDS = 60.0
"""How often a language server is asked again what it is."""
UNFIT_SECONDS = 10.0
"""The same of one that cannot use the encoders: somebody may have just put that right."""
REST_SECONDS = 0.25
SILENT_SECONDS = 60.0
"""For so long one whose pod is ready is waited for."""

_UNKNOWN = "compatibility unknown: its API on port {port} {how}"
_DEFECT = "cannot be asked, by a defect of the operator that its log has"


class Knowing:
    """Of one language server.

    Args:
        asker: Asks.
        server: Its pod.
        ports: Where its API may be; the first that answers is.
        fits: Whether one that says this can use the encoders.
        told: Called after each answer, and each that did not come.

    Attributes:
        server: Its pod, as it is now.
        facts: What it said. That holds until it says something else.
        unsure: Why it says nothing, in words; empty where it does.
        waited_for: It may still be starting: it shall have no encoders before it says what it is.
    """

    def __init__(
        self,
        asker: Asker,
        server: LanguageServer,
        ports: tuple[int, ...],
        fits: Callable[[Facts], bool],
        told: Callable[[], None],
    ) -> None:
        self._asker = asker
        self.server = server
        self._ports = ports
        self._fits = fits
        self._told = told
        self.facts, self.unsure = Facts(), ""
        self.waited_for = True
        self._silent_since: float | None = None
        self._again, self._asked = asyncio.Event(), asyncio.Event()

    def again(self) -> None:
        """Ask at once: it may be another one now."""
        self._again.set()

    def serve(self, server: LanguageServer, ports: tuple[int, ...]) -> None:
        """Its pod as it is now. Of another one, at the same address, nothing is known."""
        other = server.uid != self.server.uid
        if other:
            self.facts, self.unsure, self.waited_for, self._silent_since = Facts(), "", True, None
        if other or ports != self._ports or (self.waited_for and server != self.server):
            self.again()
        self.server, self._ports = server, ports

    async def first(self) -> None:
        """Wait until it was asked once."""
        await self._asked.wait()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._again.clear()
            seconds = await self._safely()
            self._asked.set()
            self._told()
            await wait(self._again, seconds)
            await asyncio.sleep(REST_SECONDS)

    async def _safely(self) -> float:
        """Ask; a defect that this meets leaves nobody waiting. Returns the seconds until it is to be asked again."""
        try:
            return await self._ask()
        except Exception:
            log.exception("%s: cannot be asked what it is", self.server.name)
            self._says_nothing(self._ports[0], _DEFECT)
            self.waited_for = False
            return INTERVAL_SECONDS

    async def _ask(self) -> float:
        uid, silent = self.server.uid, True
        for port in self._ports:
            api = self.server.address(port)
            try:
                model, server = await asyncio.gather(self._asker.told(api, MODEL), self._asker.told(api, SERVER))
            except NoAnswerError as error:
                if self.server.uid != uid:
                    return 0.0
                silent = silent and error.silent
                self._says_nothing(port, str(error))
                continue
            if self.server.uid != uid:
                return 0.0
            self.facts, self.unsure, self.waited_for = server_facts(model, server), "", False
            return KNOWN_SECONDS if self._fits(self.facts) else UNFIT_SECONDS
        now = time.monotonic()
        self._silent_since = silent_since(self._silent_since, self.server.ready, now)
        self.waited_for = self.waited_for and still_waited_for(silent, self._silent_since, now)
        return WAITING_SECONDS if self.waited_for else INTERVAL_SECONDS

    def _says_nothing(self, port: int, how: str) -> None:
        if self.facts == Facts():
            self.unsure = _UNKNOWN.format(port=port, how=how)


def silent_since(before: float | None, ready: bool, now: float) -> float | None:
    """Since when one that does not answer is ready without a word; None where its pod is not: then it still starts."""
    if not ready:
        return None
    return now if before is None else before


def still_waited_for(silent: bool, since: float | None, now: float) -> bool:
    """Whether one that said nothing yet is to be waited for.

    Args:
        silent: It may not be there yet, rather than unwilling to say.
        since: From `silent_since`.
        now: Seconds of a clock that never goes back.
    """
    return silent and (since is None or now - since < SILENT_SECONDS)


async def wait(event: asyncio.Event, seconds: float) -> None:
    """For an event, but no longer than so many seconds."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
