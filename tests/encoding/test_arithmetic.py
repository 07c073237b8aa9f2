"""Grids, frame numbers and patches are those of transformers' processors, whatever the size of the media."""

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from transformers import Qwen2VLImageProcessor, Qwen2VLVideoProcessor
from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize
from transformers.video_utils import VideoMetadata

from encoding.reference import CPU, loaded
from fleet_client.protocol import Sampling
from fleet_encoder.errors import Invalid
from fleet_encoder.families.base import Image, ImageInfo, Video, VideoInfo
from fleet_encoder.families.qwen_patches import patch_rows
from fleet_encoder.families.qwen_sizes import FrameRules, Sizes

IMAGE = Sizes(14, 2, 1, 56 * 56, 28 * 28 * 1280)
VIDEO = Sizes(14, 2, 2, 128 * 28 * 28, 28 * 28 * 768)
RULES = FrameRules(2.0, None, 4, 768, 2)
SIDES = st.integers(1, 5000)


@given(SIDES, SIDES, st.sampled_from([IMAGE, VIDEO, Sizes(16, 2, 2, 65_536, 16_777_216)]))
def test_target_sizes(width: int, height: int, sizes: Sizes) -> None:
    assume(max(width, height) <= 200 * min(width, height))
    high, wide = smart_resize(
        height, width, sizes.patch * sizes.merge, min_pixels=sizes.min_pixels, max_pixels=sizes.max_pixels
    )
    assert sizes.target(width, height) == (wide, high)


@given(SIDES, SIDES)
def test_too_thin_is_refused_where_they_refuse(width: int, height: int) -> None:
    assume(max(width, height) > 200 * min(width, height))
    with pytest.raises(ValueError, match="aspect ratio"):
        smart_resize(height, width)
    with pytest.raises(Invalid, match="200 times"):
        IMAGE.target(width, height)


@settings(max_examples=25, deadline=None)
@given(st.integers(100, 700), st.integers(100, 700), st.integers(1, 24))
def test_frames_share_a_bound_on_the_whole_clip(width: int, height: int, frames: int) -> None:
    processor = Qwen2VLVideoProcessor(cap_pixels_per_frame=True, max_video_tokens=3_000)
    theirs = processor(videos=torch.zeros(frames, 3, height, width, dtype=torch.uint8), return_tensors="pt")
    bounded = dataclasses.replace(VIDEO, clip_pixels=int(3_000 * 28 * 28 * 0.9))
    assert list(bounded.grid(width, height, frames)) == theirs["video_grid_thw"][0].tolist()


