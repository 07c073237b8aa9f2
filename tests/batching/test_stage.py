"""A stage takes what fits one batch, in order, and loses nobody when a job fails."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fleet_encoder.admission import Ticket
from fleet_encoder.errors import Expired, Invalid, ItemError
from fleet_encoder.job import Job, Source
from fleet_encoder.metrics import Metrics
from fleet_encoder.stage import Batching, Stage


def job(patches: int, name: str = "r") -> Job:
    return Job(name, 0, "image", Source(data=b""), Ticket(patches, 0))


class Recorder:
    """Work that notes its batches, and waits for leave to end each."""

    def __init__(self, *, gated: bool = False) -> None:
        self.batches: list[list[int]] = []
        self.gate = asyncio.Semaphore(0 if gated else 10**6)

    async def __call__(self, jobs: list[Job]) -> Sequence[ItemError | None]:
        self.batches.append([each.patches for each in jobs])
        await self.gate.acquire()
        return [Invalid("bad") if each.request == "bad" else None for each in jobs]


async def run_through(stage: Stage, jobs: list[Job], first_alone: bool = True) -> list[Job]:
    """Put all in, collect what comes out until nothing is left inside."""
    out: list[Job] = []

    async def collect(each: Job) -> None:
        out.append(each)

    stage.start(collect)
    for number, each in enumerate(jobs):
        await stage.put(each)
        if first_alone and number == 0:
            await asyncio.sleep(0)
            await asyncio.sleep(0)
    while len(out) + sum(each.outcome.done() for each in jobs) < len(jobs):
        await asyncio.sleep(0)
    await stage.stop()
    return out


@pytest.mark.parametrize(
    ("budget", "costs", "batches"),
    [
        (100, [10, 40, 40, 20, 30], [[10], [40, 40, 20], [30]]),
        (100, [10, 300, 10, 10], [[10], [300], [10, 10]]),
        (100, [500, 500], [[500], [500]]),
        (1, [1, 1, 1], [[1], [1], [1]]),
        (100, [10, 60, 60, 10, 60], [[10], [60], [60, 10], [60]]),
    ],
)
async def test_batches_fill_the_patch_budget_in_order(budget: int, costs: list[int], batches: list[list[int]]) -> None:
    work = Recorder(gated=True)
    stage = Stage(
        "forward", work, workers=1, capacity=100, metrics=Metrics().stage("forward"),
        batching=Batching(budget, 10.0, lambda: False),
    )  # fmt: skip
    jobs = [job(cost) for cost in costs]

    async def open_gate() -> None:
        while len(jobs) > stage_put_count():
            await asyncio.sleep(0)
        for _ in jobs:
            work.gate.release()

    def stage_put_count() -> int:
        return stage.waiting + sum(len(batch) for batch in work.batches)

    opener = asyncio.create_task(open_gate())
    done = await run_through(stage, jobs)
    await opener
    assert work.batches == batches
    assert done == jobs


@settings(max_examples=50, deadline=None)
@example(workers=2, costs=[60] * 6, pauses=[0] * 40)
@given(
    workers=st.integers(1, 5),
    costs=st.lists(st.integers(1, 120), min_size=1, max_size=40),
    pauses=st.lists(st.integers(0, 3), min_size=40, max_size=40),
)
def test_no_worker_loses_or_holds_back_what_another_one_could_not_fit(
    workers: int, costs: list[int], pauses: list[int]
) -> None:
    async def scenario() -> None:
        work = Recorder()

        async def slowly(jobs: list[Job]) -> Sequence[ItemError | None]:
            for _ in range(7):
                await asyncio.sleep(0)
            return await work(jobs)

        started: list[Job] = []
        stage = Stage(
            "forward", slowly, workers=workers, capacity=8, metrics=Metrics().stage("forward"),
            batching=Batching(100, 0.02, lambda: len(started) < len(costs)),
        )  # fmt: skip
        out: list[Job] = []

        async def collect(each: Job) -> None:
            out.append(each)

        stage.start(collect)
        for _ in range(3):
            await asyncio.sleep(0)  # all workers wait now
        jobs = [job(cost) for cost in costs]
        for each, pause in zip(jobs, pauses, strict=False):
            await stage.put(each)
            started.append(each)
            for _ in range(pause):
                await asyncio.sleep(0)
        async with asyncio.timeout(5):
            while len(out) < len(jobs):
                await asyncio.sleep(0)
        await stage.stop()
        assert sorted(map(id, out)) == sorted(map(id, jobs))
        assert all(len(batch) == 1 or sum(batch) <= 100 for batch in work.batches)

    asyncio.run(scenario())


async def test_a_lone_job_does_not_wait_when_nothing_is_coming() -> None:
    work = Recorder()
    never = Batching(100, 3600.0, lambda: False)
    stage = Stage("forward", work, workers=1, capacity=9, metrics=Metrics().stage("forward"), batching=never)
    async with asyncio.timeout(60):
        await run_through(stage, [job(1)])


async def test_a_job_waits_for_company_that_is_near() -> None:
    work = Recorder()
    coming = [True]
    stage = Stage(
        "forward", work, workers=1, capacity=9, metrics=Metrics().stage("forward"),
        batching=Batching(3, 3600.0, lambda: coming[0]),
    )  # fmt: skip
    async with asyncio.timeout(60):
        await run_through(stage, [job(1), job(1), job(1)])
    assert work.batches == [[1, 1, 1]]


async def test_a_bad_job_fails_alone() -> None:
    work = Recorder()
    stage = Stage(
        "forward", work, workers=1, capacity=9, metrics=Metrics().stage("forward"),
        batching=Batching(100, 0.0, lambda: False),
    )  # fmt: skip
    jobs = [job(1), job(1, "bad"), job(1)]
    assert await run_through(stage, jobs, first_alone=False) == [jobs[0], jobs[2]]
    error = jobs[1].outcome.result().error
    assert isinstance(error, Invalid)


async def test_work_that_nobody_waits_for_is_dropped_before_it_is_done() -> None:
    work = Recorder()
    stage = Stage("decode", work, workers=1, capacity=9, metrics=Metrics().stage("decode"))
    late, wanted, cancelled = job(1), job(2), job(3)
    late.deadline = 0.0
    cancelled.cancelled = True
    assert await run_through(stage, [late, wanted, cancelled]) == [wanted]
    assert work.batches == [[2]]
    assert isinstance(late.outcome.result().error, Expired)


async def test_a_job_is_computed_while_a_follower_still_waits() -> None:
    work = Recorder()
    stage = Stage("decode", work, workers=1, capacity=9, metrics=Metrics().stage("decode"))
    leader, follower = job(1), job(1)
    leader.cancelled = True
    leader.followers.append(follower)
    assert await run_through(stage, [leader]) == [leader]


async def test_a_defect_in_a_stage_fails_its_jobs_and_not_the_stage(capsys: pytest.CaptureFixture[str]) -> None:
    async def work(jobs: list[Job]) -> Sequence[ItemError | None]:
        if jobs[0].request == "bad":
            raise ZeroDivisionError("oh")
        return [None]

    stage = Stage("decode", work, workers=1, capacity=9, metrics=Metrics().stage("decode"))
    bad, good = job(1, "bad"), job(1)
    assert await run_through(stage, [bad, good]) == [good]
    error = bad.outcome.result().error
    assert error is not None
    assert error.status == "INTERNAL"
    assert "ZeroDivisionError" in str(error)
    assert "oh" not in str(error)


async def test_a_full_queue_holds_the_stage_before_it_back() -> None:
    work = Recorder(gated=True)
    stage = Stage("forward", work, workers=1, capacity=1, metrics=Metrics().stage("forward"))
    stage.start(None)
    await stage.put(job(1))
    while not work.batches:
        await asyncio.sleep(0)
    await stage.put(job(1))
    blocked = asyncio.create_task(stage.put(job(1)))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not blocked.done()
    work.gate.release()
    await blocked
    await stage.stop()
