"""What is known of a pool's language servers is told at most once a second: each of hundreds of looks may be news."""

import asyncio
import logging
from collections.abc import Callable, Iterable

from fleet_operator.observed.mirror import Key

log = logging.getLogger(__name__)

SECONDS = 1.0


class Telling:
    """Tells.

    Args:
        tell: Told of a pool of which there may be news.
    """

    def __init__(self, tell: Callable[[Key], None]) -> None:
        self._tell = tell
        self._keys: set[Key] = set()
        self._some = asyncio.Event()

    def soon(self, keys: Iterable[Key]) -> None:
        """There may be news of these pools."""
        self._keys.update(keys)
        if self._keys:
            self._some.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._some.wait()
            self._some.clear()
            keys, self._keys = self._keys, set()
            for key in keys:
                try:
                    self._tell(key)
                except Exception:  # a defect that one pool meets ends nothing else
                    log.exception("%s: what its language servers know cannot be told", key)
            await asyncio.sleep(SECONDS)