@given(st.integers(2, 200_000), st.floats(1, 120), st.one_of(st.none(), st.floats(0.01, 60)))
def test_frame_numbers_by_rate(total: int, rate: float, fps: float | None) -> None:
    sampling = None if fps is None else Sampling(fps=fps)
    numbers = RULES.numbers(total, rate, sampling)
    theirs = Qwen2VLVideoProcessor().sample_frames(VideoMetadata(total, rate), fps=fps or 2).tolist()
    # Theirs is one longer at times, and then names a frame that is not there.
    assert len(theirs) - len(numbers) in (0, 1)
    assert numbers == [min(number, total - 1) for number in theirs[: len(numbers)]]
    assert len(numbers) % 2 == 0
    assert min(4, total // 2 * 2) <= len(numbers) <= 768


@given(st.integers(1, 5000), st.integers(1, 800))
def test_frame_numbers_by_count(total: int, count: int) -> None:
    numbers = RULES.numbers(total, 25.0, Sampling(frames=count))
    assert len(numbers) == (min(count + count % 2, total // 2 * 2) or 1)
    assert numbers == sorted(set(numbers))
    assert 0 <= numbers[0] <= numbers[-1] < total


def test_one_frame_gives_itself() -> None:
    assert RULES.numbers(1, 25.0, None) == [0]


@pytest.mark.parametrize(
    ("total", "rate", "sampling", "message"),
    [
        (100, 25.0, Sampling(fps=1.0, frames=4), "exclude each other"),
        (100, 25.0, Sampling(fps=0.0), "sampling.fps is 0"),
        (100, 25.0, Sampling(fps=math.nan), "sampling.fps is nan"),
        (100, 25.0, Sampling(fps=math.inf), "sampling.fps is inf"),
        (100, 25.0, Sampling(frames=0), "sampling.frames is 0"),
        (100, 0.0, None, "sampling.frames"),
        (0, 25.0, None, "no frames"),
    ],
)
def test_impossible_sampling_is_refused(total: int, rate: float, sampling: Sampling | None, message: str) -> None:
    with pytest.raises(Invalid, match=message):
        RULES.numbers(total, rate, sampling)


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def normalised(
    rows: torch.Tensor, frames: int, processor: Qwen2VLImageProcessor | Qwen2VLVideoProcessor
) -> torch.Tensor:
    """uint8 rows in the processor's own layout and scale."""
    pixels = rows.view(-1, frames, 14, 14, 3).permute(0, 4, 1, 2, 3).float()
    mean, std = (
        torch.tensor(values)[:, None, None, None] * 255 for values in (processor.image_mean, processor.image_std)
    )
    return (pixels - mean) / std


@settings(max_examples=30, deadline=None)
@given(st.integers(10, 900), st.integers(10, 900))
def test_every_byte_of_an_image(width: int, height: int) -> None:
    assume(max(width, height) <= 200 * min(width, height))
    pixels, processor = noise(height, width, 3), Qwen2VLImageProcessor()
    rows, grid = patch_rows(torch.from_numpy(pixels)[None], IMAGE, CPU)
    theirs = processor(images=torch.from_numpy(pixels).permute(2, 0, 1), return_tensors="pt")
    assert list(grid) == theirs["image_grid_thw"][0].tolist()
    expected = theirs["pixel_values"].view(-1, 3, 2, 14, 14)
    assert torch.equal(expected[:, :, 0], expected[:, :, 1])
    assert torch.allclose(normalised(rows, 1, processor), expected[:, :, :1], rtol=0, atol=2e-6)


@settings(max_examples=10, deadline=None)
@given(st.integers(40, 500), st.integers(40, 500), st.integers(1, 19))
def test_every_byte_of_a_clip(width: int, height: int, frames: int) -> None:
    pixels, processor = (
        torch.from_numpy(noise(frames, height, width, 3)),
        Qwen2VLVideoProcessor(cap_pixels_per_frame=False),
    )
    rows, grid = patch_rows(pixels, VIDEO, CPU)
    theirs = processor(videos=pixels.permute(0, 3, 1, 2), return_tensors="pt")
    assert list(grid) == theirs["video_grid_thw"][0].tolist()
    expected = theirs["pixel_values_videos"].view(-1, 3, 2, 14, 14)
    assert torch.allclose(normalised(rows, 2, processor), expected, rtol=0, atol=2e-6)


@settings(max_examples=20, deadline=None)
@given(st.integers(30, 1500), st.integers(30, 1500), st.integers(1, 7))
def test_the_cost_told_is_the_cost_paid(qwen2_5_vl: Path, width: int, height: int, frames: int) -> None:
    family, _ = loaded(qwen2_5_vl)
    image = Image(noise(height, width, 3), ImageInfo(width, height, "raw"))
    paid = family.preprocess(image, CPU)
    assert family.patches(image.info) == paid.patches == len(paid.tensor)
    info = VideoInfo(frames, 25.0, frames / 25, width, height, "raw")
    video = Video(
        torch.zeros(frames, height, width, 3, dtype=torch.uint8), list(range(frames)), [0.0] * frames, info, "raw"
    )
    paid = family.preprocess(video, CPU)
    assert family.patches(info, frames) == paid.patches == len(paid.tensor)


def test_read_only_pixels_are_taken(qwen2_5_vl: Path) -> None:
    family, _ = loaded(qwen2_5_vl)
    pixels = noise(60, 80, 3)
    expected = family.preprocess(Image(pixels, ImageInfo(80, 60, "raw")), CPU).tensor
    pixels.flags.writeable = False
    assert torch.equal(family.preprocess(Image(pixels, ImageInfo(80, 60, "raw")), CPU).tensor, expected)
