"""A stage: a name, a bounded queue, workers and a function. All the concurrency of the pipeline is this.

Queue depth, wait, service time and busy ratio are measured here once, and so are the same for every stage: which one is
the bottleneck is a comparison, not a guess. A full queue holds back the stage before it; admission at the front door
is what says no.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog

from fleet_encoder.errors import Internal, ItemError
from fleet_encoder.job import Job, Outcome
from fleet_encoder.metrics import StageMetrics

log = structlog.get_logger()

Work = Callable[[list[Job]], Awaitable[Sequence[ItemError | None]]]
"""Does the jobs of one batch. Returns an error for each job that failed alone; raises where all of them failed."""


@dataclass(frozen=True, slots=True)
class Batching:
    """How many waiting jobs one worker takes at once.

    Attributes:
        limit: Of their summed cost; a single costlier job goes alone.
        max_wait: Seconds to wait for more where `more_coming` says that some are close.
        more_coming: Jobs are on their way to this stage.
        cost: Of a job; its patches where nothing else is said.
    """

    limit: float
    max_wait: float
    more_coming: Callable[[], bool]
    cost: Callable[[Job], float] = lambda job: job.patches


class Stage:
    """See the module.

    Args:
        name: In metrics, logs and replies.
        work: See `Work`.
        workers: Batches at one moment.
        capacity: Jobs that may wait.
        metrics: Of this stage.
        batching: None: one job a batch.
    """

    def __init__(
        self,
        name: str,
        work: Work,
        *,
        workers: int,
        capacity: int,
        metrics: StageMetrics,
        batching: Batching | None = None,
    ) -> None:
        self.name = name
        self.workers = workers
        self.capacity = capacity
        self.running = 0
        self._work = work
        self._batching = batching
        self._metrics = metrics
        self._queue: asyncio.Queue[tuple[Job, float]] = asyncio.Queue(capacity)
        self._carried: tuple[Job, float] | None = None  # taken from the queue, but over the last batch's budget
        self._taking = asyncio.Lock()  # a job that one worker carries would be overlooked, or lost, by another
        self.tasks: list[asyncio.Task[None]] = []
        self._next: Callable[[Job], Awaitable[None]] | None = None
        metrics.watch(lambda: self.waiting, workers)

    def start(self, then: Callable[[Job], Awaitable[None]] | None) -> None:
        """Start the workers; each finished job is handed to `then`."""
        self._next = then
        self.tasks = [asyncio.create_task(self._serve(), name=f"{self.name}-{n}") for n in range(self.workers)]

    async def stop(self) -> None:
        """End the workers; what waits stays unanswered, so drain first."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    @property
    def pending(self) -> int:
        """Jobs that wait here or are being worked on."""
        return self.waiting + self.running

    @property
    def waiting(self) -> int:
        """Jobs that wait here."""
        return self._queue.qsize() + (self._carried is not None)

    def enter(self, job: Job) -> None:
        """Queue `job` where there is room.

        Raises:
            asyncio.QueueFull: There is none.
        """
        self._queue.put_nowait((job, time.monotonic()))
        job.queued = True

    async def put(self, job: Job) -> None:
        """Queue `job`; waits while the queue is full."""
        job.queued = True
        await self._queue.put((job, time.monotonic()))

    async def _take(self) -> list[tuple[Job, float]]:
        """The oldest job, and behind it, in order, what fits the same batch."""
        if self._batching is None:
            return [await self._queue.get()]
        async with self._taking:
            return await self._fill(self._batching)

    async def _fill(self, batching: Batching) -> list[tuple[Job, float]]:
        first, self._carried = self._carried, None
        batch = [first or await self._queue.get()]
        cost = batching.cost(batch[0][0])
        until = batch[0][1] + batching.max_wait
        while cost < batching.limit:
            following = await self._following(batching, until)
            if following is None:
                break
            cost += batching.cost(following[0])
            if cost > batching.limit:
                self._carried = following
                break
            batch.append(following)
        return batch

    async def _following(self, batching: Batching, until: float) -> tuple[Job, float] | None:
        """The next waiting job; a lone job on an idle encoder does not wait for one, as nothing is on its way."""
        if not self._queue.empty():
            return self._queue.get_nowait()
        left = until - time.monotonic()
        if left <= 0 or not batching.more_coming():
            return None
        try:
            async with asyncio.timeout(left):  # wait_for may swallow a cancellation (Python 3.11)
                return await self._queue.get()
        except TimeoutError:
            return None

    async def _serve(self) -> None:
        while True:
            batch = await self._take()
            now = time.monotonic()
            jobs = []
            for job, queued in batch:
                job.queued = False
                self._metrics.wait.observe(now - queued)
                if job.wanted(now):
                    jobs.append(job)
                else:
                    job.finish(Outcome(None, job.unwanted_error()))
                    job.leave()
            if jobs:
                self.running += len(jobs)
                try:
                    await self._run(jobs, dict(batch))
                finally:
                    self.running -= len(jobs)

    async def _run(self, jobs: list[Job], queued: dict[Job, float]) -> None:
        started = time.monotonic()
        self._metrics.started()
        for job in jobs:
            job.running = True
        errors: Sequence[ItemError | None]
        try:
            errors = await self._work(jobs)
        except ItemError as error:
            errors = [error] * len(jobs)
        except Exception as error:
            log.exception("stage failed", stage=self.name, requests=[job.request for job in jobs])
            errors = [Internal(f"{type(error).__name__} in stage {self.name}: see the encoder's log")] * len(jobs)
        finally:
            ended = time.monotonic()
            self._metrics.finished(ended - started, len(jobs), sum(job.patches for job in jobs))
        for job, failed in zip(jobs, errors, strict=True):
            job.running = False
            job.stage_seconds[self.name] = ended - queued[job]
            if failed is not None:
                job.finish(Outcome(None, failed))
            elif not job.wanted(ended):
                job.finish(Outcome(None, job.unwanted_error()))
            else:
                await self._hand_on(job)

    async def _hand_on(self, job: Job) -> None:
        """To the next stage. Whatever happens there, this stage's worker lives on."""
        if self._next is None:
            return
        try:
            await self._next(job)
        except Exception as error:
            log.exception("hand-over failed", stage=self.name, request=job.request)
            job.finish(
                Outcome(None, Internal(f"{type(error).__name__} after stage {self.name}: see the encoder's log"))
            )
