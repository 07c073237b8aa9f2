"""Joining an identical item in flight, up to the very moment in which it ends."""

from collections.abc import Sequence

import pytest

from fleet_encoder.admission import Admission
from fleet_encoder.cache import EmbeddingCache
from fleet_encoder.drain import Lifecycle
from fleet_encoder.errors import Invalid, ItemError
from fleet_encoder.job import Job, Outcome, Source
from fleet_encoder.metrics import Metrics
from fleet_encoder.pipeline import Pipeline


async def nothing(jobs: list[Job]) -> Sequence[ItemError | None]:
    return [None] * len(jobs)


@pytest.fixture
def pipeline() -> Pipeline:
    """Not started: jobs stay where they are put."""
    lifecycle = Lifecycle()
    lifecycle.warmed_up()
    return Pipeline(
        modalities=("image",),
        fetch=nothing,
        inspect=nothing,
        decode={"image": (nothing, 1)},
        preprocess={"image": (nothing, 1)},
        forward=(nothing, 1),
        max_wait=0.0,
        batch_cost=lambda job: 0.01,
        is_long=lambda job: False,
        admission=Admission(10**9, 10**9),
        cache=EmbeddingCache(0),
        lifecycle=lifecycle,
        metrics=Metrics(),
    )


def submit(pipeline: Pipeline, name: str) -> Job:
    job = pipeline.submit(request=name, index=0, modality="image", source=Source(data=b"same"))
    job.key = b"same"
    return job


async def test_an_identical_item_joins(pipeline: Pipeline) -> None:
    leader, follower = submit(pipeline, "a"), submit(pipeline, "b")
    await pipeline._after_inspect(leader)
    await pipeline._after_inspect(follower)
    assert leader.followers == [follower]
    assert pipeline.decode["image"].waiting == 1


async def test_nobody_joins_what_has_just_ended(pipeline: Pipeline) -> None:
    leader, late = submit(pipeline, "a"), submit(pipeline, "b")
    await pipeline._after_inspect(leader)
    leader.finish(Outcome(None, Invalid("damaged")))
    await pipeline._after_inspect(late)  # before the loop has run the leader's callbacks
    assert leader.followers == []
    assert pipeline.decode["image"].waiting == 2


async def test_cancelling_while_waiting_gives_back_what_it_holds(pipeline: Pipeline) -> None:
    job = submit(pipeline, "a")
    assert pipeline.admission.items == 1
    job.cancel()
    await pipeline.until_idle()
    assert (pipeline.pending, pipeline.admission.patches) == (0, 0)
    assert pipeline.admission.items == 1  # the queue still has it


async def test_cancelling_a_leader_keeps_it_for_its_follower(pipeline: Pipeline) -> None:
    leader, follower = submit(pipeline, "a"), submit(pipeline, "b")
    await pipeline._after_inspect(leader)
    await pipeline._after_inspect(follower)
    leader.cancel()
    assert not leader.outcome.done()
    follower.cancel()
    assert follower.outcome.done()
    leader.cancel()
    assert leader.outcome.done()


async def test_passes_that_all_fail_end_the_encoder(pipeline: Pipeline) -> None:
    from fleet_encoder.errors import Internal
    from fleet_encoder.pipeline import MAX_FAILURES

    for _ in range(MAX_FAILURES - 1):
        pipeline._judge([Internal("lost device")] * 2)
    pipeline._judge([Internal("lost device"), None])
    assert not pipeline.broken.is_set()
    for _ in range(MAX_FAILURES):
        pipeline._judge([Internal("lost device")])
    assert pipeline.broken.is_set()
