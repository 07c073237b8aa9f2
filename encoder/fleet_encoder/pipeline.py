"""The chain of stages, its front door and its short cuts.

::

    submit -> admission -> (fetch) -> inspect -+-> decode_image -> preprocess_image -+-> forward ------+-> outcome
                                               +-> decode_video -> preprocess_video -+                 |
                                               +-> decode_audio -> preprocess_audio -+-> forward_long -+
                                               |
                                               +-> in the cache, or identical to one in flight: outcome

An item that takes several forward passes, or a huge one, would make others wait for all of it. So it goes through
`forward_long`, one at a time, beside the batches of `forward`.

Facades (`wire/`) submit items and wait for each one's `outcome`. All methods run on the event loop.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

from fleet_client.protocol import Modality, Sampling
from fleet_encoder.admission import ESTIMATED_PATCHES, MAX_ITEMS, Admission
from fleet_encoder.cache import EmbeddingCache
from fleet_encoder.drain import Lifecycle
from fleet_encoder.errors import Draining, Incompatible, Internal, ItemError
from fleet_encoder.families.base import Preparation
from fleet_encoder.job import Job, Outcome, Source
from fleet_encoder.metrics import Metrics
from fleet_encoder.stage import Batching, Stage, Work

FETCH_WORKERS = 256
"""Downloads at one moment; each is a socket, not a thread."""

INSPECT_WORKERS = 32
QUEUE = MAX_ITEMS
"""Items that may wait where they hold little: an URL, or bytes that admission has counted. All that are here: where a
stage's queue were full, the stage before it would stand still for every modality.
"""

MAX_FAILURES = 5
"""Forward passes in a row that fail for all their items, until the encoder gives up."""

READY_QUEUE = 64
"""Items that may wait for the forward pass, as features."""


class Pipeline:
    """See the module.

    Args:
        modalities: What is served; another one is `Incompatible`.
        preparation: Of items whose facade names no other.
        fetch: Work of the fetch stage.
        inspect: Of the inspect stage.
        decode: Of the decode stages, with their workers.
        preprocess: Of the preprocess stages, with their workers.
        forward: Of the forward stages, with the batches that may run at a time.
        max_wait: Seconds that a batch waits for items that are close.
        batch_cost: Part of a batch that a preprocessed job fills.
        is_long: Whether a preprocessed job takes several forward passes, or a huge one.
        admission: Front door.
        cache: Embeddings kept.
        lifecycle: Draining?
        metrics: Where all is counted.
    """

    def __init__(
        self,
        *,
        modalities: tuple[Modality, ...],
        preparation: Preparation | None = None,
        fetch: Work,
        inspect: Work,
        decode: dict[Modality, tuple[Work, int]],
        preprocess: dict[Modality, tuple[Work, int]],
        forward: tuple[Work, int],
        max_wait: float,
        batch_cost: Callable[[Job], float],
        is_long: Callable[[Job], bool],
        admission: Admission,
        cache: EmbeddingCache,
        lifecycle: Lifecycle,
        metrics: Metrics,
    ) -> None:
        self.modalities = modalities
        self._preparation = preparation
        self.admission = admission
        self.cache = cache
        self.lifecycle = lifecycle
        self.metrics = metrics
        self.served_per_second = 0.0
        self.broken = asyncio.Event()
        self._is_long = is_long
        self._failures = 0
        self._batches = 0
        self._in_flight: dict[bytes, Job] = {}
        self._live: set[Job] = set()

        def stage(name: str, work: Work, workers: int, capacity: int, batching: Batching | None = None) -> Stage:
            return Stage(name, work, workers=workers, capacity=capacity, metrics=metrics.stage(name), batching=batching)

        self.fetch = stage("fetch", fetch, FETCH_WORKERS, QUEUE)
        self.inspect = stage("inspect", inspect, INSPECT_WORKERS, QUEUE)
        self.decode = {
            modality: stage(f"decode_{modality}", work, workers, QUEUE)
            for modality, (work, workers) in decode.items()
            if modality in modalities
        }
        self.preprocess = {
            modality: stage(f"preprocess_{modality}", work, workers, max(4, workers))
            for modality, (work, workers) in preprocess.items()
            if modality in modalities
        }
        passes, at_once = self._timed(forward[0]), forward[1]
        batching = Batching(1.0, max_wait, self._more_coming, batch_cost)
        self.forward = stage("forward", passes, at_once, READY_QUEUE, batching)
        self.forward_long = stage("forward_long", passes, 1, READY_QUEUE)

    @property
    def stages(self) -> list[Stage]:
        """All of them, in the order of a job's way."""
        return [
            self.fetch,
            self.inspect,
            *self.decode.values(),
            *self.preprocess.values(),
            self.forward,
            self.forward_long,
        ]

    @property
    def pending(self) -> int:
        """Items without an outcome."""
        return len(self._live)

    @property
    def tasks(self) -> "list[asyncio.Task[None]]":
        """That must not end by themselves."""
        return [task for stage in self.stages for task in stage.tasks]

    def start(self) -> None:
        """Start every stage's workers."""
        self.fetch.start(self.inspect.put)
        self.inspect.start(self._after_inspect)
        for modality, stage in self.decode.items():
            stage.start(self.preprocess[modality].put)
            self.preprocess[modality].start(self._after_preprocess)
        self.forward.start(self._after_forward)
        self.forward_long.start(self._after_forward)

    async def stop(self) -> None:
        """End all workers; `abandon` before that answers the jobs that are still inside."""
        for stage in self.stages:
            await stage.stop()

    def submit(
        self,
        *,
        request: str,
        index: int,
        modality: Modality,
        source: Source,
        sampling: Sampling | None = None,
        deadline: float | None = None,
        preparation: Preparation | None = None,
        check: Callable[[Any], None] | None = None,
        late: bool = False,
    ) -> Job:
        """Let an item in.

        Args:
            request: Id, for logs.
            index: Of the item in its request.
            modality: Of the item.
            source: Bytes or URL.
            sampling: For video.
            deadline: `time.monotonic()` after which nobody wants it.
            preparation: In place of the family's own.
            check: Judges the media's bytes, in a worker thread, by raising `ItemError`.
            late: It is taken while this encoder drains, up to the drain's last moments.

        Returns:
            The job; its `outcome` is set when it is done.

        Raises:
            Draining: This encoder is going away.
            Incompatible: The model does not have that modality.
            Busy: Admission is full.
        """
        if modality not in self.modalities:
            have = ", ".join(self.modalities)
            raise Incompatible(f"this pool encodes {have}, not {modality}: send it to a pool whose model does")
        self.lifecycle.check_open(late=late)
        size = source.size if source.data is None else len(source.data)
        ticket = self.admission.admit(modality, size, self.served_per_second)
        preparation = preparation or self._preparation
        job = Job(
            request, index, modality, source, ticket, sampling, deadline, preparation, check, left=self.admission.leave
        )
        self._live.add(job)
        job.outcome.add_done_callback(lambda _: self._leave(job))
        (self.fetch if source.url is not None else self.inspect).enter(job)
        return job

    def count_refused(self, modality: Modality, error: ItemError) -> None:
        """Count an item that `submit` or a facade refused: demand includes what was turned away."""
        self.metrics.offered.labels(modality).inc(ESTIMATED_PATCHES[modality])
        self.metrics.items.labels(modality, error.status.value).inc()
        self.metrics.rejected.labels(error.status.value.lower()).inc()

    async def until_idle(self) -> None:
        """Wait until nothing is pending."""
        while self._live:
            await asyncio.wait([job.outcome for job in self._live])

    async def _after_inspect(self, job: Job) -> None:
        """Known by content now: answered from the cache, joined to an identical job, or computed."""
        assert job.key is not None
        self.metrics.offered.labels(job.modality).inc(job.patches)
        known = self.cache.get(job.key)
        if known is not None:
            self.metrics.cache_hits.inc()
            job.finish(Outcome(known, None, shared=True))
            return
        leader = self._in_flight.get(job.key)
        if leader is not None and not leader.outcome.done():
            self.metrics.cache_joined.inc()
            self.admission.correct(job.ticket, patches=0, size=0)
            job.source = Source()
            leader.followers.append(job)
            return
        self.metrics.cache_misses.inc()
        self._in_flight[job.key] = job
        await self.decode[job.modality].put(job)

    async def _after_preprocess(self, job: Job) -> None:
        await (self.forward_long if self._is_long(job) else self.forward).put(job)

    async def _after_forward(self, job: Job) -> None:
        assert job.embedding is not None
        assert job.key is not None
        self.cache.put(job.key, job.embedding)
        job.finish(Outcome(job.embedding, None))

    def _leave(self, job: Job) -> None:
        """Whatever its end: the job gives back what it held, and is counted."""
        self._live.discard(job)
        self.admission.release(job.ticket)
        job.leave()
        if job.key is not None and self._in_flight.get(job.key) is job:
            del self._in_flight[job.key]
        outcome = job.outcome.result()
        status = "OK" if outcome.error is None else outcome.error.status.value
        self.metrics.items.labels(job.modality, status).inc()
        self.metrics.latency.labels(job.modality).observe(time.monotonic() - job.entered)
        if outcome.embedding is not None:
            self.metrics.served.labels(job.modality).inc(outcome.embedding.meta.patches)
        else:
            self.metrics.rejected.labels(status.lower()).inc()

    def _more_coming(self) -> bool:
        """Quick work is close to the forward stage. A long video being decoded is not a reason to wait."""
        near = [self.preprocess.get("image"), self.preprocess.get("audio"), self.decode.get("image")]
        return any(stage is not None and stage.pending for stage in near)

    def _timed(self, forward: Work) -> Work:
        """Measure the service rate for retry hints: an average that follows the last few batches."""

        async def work(jobs: list[Job]) -> "list[ItemError | None]":
            started = time.monotonic()
            self._batches += 1
            sharing = self._batches
            try:
                errors = await forward(jobs)
            finally:
                self._batches -= 1
            self._judge(errors)
            rate = sharing * sum(job.patches for job in jobs) / max(time.monotonic() - started, 1e-6)
            self.served_per_second = rate if not self.served_per_second else 0.7 * self.served_per_second + 0.3 * rate
            return list(errors)

        return work

    def _judge(self, errors: Sequence[ItemError | None]) -> None:
        """A lost device fails every pass, at once: an idle-looking encoder that only attracts work."""
        failed = all(isinstance(error, Internal) for error in errors)
        self._failures = self._failures + 1 if failed else 0
        if self._failures >= MAX_FAILURES:
            self.broken.set()

    def abandon(self) -> None:
        """Answer everything still inside: the drain time is over."""
        for job in list(self._live):
            job.finish(Outcome(None, Draining("the encoder stopped before this item was done: send it to another one")))
