"""A long batch is many short steps: others get the CPU between them, and what nobody wants is given up."""

import asyncio
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from fleet_client.protocol import Status
from fleet_encoder.admission import Ticket
from fleet_encoder.errors import Draining
from fleet_encoder.families import family_for, qwen_vision
from fleet_encoder.families.base import Features, Image, ImageInfo, Passes
from fleet_encoder.job import Job, Outcome, Source
from fleet_encoder.metrics import Metrics
from fleet_encoder.runner.runner import Runner
from fleet_encoder.slots import CpuSlots
from fleet_encoder.stages.forward import Forward
from fleet_encoder.workers import CpuWorkers

CPU = torch.device("cpu")
SLOTS = 2


class Watched:
    """The real runner's passes; `between` is called from the worker thread after each but the last."""

    def __init__(self, runner: Runner) -> None:
        self.runner = runner
        self.done = 0
        self.between = lambda: None

    def __call__(self, batch: list[Features]) -> Passes:
        passes = self.runner.passes(batch)
        while True:
            try:
                next(passes)
            except StopIteration as end:
                self.done += 1
                return end.value  # type: ignore[no-any-return]
            self.done += 1
            self.between()
            yield


@pytest.fixture
def watched(qwen2_5_vl: Path, monkeypatch: pytest.MonkeyPatch) -> Watched:
    monkeypatch.setattr(qwen_vision, "CPU_PASS_PATCHES", 64)
    runner = Runner(qwen2_5_vl, family_for(qwen2_5_vl)(qwen2_5_vl), CPU, torch.float32)
    runner.load()
    return Watched(runner)


def job(watched: Watched, number: int) -> Job:
    pixels = np.full((112, 112, 3), number, np.uint8)  # 64 patches
    features = watched.runner.family.preprocess(Image(pixels, ImageInfo(112, 112, "raw")), CPU)
    assert features.patches == 64
    made = Job(str(number), 0, "image", Source(), Ticket(features.patches, 0))
    made.features = features
    return made


async def test_slots_are_free_between_passes(watched: Watched) -> None:
    slots = CpuSlots(SLOTS)
    workers = CpuWorkers("forward", 1, slots)
    forward = Forward(watched, workers, SLOTS, Metrics())
    jobs = [job(watched, number) for number in range(4)]
    batch = asyncio.ensure_future(forward(jobs))
    while not slots.held:
        await asyncio.sleep(0)
    async with slots.hold("image", SLOTS):
        assert watched.done < len(jobs)
    assert await batch == [None] * 4
    assert watched.done == 4
    for each in jobs:
        assert each.embedding is not None
        assert each.features is not None
        (alone,) = watched.runner.encode([each.features])
        assert torch.allclose(each.embedding.rows, alone, rtol=1e-5, atol=1e-6)
        assert each.embedding.rows.untyped_storage().nbytes() == each.embedding.rows.nbytes
    workers.close()


@pytest.mark.parametrize("end", ["cancel", "deadline", "drain"])
async def test_a_batch_that_nobody_wants_is_given_up(watched: Watched, end: str) -> None:
    jobs = [job(watched, number) for number in range(4)]
    loop = asyncio.get_running_loop()

    def leave() -> None:
        for each in jobs:
            if end == "cancel":
                each.cancelled = True
            elif end == "deadline":
                each.deadline = time.monotonic()
            else:
                loop.call_soon_threadsafe(each.finish, Outcome(None, Draining("stopped")))

    watched.between = leave
    workers = CpuWorkers("forward", 1, CpuSlots(SLOTS))
    errors = await Forward(watched, workers, SLOTS, Metrics())(jobs)
    assert watched.done == 1
    assert all(error is not None and job.embedding is None for error, job in zip(errors, jobs, strict=True))
    if end != "drain":
        expected = Status.CANCELLED if end == "cancel" else Status.EXPIRED
        assert {error.status for error in errors if error is not None} == {expected}
    workers.close()


async def test_one_that_is_wanted_keeps_its_batch_going(watched: Watched) -> None:
    jobs = [job(watched, number) for number in range(3)]
    watched.between = lambda: setattr(jobs[0], "cancelled", True)
    workers = CpuWorkers("forward", 1, CpuSlots(SLOTS))
    assert await Forward(watched, workers, SLOTS, Metrics())(jobs) == [None] * 3
    assert watched.done == 3
    workers.close()


async def test_a_pass_that_does_not_end_is_seen(watched: Watched) -> None:
    """From a lost device, for one."""
    begun, over = threading.Event(), threading.Event()

    def stuck(batch: list[Features]) -> Passes:
        begun.set()
        over.wait(60)
        return (yield from watched(batch))

    workers = CpuWorkers("forward", 1, CpuSlots(SLOTS))
    forward = Forward(stuck, workers, SLOTS, Metrics())
    assert forward.pass_seconds == 0
    running = asyncio.ensure_future(forward([job(watched, 0)]))
    await asyncio.to_thread(begun.wait)
    before = forward.pass_seconds
    await asyncio.sleep(0.01)
    assert forward.pass_seconds > before > 0
    over.set()
    await running
    assert forward.pass_seconds == 0
    workers.close()


async def test_a_pass_runs_with_as_many_threads_as_it_got_slots(watched: Watched) -> None:
    """One while other work waits for the rest of the CPUs, all of them on an idle encoder."""
    slots, seen = CpuSlots(4), []
    workers = CpuWorkers("forward", 4, slots)

    def noting(batch: list[Features]) -> Passes:
        seen.append((slots.held, torch.get_num_threads()))
        return (yield from watched(batch))

    forward = Forward(noting, workers, 4, Metrics())
    running = asyncio.ensure_future(slots.acquire("image", 3))
    await asyncio.sleep(0)
    assert await forward([job(watched, 0)]) == [None]
    slots.release(await running, 0.0)
    assert await forward([job(watched, 1)]) == [None]
    assert seen == [(4, 1), (4, 4)]
    workers.close()


async def test_passes_of_two_batches_at_the_same_time_equal_those_alone(watched: Watched) -> None:
    def wide(number: int) -> Job:
        made = job(watched, number)
        shades = np.random.default_rng(number).integers(0, 255, (336, 448, 3), np.uint8)
        made.features = watched.runner.family.preprocess(Image(shades, ImageInfo(448, 336, "raw")), CPU)
        return made

    items = [wide(number) for number in range(12)]
    alone = [watched.runner.encode([item.features])[0] for item in items if item.features is not None]
    workers = CpuWorkers("forward", 2, CpuSlots(SLOTS))
    forward = Forward(watched.runner.passes, workers, SLOTS, Metrics())
    await asyncio.gather(*(forward(items[start : start + 3]) for start in range(0, 12, 3)))
    for item, expected in zip(items, alone, strict=True):
        assert item.embedding is not None
        assert (item.embedding.rows - expected).norm() <= 1e-5 * expected.norm()
    workers.close()
