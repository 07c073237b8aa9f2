"""Who may use a CPU next: one limiter for everything that computes.

A slot is one CPU. A decoder holds as many slots as it has FFmpeg threads, a preprocessing worker as many as its
intra-op threads, a forward pass on the CPU as many as torch runs. What is held at one moment never exceeds the
capacity, for every CPU count. There is no static split: images alone may use every CPU.

Fairness is between *flows* (image, video, audio, forward), by CPU time used: start-time fair queueing. Long work
asks again between its steps, so a video beside images takes its share, not the machine. A flow that was
idle starts at the virtual time of the busiest-served one now waiting or running: idleness earns no credit.

Pure but for the futures: no threads here, all calls on the event loop.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic


@dataclass(slots=True)
class _Flow:
    """Waiters of one kind, oldest first, and the CPU time that the kind has had."""

    virtual_time: float = 0.0
    running: int = 0
    waiters: deque[tuple[int, asyncio.Future[None]]] = field(default_factory=deque)

    @property
    def active(self) -> bool:
        return bool(self.waiters) or self.running > 0


class CpuSlots:
    """A weighted semaphore that is fair between flows.

    Args:
        capacity: Slots, at least one: the CPUs that this process may use.
        clock: Seconds; for tests.
    """

    def __init__(self, capacity: int, clock: Callable[[], float] = monotonic) -> None:
        if capacity < 1:
            raise ValueError(f"capacity must be at least 1, got {capacity}")
        self.capacity = capacity
        self.held = 0
        self._clock = clock
        self._flows: dict[str, _Flow] = {}

    @property
    def waiting(self) -> int:
        """Callers that wait for a slot."""
        return sum(len(flow.waiters) for flow in self._flows.values())

    def waiting_in(self, flow: str) -> int:
        """Callers of one flow that wait for a slot."""
        return len(self._flows[flow].waiters) if flow in self._flows else 0

    @asynccontextmanager
    async def hold(self, flow: str, weight: int = 1) -> AsyncIterator[None]:
        """Wait for `weight` slots (at most the capacity), hold them, and charge their time to `flow`."""
        weight = await self.acquire(flow, weight)
        started = self._clock()
        try:
            yield
        finally:
            self.release(flow, weight, self._clock() - started)

    async def acquire(self, flow: str, weight: int) -> int:
        """Wait for slots; returns how many were taken, for `release`."""
        weight = max(1, min(weight, self.capacity))
        entry = self._flows.setdefault(flow, _Flow())
        if not entry.active:
            busy = [other.virtual_time for other in self._flows.values() if other.active]
            entry.virtual_time = max(entry.virtual_time, min(busy, default=0.0))
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry.waiters.append((weight, waiter))
        self._grant()
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self.release(flow, weight, 0.0)
            else:
                entry.waiters.remove((weight, waiter))
                self._grant()
            raise
        return weight

    def release(self, flow: str, weight: int, seconds: float) -> None:
        """Give slots back that were held for `seconds`."""
        entry = self._flows[flow]
        entry.virtual_time += weight * seconds
        entry.running -= 1
        self.held -= weight
        self._grant()

    def _grant(self) -> None:
        """Let in the flow that has had least, until it does not fit: no overtaking, or a wide one would starve."""
        while True:
            waiting = [flow for flow in self._flows.values() if flow.waiters]
            if not waiting:
                return
            flow = min(waiting, key=lambda each: each.virtual_time)
            weight, waiter = flow.waiters[0]
            if waiter.done():  # cancelled a moment ago; its own coroutine has not run yet
                flow.waiters.popleft()
                continue
            if self.held + weight > self.capacity:
                return
            flow.waiters.popleft()
            flow.running += 1
            self.held += weight
            waiter.set_result(None)
