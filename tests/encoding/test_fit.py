"""Frames that a decoder shrank become the same embedding input as frames that preprocessing shrank."""

import subprocess
from pathlib import Path

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from fleet_encoder.errors import Invalid
from fleet_encoder.families import family_for
from fleet_encoder.families.base import Family, VideoInfo
from fleet_encoder.media.video import BACKENDS, Backend, decode_video, probe_video
from fleet_encoder.slots import CpuSlots
from fleet_encoder.workers import CpuWorkers


@pytest.fixture(scope="module")
def family(qwen2_5_vl: Path) -> Family:
    return family_for(qwen2_5_vl)(qwen2_5_vl)


@given(st.integers(1, 8000), st.integers(1, 8000), st.integers(1, 768))
@example(15, 2506, 114)  # becomes 28x3416, and that would become 28x2912
def test_what_decoders_shrink_to_is_left_alone(family: Family, width: int, height: int, frames: int) -> None:
    info = VideoInfo(frames, 25.0, frames / 25, width, height, "h264")
    try:
        fit = family.fit(info, frames)
    except Invalid:
        return
    if fit is not None:
        shrunk = VideoInfo(frames, 25.0, frames / 25, fit.width, fit.height, "h264")
        assert family.patches(shrunk, frames) == family.patches(info, frames)
        assert family.fit(shrunk, frames) is None


@pytest.mark.parametrize("decoders", [1, 3])
async def test_shrinking_while_decoding_changes_no_byte(family: Family, clips: Path, decoders: int) -> None:
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
async def test_a_turned_phone_video_is_shrunk_while_decoding(backend: Backend, family: Family, turned: bytes) -> None:
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


def test_frames_are_not_enlarged_while_decoding(family: Family) -> None:
    assert family.fit(VideoInfo(10, 25.0, 0.4, 64, 64, "h264"), 4) is None
