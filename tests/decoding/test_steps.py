"""Decoding in short steps: others get their turn between them, and it stops where nobody waits any more."""

import asyncio
import gc
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
import torch

from fleet_encoder.errors import Cancelled
from fleet_encoder.media import steps, video
from fleet_encoder.media.steps import Steps
from fleet_encoder.media.video import decode_video, probe_video
from fleet_encoder.slots import CpuSlots
from fleet_encoder.workers import CpuWorkers

Film = Callable[[str], Path]
BACKENDS = {backend.name: backend for backend in video.BACKENDS}
pytestmark = pytest.mark.usefixtures("every_decoder")


class Work:
    """A generator that counts, and notes when it was closed."""

    def __init__(self, length: int = 10**9) -> None:
        self.length = length
        self.done = 0
        self.closed = threading.Event()
        self.threads: set[str] = set()

    def run(self) -> Generator[None, None, None]:
        try:
            while self.done < self.length:
                self.done += 1
                self.threads.add(threading.current_thread().name)
                time.sleep(0.001)
                yield
        finally:
            self.closed.set()


@pytest.fixture
def one_slot() -> Generator[CpuWorkers, None, None]:
    pool = CpuWorkers("step", 4, CpuSlots(1))
    yield pool
    pool.close()


async def test_work_runs_to_its_end_in_threads_and_is_closed(one_slot: CpuWorkers) -> None:
    work = Work(length=120)
    await Steps(work.run()).run(one_slot, "video", 1)
    assert work.done == 120
    assert work.closed.is_set()
    assert all(name.startswith("step") for name in work.threads)


async def test_others_get_their_turn_between_two_steps(one_slot: CpuWorkers) -> None:
    """One CPU, a video that would take for ever, and an image."""
    work = Work()
    running = asyncio.create_task(Steps(work.run()).run(one_slot, "video", 1))
    for _ in range(5):
        await one_slot.run("image", 1, lambda: None)
    assert not running.done()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_cancelled_within_a_step_it_ends_with_that_step(one_slot: CpuWorkers) -> None:
    work = Work()
    running = asyncio.create_task(Steps(work.run()).run(one_slot, "video", 1))
    while not work.done:
        await asyncio.sleep(0.001)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await asyncio.to_thread(work.closed.wait, 10)
    done = work.done
    await one_slot.run("video", 1, lambda: None)  # the slot came back
    assert work.done == done


async def test_what_nobody_wants_any_more_ends_after_the_step(one_slot: CpuWorkers) -> None:
    work, wanted = Work(), True

    def check() -> None:
        if not wanted:
            raise Cancelled("left")

    running = asyncio.create_task(Steps(work.run()).run(one_slot, "video", 1, check))
    while not work.done:
        await asyncio.sleep(0.001)
    wanted = False
    with pytest.raises(Cancelled, match="left"):
        await running
    assert work.closed.is_set()
    assert one_slot.slots.held == 0


