"""How much of the encoder downloads may take: at one moment from one host, in all, and of memory.

Where the limit is reached for good the answer is BUSY at once, so that whoever waits for a slow host never holds what
others need.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fleet_encoder.errors import Busy

RETRY_SECONDS = 1.0


@dataclass(slots=True)
class _Host:
    turn: asyncio.Semaphore
    users: int = 0


class HostTurns:
    """Downloads at one moment.

    Args:
        total: In all.
        per_host: From one host.
        waiting: More from that host that may wait for their turn; beyond it `Busy`.
    """

    def __init__(self, total: int, per_host: int, waiting: int) -> None:
        self._per_host = per_host
        self._users = per_host + waiting
        self._total = asyncio.Semaphore(total)
        self._hosts: dict[str, _Host] = {}

    @asynccontextmanager
    async def take(self, host: str) -> AsyncIterator[None]:
        """Wait for this host's turn, and only then for a place among all."""
        entry = self._hosts.setdefault(host, _Host(asyncio.Semaphore(self._per_host)))
        if entry.users >= self._users:
            raise Busy(
                f"{entry.users} downloads from {host} are under way or wait, which is the limit: retry later, "
                "or send the bytes",
                RETRY_SECONDS,
            )
        entry.users += 1
        try:
            async with entry.turn, self._total:
                yield
        finally:
            entry.users -= 1
            if not entry.users:
                del self._hosts[host]


class MemoryShare:
    """Bytes that downloads under way hold, until admission counts them. Safe to use from threads.

    Args:
        limit: Bytes; one download alone always fits.
        admitted: Bytes that admission counts: of the same limit.
    """

    def __init__(self, limit: int, admitted: Callable[[], int] = lambda: 0) -> None:
        self.limit = limit
        self._admitted = admitted
        self.held = 0
        self._lock = threading.Lock()

    def move(self, before: int, after: int) -> None:
        """One holder goes from `before` bytes to `after`.

        Raises:
            Busy: It would grow, and does not fit beside the others.
        """
        with self._lock:
            downloads = self.held - before
            others = downloads + self._admitted()
            if after > before and others and others + after > self.limit:
                raise Busy(
                    f"{others} of {self.limit} bytes are pending (spec.admission.maxPendingBytes): retry later "
                    "or at another encoder",
                    RETRY_SECONDS,
                )
            self.held = downloads + after


class Hold:
    """What one download holds of a `MemoryShare`."""

    def __init__(self, share: MemoryShare) -> None:
        self._share = share
        self._bytes = 0
        self._lock = threading.Lock()
        self._released = False

    def cover(self, size: int) -> None:
        """Hold at least `size` bytes.

        Raises:
            Busy: There is no room.
        """
        with self._lock:
            if size > self._bytes and not self._released:
                self._share.move(self._bytes, size)
                self._bytes = size

    def shrink(self) -> None:
        """Hold nothing until `cover` is called again."""
        with self._lock:
            self._share.move(self._bytes, 0)
            self._bytes = 0

    def release(self) -> None:
        """Hold nothing, now and later."""
        with self._lock:
            self._share.move(self._bytes, 0)
            self._bytes = 0
            self._released = True
