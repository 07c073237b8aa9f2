"""Long work in short steps: a generator that is run for a while, and then lets others have the CPU."""

import threading
from collections.abc import Callable, Generator
from time import monotonic

from fleet_encoder.workers import CpuWorkers


def always_wanted() -> None:
    """The check of work that nobody gives up."""


STEP_SECONDS = 0.04
"""Of one step: long beside what it costs to change threads (0.1 ms), short beside what a person waits for an image."""


class Steps:
    """Runs a generator in worker threads, one step after the other.

    Args:
        work: Yields wherever it may be interrupted. Its `finally` frees what it holds.
    """

    def __init__(self, work: Generator[None, None, None]) -> None:
        self._work = work
        self._running = threading.Lock()
        self._stopped = False

    async def run(self, workers: CpuWorkers, flow: str, weight: int, check: Callable[[], None] = always_wanted) -> None:
        """Run to the end. Where the caller is cancelled, the running step ends at its next yield.

        Args:
            workers: Where.
            flow: Who is charged for the CPU time.
            weight: CPU slots of a step.
            check: Called between steps; raises where nobody wants the rest, which ends it with that error.
        """
        try:
            while await workers.run(flow, weight, self._step):
                check()
        finally:
            self._stop()

    def _step(self) -> bool:
        """Work for about `STEP_SECONDS`; returns whether there is more."""
        more = False
        with self._running:
            if not self._stopped:
                until = monotonic() + STEP_SECONDS
                for _ in self._work:
                    more = True
                    if self._stopped or monotonic() >= until:
                        break
                else:
                    more = False
        if self._stopped:
            self._stop()
        return more

    def _stop(self) -> None:
        """Free what the work holds, now, or at the end of the step that is still running."""
        self._stopped = True
        if self._running.acquire(blocking=False):
            try:
                self._work.close()
            finally:
                self._running.release()
