"""Frames that a decoder shrank become the same embedding input as frames that preprocessing shrank."""

import subprocess
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fleet_encoder.errors import Invalid
from fleet_encoder.families import family_for
from fleet_encoder.families.base import VideoInfo
from fleet_encoder.families.qwen_sizes import Sizes
from fleet_encoder.media.video import BACKENDS, Backend, decode_video, probe_video
from fleet_encoder.slots import CpuSlots
from fleet_encoder.workers import CpuWorkers

SIZES = Sizes(patch=14, merge=2, temporal=2, min_pixels=128 * 28 * 28, max_pixels=768 * 28 * 28)
CLIP = Sizes(patch=14, merge=2, temporal=2, min_pixels=3136, max_pixels=1003520, clip_pixels=4 * 1003520)


@given(st.sampled_from([SIZES, CLIP]), st.integers(1, 8000), st.integers(1, 8000), st.integers(1, 768))
def test_a_size_that_fits_is_left_alone(sizes: Sizes, width: int, height: int, frames: int) -> None:
    try:
        fitted = sizes.target(width, height, frames)
        again = sizes.target(*fitted, frames)
    except Invalid:
        return
    assert again == fitted


@pytest.mark.parametrize("decoders", [1, 3])
async def test_shrinking_while_decoding_changes_no_byte(qwen2_5_vl: Path, clips: Path, decoders: int) -> None:
    family = family_for(qwen2_5_vl)(qwen2_5_vl)
    workers = CpuWorkers("decode", 2, CpuSlots(2))
    data = (clips / "bigbuckbunny.mp4").read_bytes()
    info = probe_video(data)
    indices = list(range(0, info.frames, 12))
    fit = family.fit(info, len(indices))
    assert fit is not None
    features = []
    for each in (None, fit):
        video = await decode_video(
            data, info, indices, workers=workers, decoders=decoders, ffmpeg_threads=1, pin=False, fit=each
        )
        features.append(family.preprocess(video, torch.device("cpu")))
    assert torch.equal(features[0].tensor, features[1].tensor)
    assert features[0].meta == features[1].meta
    workers.close()


@pytest.fixture(params=[90, 180, 270])
def turned(request: pytest.FixtureRequest, clips: Path, tmp_path: Path) -> bytes:
    """A second of film, as a phone writes it that was held upright or upside down."""
    clip = tmp_path / f"{request.param}.mp4"
    subprocess.run(
        ["ffmpeg", "-v", "error", "-t", "1", "-i", str(clips / "bigbuckbunny.mp4"), "-an", "-c", "copy"]
        + ["-metadata:s:v", f"rotate={request.param}", str(clip)],
        check=True,
        stdin=subprocess.DEVNULL,
    )
    data = clip.read_bytes()
    info = probe_video(data)
    assert (info.width < info.height) == (request.param != 180)
    return data


@pytest.mark.parametrize("backend", BACKENDS, ids=lambda backend: backend.name)
async def test_a_turned_phone_video_is_shrunk_while_decoding(backend: Backend, qwen2_5_vl: Path, turned: bytes) -> None:
    family = family_for(qwen2_5_vl)(qwen2_5_vl)
    workers = CpuWorkers("decode", 2, CpuSlots(2))
    info = probe_video(turned)
    indices = list(range(0, info.frames, 12))
    fit = family.fit(info, len(indices))
    assert fit is not None
    features = []
    for each in (None, fit):
        video = await decode_video(
            turned,
            info,
            indices,
            workers=workers,
            decoders=1,
            ffmpeg_threads=1,
            pin=False,
            fit=each,
            libraries=(backend,),
        )
        features.append(family.preprocess(video, torch.device("cpu")))
    assert torch.equal(features[0].tensor, features[1].tensor)
    workers.close()


def test_frames_are_not_enlarged_while_decoding(qwen2_5_vl: Path) -> None:
    family = family_for(qwen2_5_vl)(qwen2_5_vl)
    assert family.fit(VideoInfo(10, 25.0, 0.4, 64, 64, "h264"), 4) is None
