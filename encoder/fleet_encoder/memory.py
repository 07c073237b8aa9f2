"""Bounds what items hold in memory between decoding and delivery: pixels and samples, then features.

Small items never wait: an image must not stand behind a clip that waits for gigabytes. They are counted, so that large
ones leave them room; how many of them there are is bounded by admission. Large items wait in order. One of them is
always let in, so none waits for ever, however many small ones there are.
"""

import asyncio
import contextlib
from collections import deque

MOST_BYTES = 4 << 30
SHARE = 4
"""The limit: so many bytes, or that part of what the process may have. A minute of 720p at 2 frames/s is 0.3 GB."""

SMALL = 64
"""An item of at most this part of the limit is small."""


class Share:
    """What one item holds. Used on the event loop.

    Attributes:
        size: Bytes; 0 once released.
    """

    def __init__(self, memory: "DecodedMemory", size: int, *, large: bool) -> None:
        self.size = size
        self._memory = memory
        self._large = large

    def resize(self, size: int) -> None:
        """It holds `size` bytes now. Never waits: the item is in."""
        self._memory.change(size - self.size)
        self.size = size

    def release(self) -> None:
        """It holds nothing any more; a second call does nothing."""
        large, self._large = self._large, False
        size, self.size = self.size, 0
        self._memory.change(-size, large=-int(large))


class DecodedMemory:
    """See the module.

    Args:
        limit: Bytes.
    """

    def __init__(self, limit: int) -> None:
        self.limit = max(1, limit)
        self.held = 0
        self._large = 0
        self._waiters: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def take(self, size: int) -> Share:
        """Wait for room for `size` bytes; the first large item always has it."""
        if size <= self.limit // SMALL:
            self.held += size
            return Share(self, size, large=False)
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append((size, granted))
        self._grant()
        try:
            await granted
        except asyncio.CancelledError:
            if granted.done() and not granted.cancelled():
                self.change(-size, large=-1)
            else:
                with contextlib.suppress(ValueError):  # passed over by another grant already
                    self._waiters.remove((size, granted))
                self._grant()
            raise
        return Share(self, size, large=True)

    def change(self, size: int, *, large: int = 0) -> None:
        """Count `size` bytes and `large` items more or less; called by shares."""
        self.held += size
        self._large += large
        self._grant()

    def _grant(self) -> None:
        while self._waiters:
            size, granted = self._waiters[0]
            if not granted.cancelled():
                if self._large and self.held + size > self.limit:
                    return
                self.held += size
                self._large += 1
                granted.set_result(None)
            self._waiters.popleft()


def decoded_limit(visible: int | None) -> int:
    """Bytes for decoded media in a process that may have `visible` bytes in all; None: nobody knows."""
    return MOST_BYTES if visible is None else min(MOST_BYTES, visible // SHARE)