async def test_a_video_whose_caller_left_is_decoded_no_further(film: Film, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every decoder of it stops; the error is the check's own."""
    monkeypatch.setattr(steps, "STEP_SECONDS", 0.0)
    data, checked = film("h264_intra.mp4").read_bytes(), 0
    workers = CpuWorkers("decode", 4, CpuSlots(2))

    def check() -> None:
        nonlocal checked
        checked += 1
        if checked == 5:
            raise Cancelled("left")

    with pytest.raises(Cancelled, match="left"):
        await decode_video(
            data, probe_video(data), range(75), workers=workers, decoders=2, ffmpeg_threads=1, pin=False, check=check
        )
    assert checked <= 6
    workers.close()


async def test_cancelled_while_it_waits_for_its_turn_it_is_closed_at_once(one_slot: CpuWorkers) -> None:
    work, may_end = Work(), threading.Event()
    running = asyncio.create_task(Steps(work.run()).run(one_slot, "video", 1))
    while not work.done:
        await asyncio.sleep(0.001)
    holder = asyncio.create_task(one_slot.run("image", 1, may_end.wait, 10))
    while one_slot.slots.waiting_in("video") == 0:
        await asyncio.sleep(0.001)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert work.closed.is_set()
    may_end.set()
    await holder


async def test_an_error_ends_it_and_comes_back(one_slot: CpuWorkers) -> None:
    closed = threading.Event()

    def failing() -> Generator[None, None, None]:
        try:
            yield
            raise ZeroDivisionError("in the work")
        finally:
            closed.set()

    with pytest.raises(ZeroDivisionError, match="in the work"):
        await Steps(failing()).run(one_slot, "video", 1)
    assert closed.is_set()
    assert one_slot.slots.held == 0


@pytest.mark.parametrize("library", BACKENDS)
async def test_decoders_work_side_by_side_and_let_others_in(
    library: str, film: Film, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps as short as they can be: one call into the decoder each."""
    monkeypatch.setattr(steps, "STEP_SECONDS", 0.0)
    workers = CpuWorkers("decode", 4, CpuSlots(2))
    data = film("h264.mp4").read_bytes()
    info = probe_video(data)
    most, images = 0, 0
    decoding = asyncio.create_task(
        decode_video(
            data,
            info,
            range(75),
            workers=workers,
            decoders=4,
            ffmpeg_threads=1,
            pin=False,
            libraries=(BACKENDS[library],),
        )
    )
    while not decoding.done():
        most = max(most, workers.slots.held)
        await workers.run("image", 1, lambda: None)
        images += 1
    assert most == 2
    assert images > 20
    assert (await decoding).frames.shape == (75, 108, 192, 3)
    workers.close()


@pytest.mark.parametrize("library", BACKENDS)
async def test_a_cancelled_video_leaves_nothing_behind(
    library: str, film: Film, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "STEP_SECONDS", 0.0)
    workers = CpuWorkers("decode", 4, CpuSlots(2))
    data = film("h264.mp4").read_bytes()
    info = probe_video(data)
    before = threading.active_count()
    for _ in range(3):
        decoding = asyncio.create_task(
            decode_video(
                data,
                info,
                range(75),
                workers=workers,
                decoders=3,
                ffmpeg_threads=1,
                pin=False,
                libraries=(BACKENDS[library],),
            )
        )
        while workers.slots.held < 2:
            await asyncio.sleep(0)
        decoding.cancel()
        with pytest.raises(asyncio.CancelledError):
            await decoding
    assert await asyncio.wait_for(workers.run("image", 2, lambda: "in"), 10) == "in"
    assert workers.slots.held + workers.slots.waiting <= 2
    gc.collect()
    assert threading.active_count() <= before + 4
    workers.close()


async def test_work_of_several_threads_holds_as_many_slots(film: Film) -> None:
    workers = CpuWorkers("decode", 8, CpuSlots(4))
    data = film("hevc.mp4").read_bytes()
    most = 0
    decoding = asyncio.create_task(
        decode_video(data, probe_video(data), range(75), workers=workers, decoders=4, ffmpeg_threads=3, pin=False)
    )
    while not decoding.done():
        most = max(most, workers.slots.held)
        await asyncio.sleep(0)
    assert most == 3
    await decoding
    workers.close()


def test_decoding_changes_no_setting_of_torch(film: Film) -> None:
    before = (torch.get_num_threads(), torch.get_default_dtype(), torch.is_grad_enabled())
    workers = CpuWorkers("decode", 2, CpuSlots(2))
    data = film("h264_odd_width.mp4").read_bytes()
    asyncio.run(
        decode_video(data, probe_video(data), range(20), workers=workers, decoders=2, ffmpeg_threads=1, pin=False)
    )
    workers.close()
    assert (torch.get_num_threads(), torch.get_default_dtype(), torch.is_grad_enabled()) == before
