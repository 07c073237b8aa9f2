"""Which pools are to be looked at: at most one visit to each at a time, and any number of causes is one visit."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

log = logging.getLogger(__name__)

FIRST_RETRY_SECONDS = 1.0
LAST_RETRY_SECONDS = 300.0
_DOUBLINGS = 16
"""More than enough for the last; without a bound the number would outgrow a float after days of failures."""


class Queue(Generic[K]):
    """Visits to keys.

    Args:
        visit: Looks at one key; returns after how many seconds to look again, None for not before something happens.
            Where it raises, it is called again, later each time.
        workers: Visits side by side.
        rest: Seconds between the end of a visit and the next one to the same key: what happens in between, often a lot
            as one's own writes come back, is one visit then.
        ordinary: Exceptions that are logged in one line, as they are no defect of the program.
    """

    def __init__(
        self,
        visit: Callable[[K], Awaitable[float | None]],
        *,
        workers: int,
        rest: float = 0.0,
        ordinary: tuple[type[Exception], ...] = (),
    ) -> None:
        self._visit = visit
        self._rest = rest
        self._ordinary = ordinary
        self._limit = asyncio.Semaphore(workers)
        self._due: set[K] = set()
        self._running: dict[K, asyncio.Task[None]] = {}
        self._visiting: set[K] = set()
        self._forgotten: set[K] = set()
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._failures: dict[K, int] = {}
        self._closed = False

    def __len__(self) -> int:
        return len(self._due)

    def add(self, key: K) -> None:
        """Something happened to `key`: look at it, once more where a visit is under way."""
        if self._closed:
            return
        self._cancel(key)
        self._forgotten.discard(key)
        self._due.add(key)
        if key not in self._running:
            self._running[key] = asyncio.create_task(self._work(key))

    def forget(self, key: K) -> None:
        """The key is no more: it is not visited again, also not because of how a visit under way ends."""
        self._cancel(key)
        self._due.discard(key)
        self._failures.pop(key, None)
        if key in self._running:
            self._forgotten.add(key)

    async def close(self) -> None:
        """Let visits under way end, and start no other."""
        self._closed = True
        self._due.clear()
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        for key, task in list(self._running.items()):
            if key not in self._visiting:
                task.cancel()  # it rests
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def _work(self, key: K) -> None:
        try:
            while key in self._due:
                async with self._limit:
                    # It may have been forgotten while it waited for a worker.
                    if key in self._due:
                        self._due.discard(key)
                        await self._once(key)
                if self._rest and not self._closed:
                    await asyncio.sleep(self._rest)
        finally:
            del self._running[key]
            self._forgotten.discard(key)

    async def _once(self, key: K) -> None:
        failures, again = 0, None
        self._visiting.add(key)
        try:
            again = await self._visit(key)
        except Exception as error:
            failures = self._failures.get(key, 0) + 1
            again = min(FIRST_RETRY_SECONDS * 2 ** min(failures - 1, _DOUBLINGS), LAST_RETRY_SECONDS)
            defect = None if isinstance(error, self._ordinary) else error
            log.warning("%s: %s; again in %g s", key, error, again, exc_info=defect)
        finally:
            self._visiting.discard(key)
        if key in self._forgotten:
            self._forgotten.discard(key)
            return
        if failures:
            self._failures[key] = failures
        else:
            self._failures.pop(key, None)
        if again is not None and not self._closed and key not in self._due:
            self._timers[key] = asyncio.get_running_loop().call_later(again, self.add, key)

    def _cancel(self, key: K) -> None:
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
