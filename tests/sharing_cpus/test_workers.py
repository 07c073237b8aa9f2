"""Threads under the CPU slots: how much runs at one moment, and what a caller that leaves does not disturb."""

import asyncio
import gc
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet_encoder.slots import CpuSlots
from fleet_encoder.workers import CpuWorkers


@pytest.fixture
def workers() -> Iterator[CpuWorkers]:
    pool = CpuWorkers("test", 4, CpuSlots(2))
    yield pool
    pool.close()


async def test_work_runs_in_a_named_thread_and_its_result_comes_back(workers: CpuWorkers) -> None:
    name, total = await workers.run("image", 1, lambda a, b: (threading.current_thread().name, a + b), 1, b=2)
    assert name.startswith("test")
    assert total == 3
    assert workers.slots.held == 0


async def test_the_kernel_knows_the_name_too_and_torchs_threads_have_it(workers: CpuWorkers) -> None:
    def names() -> list[str]:
        torch.set_num_threads(3)
        torch.ones(1 << 20).sum()
        return [task.joinpath("comm").read_text().strip() for task in Path("/proc/self/task").iterdir()]

    assert (await workers.run("image", 1, names)).count("test") >= 3


async def test_an_error_comes_back_and_the_slots_are_free_again(workers: CpuWorkers) -> None:
    def fail() -> None:
        raise ZeroDivisionError("in the thread")

    with pytest.raises(ZeroDivisionError, match="in the thread"):
        await workers.run("image", 2, fail)
    await asyncio.sleep(0)
    assert workers.slots.held == 0


async def test_a_cancelled_caller_does_not_free_the_slots_of_a_thread_that_still_runs(workers: CpuWorkers) -> None:
    started, may_end = threading.Event(), threading.Event()

    def work() -> None:
        started.set()
        may_end.wait(10)

    caller = asyncio.create_task(workers.run("video", 2, work))
    await asyncio.to_thread(started.wait, 10)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert workers.slots.held == 2
    may_end.set()
    assert await asyncio.wait_for(workers.run("image", 2, lambda: "in"), 10) == "in"


async def test_an_error_behind_a_cancelled_callers_back_is_no_news(
    workers: CpuWorkers, caplog: pytest.LogCaptureFixture
) -> None:
    started, may_end = threading.Event(), threading.Event()

    def fail() -> None:
        started.set()
        may_end.wait(10)
        raise ZeroDivisionError

    caller = asyncio.create_task(workers.run("video", 2, fail))
    await asyncio.to_thread(started.wait, 10)
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    may_end.set()
    await workers.run("image", 2, lambda: None)
    del caller
    gc.collect()
    assert not caplog.records


async def test_a_caller_cancelled_while_it_waits_never_runs(workers: CpuWorkers) -> None:
    may_end, ran = threading.Event(), threading.Event()
    holders = [asyncio.create_task(workers.run("video", 1, may_end.wait, 10)) for _ in range(2)]
    waiting = asyncio.create_task(workers.run("image", 1, ran.set))
    await asyncio.sleep(0.01)
    waiting.cancel()
    may_end.set()
    await asyncio.gather(*holders, waiting, return_exceptions=True)
    assert waiting.cancelled()
    assert not ran.is_set()


async def test_two_pools_share_the_slots_and_the_smaller_leaves_room() -> None:
    """One thread and much queued in the first pool: the second still finds slots."""
    slots = CpuSlots(4)
    small, other = CpuWorkers("small", 1, slots), CpuWorkers("other", 4, slots)
    may_end = threading.Event()
    queued = [asyncio.create_task(small.run("image", 1, may_end.wait, 10)) for _ in range(8)]
    await asyncio.sleep(0.01)
    assert slots.held == 1
    assert await asyncio.wait_for(other.run("forward", 3, lambda: "in"), 10) == "in"
    may_end.set()
    await asyncio.gather(*queued)
    small.close()
    other.close()


async def test_closing_ends_what_has_not_begun(workers: CpuWorkers) -> None:
    await workers.run("image", 1, lambda: None)
    workers.close()
    with pytest.raises(RuntimeError):
        await workers.run("image", 1, lambda: None)
    assert workers.slots.held == 0


@settings(max_examples=20, deadline=None)
@given(
    capacity=st.integers(1, 6),
    threads=st.integers(1, 6),
    jobs=st.lists(st.tuples(st.sampled_from(["image", "video"]), st.integers(1, 8)), max_size=24),
)
def test_threads_that_run_at_one_moment_are_within_slots_and_cap(
    capacity: int, threads: int, jobs: list[tuple[str, int]]
) -> None:
    lock = threading.Lock()
    running: list[int] = []
    most = [0, 0]

    def work(weight: int) -> None:
        with lock:
            running.append(min(weight, capacity))
            most[0], most[1] = max(most[0], sum(running)), max(most[1], len(running))
        time.sleep(0.001)
        with lock:
            running.remove(min(weight, capacity))

    async def scenario() -> None:
        pool = CpuWorkers("test", threads, CpuSlots(capacity))
        await asyncio.gather(*(pool.run(flow, weight, work, weight) for flow, weight in jobs))
        pool.close()

    asyncio.run(scenario())
    assert most[0] <= capacity
    assert most[1] <= threads
