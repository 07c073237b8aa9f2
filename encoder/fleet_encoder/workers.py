"""Where computing happens: threads of their own, apart from the event loop and from what sends.

Threads, not processes: decoders and the fused preprocessing release the GIL, and a frame stays where it is.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import ParamSpec, TypeVar

from fleet_encoder.slots import Cap, CpuSlots

_P = ParamSpec("_P")
_R = TypeVar("_R")

COMM = Path("/proc/thread-self/comm")
"""What the kernel calls the calling thread, and `top -H` shows. Threads that it starts inherit it, as OpenMP's do."""


class CpuWorkers:
    """A thread pool whose running work is within the CPU slots.

    Args:
        name: Of the threads, up to 15 characters, which are what the kernel keeps.
        workers: Threads: a cap, the slots decide how many run.
        slots: Shared by all pools of the process.
        initializer: Runs once in every thread.
        waited: Told the flow and the seconds that each piece of work waited for thread and slots.
    """

    def __init__(
        self,
        name: str,
        workers: int,
        slots: CpuSlots,
        initializer: Callable[[], None] | None = None,
        waited: Callable[[str, float], None] | None = None,
    ) -> None:
        self.name = name
        self.workers = workers
        self.slots = slots
        self._cap = Cap(workers)
        self._waited = waited
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix=name, initializer=self._begin)
        self._initializer = initializer

    async def run(self, flow: str, weight: int, function: Callable[_P, _R], *args: _P.args, **kwargs: _P.kwargs) -> _R:
        """Run `function` in a thread while holding `weight` slots, charged to `flow`.

        Slots are taken only when a thread is free. Where the caller is cancelled, they stay held until the thread is
        really done.
        """
        return await self._run(flow, weight, lambda _: function(*args, **kwargs))

    async def run_elastic(self, flow: str, least: int, most: int, function: Callable[[int], _R]) -> _R:
        """As `run`, with `least` to `most` slots: those that nobody else waits for; `function` is told how many."""
        return await self._run(flow, most, function, least)

    def _begin(self) -> None:
        with suppress(OSError):  # not Linux
            COMM.write_text(self.name)
        if self._initializer is not None:
            self._initializer()

    async def _run(self, flow: str, weight: int, function: Callable[[int], _R], least: int | None = None) -> _R:
        asked = monotonic()
        grant = await self.slots.acquire(flow, weight, self._cap, least=least)
        started = monotonic()
        if self._waited is not None:
            self._waited(flow, started - asked)
        try:
            loop = asyncio.get_running_loop()
            future = loop.run_in_executor(self._threads, function, grant.weight)
        except BaseException:
            self.slots.release(grant, 0.0)
            raise

        def done(ended: asyncio.Future[_R]) -> None:
            self.slots.release(grant, monotonic() - started)
            if not ended.cancelled():
                ended.exception()  # of a caller that left, nobody else asks for it, and asyncio would complain

        future.add_done_callback(done)
        return await asyncio.shield(future)

    def close(self) -> None:
        """Let running work end, start no more."""
        self._threads.shutdown(wait=False, cancel_futures=True)
