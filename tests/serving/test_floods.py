"""More work than there is room for: what is held stays within the limits, and no stage stands still for another."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence

import pytest

from fleet_encoder.admission import MAX_ITEMS, Admission
from fleet_encoder.cache import EmbeddingCache
from fleet_encoder.drain import Lifecycle
from fleet_encoder.errors import Busy, ItemError
from fleet_encoder.job import Job, Source
from fleet_encoder.metrics import Metrics
from fleet_encoder.pipeline import Pipeline
from fleet_encoder.sources.fetch import Fetcher, SourcePolicy
from fleet_encoder.stages.fetch import Fetch

URL = "data:;base64," + "A" * 4000  # 3000 bytes
LIMIT = 100_000


async def never(jobs: list[Job]) -> Sequence[ItemError | None]:
    await asyncio.Event().wait()
    return [None] * len(jobs)


@pytest.fixture
async def pipeline() -> AsyncIterator[Pipeline]:
    """The real stages for fetching; decoding of what they fetched never ends."""
    numbers = itertools.count()

    async def inspect(jobs: list[Job]) -> Sequence[ItemError | None]:
        for job in jobs:
            job.key = str(next(numbers)).encode()
        return [None] * len(jobs)

    admission, lifecycle = Admission(10**9, LIMIT), Lifecycle()
    lifecycle.warmed_up()
    policy = SourcePolicy(allowed_domains=(), allow_private_networks=False, local_root=None, max_bytes=LIMIT)
    async with Fetcher(policy, max_pending_bytes=LIMIT, admitted_bytes=lambda: admission.bytes) as fetcher:
        made = Pipeline(
            modalities=("image", "video"),
            fetch=Fetch(fetcher, admission),
            inspect=inspect,
            decode={"image": (never, 2), "video": (never, 2)},
            preprocess={"image": (never, 2), "video": (never, 2)},
            forward=(never, 1),
            max_wait=0.0,
            batch_cost=lambda job: 0.01,
            is_long=lambda job: False,
            admission=admission,
            cache=EmbeddingCache(0),
            lifecycle=lifecycle,
            metrics=Metrics(),
        )
        made.start()
        yield made
        await made.stop()


async def settled(pipeline: Pipeline) -> None:
    """Until nothing moves any more: the loop has had many turns without a change."""
    seen, quiet = (-1, -1), 0
    while quiet < 200:
        now = (pipeline.admission.bytes, sum(stage.waiting for stage in pipeline.stages))
        seen, quiet = now, quiet + 1 if now == seen else 0
        await asyncio.sleep(0)


async def test_urls_wait_until_what_was_fetched_is_gone(pipeline: Pipeline) -> None:
    jobs = [pipeline.submit(request="r", index=n, modality="video", source=Source(url=URL)) for n in range(2000)]
    await settled(pipeline)
    most = LIMIT + 256 * 3000  # each of the fetch stage's workers may have been let in at the same moment
    assert LIMIT <= pipeline.admission.bytes <= most
    fetched = pipeline.admission.bytes
    waiting = [job for job in jobs if job.source.data is None and not job.outcome.done()]
    assert waiting
    for job in jobs:
        if job.source.data is not None:
            job.cancel()
    await settled(pipeline)
    assert LIMIT <= pipeline.admission.bytes <= most
    assert sum(job.source.data is None and not job.outcome.done() for job in jobs) < len(waiting)
    assert fetched


async def test_a_flood_of_videos_leaves_the_way_free_for_an_image(pipeline: Pipeline) -> None:
    pipeline.admission.max_bytes = 10**12
    for number in range(3000):
        pipeline.submit(request="r", index=number, modality="video", source=Source(data=b"v"))
    image = pipeline.submit(request="i", index=0, modality="image", source=Source(data=b"i"))
    while not pipeline.decode["image"].running:
        await asyncio.sleep(0)
    assert image.key is not None


async def test_items_that_were_cancelled_count_until_they_have_left_every_queue(pipeline: Pipeline) -> None:
    """Else sending and cancelling in a loop would fill the memory with dead ones."""
    admission = pipeline.admission
    for number in range(2):
        pipeline.submit(request="stuck", index=number, modality="video", source=Source(data=b"v"))
    await settled(pipeline)
    refused = 0
    for number in range(2 * MAX_ITEMS):
        try:
            pipeline.submit(request=str(number), index=0, modality="video", source=Source(data=b"v")).cancel()
        except Busy:
            refused += 1
    assert admission.items == MAX_ITEMS
    assert refused == MAX_ITEMS + 2
    await settled(pipeline)
    assert admission.items == 2
