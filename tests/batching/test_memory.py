"""Media and features in memory are bounded in bytes; small items never wait for large ones."""

import asyncio
from pathlib import Path

import pytest
import torch

from fleet_client.protocol import Modality, Sampling
from fleet_encoder.admission import Admission
from fleet_encoder.errors import Cancelled, Invalid, TooLarge
from fleet_encoder.families import family_for
from fleet_encoder.families.base import VideoInfo
from fleet_encoder.job import Job, Outcome, Source
from fleet_encoder.media.video import probe_video
from fleet_encoder.memory import DecodedMemory, decoded_limit
from fleet_encoder.slots import CpuSlots
from fleet_encoder.stages.decode import DecodeVideo, frame_fit, take_memory
from fleet_encoder.stages.preprocess import Preprocess
from fleet_encoder.workers import CpuWorkers

GB = 1 << 30


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_small_items_pass_a_large_one_that_waits_and_are_counted() -> None:
    memory = DecodedMemory(6400)
    first = await memory.take(6000)
    second = asyncio.ensure_future(memory.take(6000))
    await settle()
    small = await asyncio.wait_for(memory.take(100), 5)
    assert not second.done()
    assert memory.held == 6100
    first.resize(200)
    await settle()
    assert second.done()
    for share in (first, small, await second):
        share.release()
        share.release()
    assert memory.held == 0


async def test_a_large_item_is_let_in_however_many_small_ones_there_are() -> None:
    memory = DecodedMemory(640)
    for _ in range(100):
        await memory.take(10)
    await asyncio.wait_for(memory.take(640), 5)
    assert memory.held == 1640


async def test_large_items_keep_their_order_and_may_leave() -> None:
    memory = DecodedMemory(640)
    first = await memory.take(400)
    waiting = [asyncio.ensure_future(memory.take(size)) for size in (400, 100, 100)]
    await settle()
    assert not any(each.done() for each in waiting)
    waiting[0].cancel()
    await settle()
    assert [each.done() for each in waiting] == [True, True, True]
    first.release()
    assert memory.held == 200


def test_a_gpu_gets_long_clips_shrunk_and_short_ones_in_full_size(qwen2_5_vl: Path) -> None:
    family = family_for(qwen2_5_vl)(qwen2_5_vl)
    film = VideoInfo(768, 24.0, 32.0, 1920, 1080, "h264")
    fit, size = frame_fit(family, film, 768, on_gpu=True, budget=4 * GB)
    assert fit is not None
    assert size == fit.width * fit.height * 3 * 768 < 4 * GB
    assert frame_fit(family, film, 8, on_gpu=True, budget=4 * GB) == (None, 1920 * 1080 * 3 * 8)
    assert frame_fit(family, film, 8, on_gpu=False, budget=4 * GB)[0] is not None


@pytest.mark.parametrize(
    ("modality", "limits"),
    [
        ("image", r"spec\.media\.maxPixels"),
        ("video", r"sampling\.fps.*spec\.media\.maxFrames, spec\.media\.maxPixels"),
        ("audio", r"spec\.media\.maxVideoSeconds"),
    ],
)
async def test_what_no_memory_would_hold_is_refused(modality: Modality, limits: str) -> None:
    job = Job("r", 0, modality, Source(data=b"v"), Admission(10**6, 10**6).admit(modality, 1, 0.0))
    memory = DecodedMemory(100)
    job.decoded_bytes = 101
    with pytest.raises(TooLarge, match=f"101 bytes.*100.*{limits}"):
        await take_memory(memory, job)
    assert memory.held == 0


@pytest.mark.parametrize(("visible", "limit"), [(None, 4 * GB), (64 * GB, 4 * GB), (8 * GB, 2 * GB)])
def test_a_small_machine_decodes_less_at_once(visible: int | None, limit: int) -> None:
    assert decoded_limit(visible) == limit


async def test_who_is_not_wanted_any_more_decodes_nothing() -> None:
    job = Job("r", 0, "video", Source(data=b"v"), Admission(10**6, 10**6).admit("video", 1, 0.0))
    job.decoded_bytes = 100
    job.cancelled = True
    memory = DecodedMemory(100)
    with pytest.raises(Cancelled):
        await take_memory(memory, job)
    job.finish(Outcome(None, Invalid("left")))
    await settle()
    assert memory.held == 0


async def test_a_clip_holds_its_share_until_its_outcome_and_its_file_until_it_is_decoded(
    qwen2_5_vl: Path, clips: Path
) -> None:
    family = family_for(qwen2_5_vl)(qwen2_5_vl)
    workers = CpuWorkers("decode", 2, CpuSlots(2))
    memory, admission = DecodedMemory(GB), Admission(10**6, 10**9)
    data = (clips / "bikes.mp4").read_bytes()
    job = Job("r", 0, "video", Source(data=data), admission.admit("video", len(data), 0.0))
    job.info = info = probe_video(data)
    job.preparation = family
    job.frame_indices = family.sample(info, Sampling(frames=4))
    decode = DecodeVideo(workers, memory, admission, decoders=1, ffmpeg_threads=1, on_gpu=False)
    assert await decode([job]) == [None]
    assert job.source.data is None
    assert admission.bytes == 0
    assert memory.held == job.decoded_bytes > 0
    preprocess = Preprocess(workers, admission, intra_op_threads=1, device=torch.device("cpu"))
    assert await preprocess([job]) == [None]
    assert job.features is not None
    assert memory.held == job.features.tensor.nbytes
    job.finish(Outcome(None, Invalid("ended")))
    await settle()
    assert memory.held == 0
    workers.close()
