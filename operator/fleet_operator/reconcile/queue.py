"""Which pools are to be looked at: at most one visit to each at a time, and any number of causes is one visit."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

log = logging.getLogger(__name__)

FIRST_RETRY_SECONDS = 1.0
LAST_RETRY_SECONDS = 300.0


class Queue(Generic[K]):
    """Visits to keys.

    Args:
        visit: Looks at one key; returns after how many seconds to look again, None for not before something happens.
            Where it raises, it is called again, later each time.
        workers: Visits side by side.
    """

    def __init__(self, visit: Callable[[K], Awaitable[float | None]], *, workers: int) -> None:
        self._visit = visit
        self._limit = asyncio.Semaphore(workers)
        self._due: set[K] = set()
        self._running: dict[K, asyncio.Task[None]] = {}
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._failures: dict[K, int] = {}
        self._closed = False

    def __len__(self) -> int:
        return len(self._due)

    def add(self, key: K) -> None:
        """Something happened to `key`: look at it, once more where a visit is under way."""
        if self._closed:
            return
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
        self._due.add(key)
        if key not in self._running:
            self._running[key] = asyncio.create_task(self._work(key))

    def forget(self, key: K) -> None:
        """The key is no more: no timer calls for it."""
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
        self._failures.pop(key, None)

    async def close(self) -> None:
        """Let visits under way end, and start no other."""
        self._closed = True
        self._due.clear()
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def _work(self, key: K) -> None:
        try:
            while key in self._due:
                async with self._limit:
                    self._due.discard(key)
                    await self._once(key)
        finally:
            del self._running[key]

    async def _once(self, key: K) -> None:
        try:
            again = await self._visit(key)
            self._failures.pop(key, None)
        except Exception:
            failures = self._failures[key] = self._failures.get(key, 0) + 1
            again = min(FIRST_RETRY_SECONDS * 2 ** (failures - 1), LAST_RETRY_SECONDS)
            log.exception("%s: failed, again in %g s", key, again)
        if again is not None and not self._closed and key not in self._due:
            self._timers[key] = asyncio.get_running_loop().call_later(again, self.add, key)
