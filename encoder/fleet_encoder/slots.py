"""Who may use a CPU next: one limiter for everything that computes.

A slot is one CPU. A decoder holds as many slots as it has FFmpeg threads, a preprocessing worker as many as its
intra-op threads, a forward pass on the CPU as many as torch runs: what nobody else waits for, and at least its even
share. What is held at one moment never exceeds the capacity, for every CPU count. There is no static split: images
alone may use every CPU.

Fairness is between *flows* (image, video, audio, forward), by CPU time used: start-time fair queueing. Long work
asks again between its steps, so a video beside images takes its share, not the machine. What a step will take is
guessed from the flow's last ones, in slot-seconds, and charged when it begins, then corrected: else a flow of long
steps would take every free slot before the first of them ends. A flow that was idle starts at the virtual time of the
one that is served now: idleness earns no credit, and having been alone costs none.

Pure but for the futures: no threads here, all calls on the event loop.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic

_SMOOTHING = 0.2
"""Weight of the last step in the guess of the next."""


@dataclass(slots=True, eq=False)
class Cap:
    """A second limit that some of the callers share: the threads of a pool. Work that has no thread holds no CPU."""

    limit: int
    running: int = 0

    @property
    def full(self) -> bool:
        """No more may start now."""
        return self.running >= self.limit


@dataclass(frozen=True, slots=True)
class Grant:
    """`weight` slots that `flow` holds, charged with `charge` slot-seconds so far."""

    flow: str
    weight: int
    charge: float
    cap: Cap | None


@dataclass(slots=True, eq=False)
class _Waiter:
    """Wants `most` slots, starts with `least`."""

    least: int
    most: int
    cap: Cap | None
    granted: asyncio.Future[Grant]

    @property
    def may_start(self) -> bool:
        """Not where it was cancelled a moment ago, and its own coroutine has not run yet."""
        return not self.granted.done() and (self.cap is None or not self.cap.full)


@dataclass(slots=True)
class _Flow:
    """Waiters of one kind, oldest first, and the CPU time that the kind has had.

    `running` steps hold slots now; `typical` is the guess for a step, in slot-seconds.
    """

    name: str
    virtual_time: float = 0.0
    typical: float = 0.0
    running: int = 0
    waiters: deque[_Waiter] = field(default_factory=deque)

    @property
    def active(self) -> bool:
        return bool(self.waiters or self.running)

    @property
    def next(self) -> _Waiter | None:
        """The oldest waiter whose pool has a free thread: a full pool does not hold up the flow's work in another."""
        return next((waiter for waiter in self.waiters if waiter.may_start), None)


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
        self._virtual_time = 0.0

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
        grant = await self.acquire(flow, weight)
        started = self._clock()
        try:
            yield
        finally:
            self.release(grant, self._clock() - started)

    async def acquire(self, flow: str, weight: int, cap: Cap | None = None, *, least: int | None = None) -> Grant:
        """Wait for slots, and for room under `cap`.

        Args:
            flow: Who is charged.
            weight: Slots wanted, at most the capacity counts.
            cap: Threads that the work needs one of.
            least: Elastic work starts with so many, and takes of the free ones those, up to `weight`, that nobody waits
                for. None: it wants exactly `weight`.

        Returns:
            What was taken, for `release`.
        """
        weight = max(1, min(weight, self.capacity))
        entry = self._flows.setdefault(flow, _Flow(flow))
        if not entry.active:
            entry.virtual_time = max(entry.virtual_time, self._virtual_time)
        least = weight if least is None else max(1, min(least, weight))
        waiter = _Waiter(least, weight, cap, asyncio.get_running_loop().create_future())
        entry.waiters.append(waiter)
        self._grant()
        try:
            return await waiter.granted
        except asyncio.CancelledError:
            if waiter in entry.waiters:
                entry.waiters.remove(waiter)
                self._grant()
            elif not waiter.granted.cancelled():
                self.release(waiter.granted.result(), 0.0)
            raise

    def release(self, grant: Grant, seconds: float) -> None:
        """Give back slots that were held for `seconds`."""
        entry = self._flows[grant.flow]
        used = grant.weight * seconds
        entry.virtual_time += used - grant.charge
        entry.running -= 1
        if seconds:
            entry.typical += _SMOOTHING * (used - entry.typical)
        self.held -= grant.weight
        if grant.cap is not None:
            grant.cap.running -= 1
        if not any(other.active for other in self._flows.values()):
            self._virtual_time = max(other.virtual_time for other in self._flows.values())
        self._grant()

    def _grant(self) -> None:
        """Let in the flow that has had least, until it does not fit: no overtaking, or a wide one would starve."""
        while True:
            ready = [(flow, waiter) for flow in self._flows.values() if (waiter := flow.next) is not None]
            if not ready:
                return
            flow, waiter = min(ready, key=lambda each: (each[0].virtual_time, each[0].running))
            if self.held + waiter.least > self.capacity:
                return
            flow.waiters.remove(waiter)
            self._start(flow, waiter, self._share(waiter))

    def _share(self, waiter: _Waiter) -> int:
        """Slots for a waiter that starts now: elastic ones share evenly what others that could start leave free."""
        if waiter.least == waiter.most:
            return waiter.most
        free, sharing = self.capacity - self.held, 1
        started: Counter[Cap | None] = Counter({waiter.cap: 1})
        for other in (each for flow in self._flows.values() for each in flow.waiters if each.may_start):
            if other.cap is not None and other.cap.running + started[other.cap] >= other.cap.limit:
                continue
            started[other.cap] += 1
            if other.least == other.most:
                free -= other.most
            else:
                sharing += 1
        return max(waiter.least, min(waiter.most, free // sharing))

    def _start(self, flow: _Flow, waiter: _Waiter, weight: int) -> None:
        self._virtual_time = max(self._virtual_time, flow.virtual_time)
        flow.virtual_time += flow.typical
        flow.running += 1
        self.held += weight
        if waiter.cap is not None:
            waiter.cap.running += 1
        waiter.granted.set_result(Grant(flow.name, weight, flow.typical, waiter.cap))
