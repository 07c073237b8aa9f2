"""A mixed load through the public client, during which a replica is killed, and the count of what became of it."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from time import monotonic

from fleet_client import AsyncClient, Encoding, Invalid, Media

CALLERS = 16
BEFORE_KILL = 4.0
AFTER_RESTART = 3.0
ITEM_TIMEOUT = 90.0
RESTART_TIMEOUT = 120.0


@dataclass
class Tally:
    """What was sent, and what became of it. Counted where it happens: `lost` is a difference, not a claim.

    Attributes:
        sent: Items handed to the client.
        encoded: Items whose embedding came back, with the rows that its metadata promise.
        refused: Items that cannot be encoded, and were answered so.
        moved: Encoded items that had to be sent more than once.
        by: Encoded items, by modality and by endpoint.
        problems: Everything else that came back, by its text.
    """

    sent: int = 0
    encoded: int = 0
    refused: int = 0
    moved: int = 0
    by: Counter[str] = field(default_factory=Counter)
    problems: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)

    @property
    def lost(self) -> int:
        """Items without the answer that they should have had."""
        return self.sent - self.encoded - self.refused


@dataclass(frozen=True)
class Kill:
    """Which replica dies, and how its return is noticed."""

    pid: int
    has_restarted: Callable[[], bool]
    tell: Callable[[str], None]


async def run(endpoints: list[str], items: Iterator[tuple[Media, bool]], kill: Kill) -> Tally:
    """Keep the encoders busy, kill one, go on until it has been back for a while; every item is waited for."""
    tally, stop = Tally(), asyncio.Event()
    async with AsyncClient(endpoints, timeout=ITEM_TIMEOUT, name="demo") as client:
        callers = [asyncio.create_task(call(client, items, tally, stop)) for _ in range(CALLERS)]
        try:
            await _disturb(kill, tally)
        finally:
            stop.set()
            await asyncio.gather(*callers)
    return tally


async def _disturb(kill: Kill, tally: Tally) -> None:
    await asyncio.sleep(BEFORE_KILL)
    kill.tell(f"{tally.encoded} encoded; now SIGKILL for process {kill.pid}, with requests in flight")
    os.kill(kill.pid, signal.SIGKILL)
    started = monotonic()
    while not kill.has_restarted():
        if monotonic() - started > RESTART_TIMEOUT:
            raise TimeoutError(f"the killed replica is not back after {RESTART_TIMEOUT:.0f} s")
        await asyncio.sleep(0.1)
    kill.tell(f"restarted and ready after {monotonic() - started:.1f} s; {tally.encoded} encoded by then")
    await asyncio.sleep(AFTER_RESTART)


async def call(client: AsyncClient, items: Iterator[tuple[Media, bool]], tally: Tally, stop: asyncio.Event) -> None:
    """One caller: the next item as soon as the last is answered."""
    while not stop.is_set():
        item, is_good = next(items)
        tally.sent += 1
        (outcome,) = await client.encode([item], return_errors=True)
        if isinstance(outcome, Encoding) and is_good and len(outcome.embedding) == outcome.meta.tokens > 0:
            tally.encoded += 1
            tally.moved += outcome.attempts > 1
            tally.by.update([item.modality, outcome.endpoint])
            tally.latencies.append(outcome.total_ms)
        elif isinstance(outcome, Invalid) and not is_good:
            tally.refused += 1
        else:
            tally.problems[f"{type(outcome).__name__}: {outcome}"] += 1
