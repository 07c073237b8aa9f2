"""Video is prepared as SGLang's own encoder does it: which frames, how large, to the last byte."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from hypothesis import example, given
from hypothesis import strategies as st

from fleet_encoder.errors import Invalid
from fleet_encoder.families import family_for, qwen_sglang
from fleet_encoder.families.base import Family, ImageInfo, Preparation, Video, VideoInfo
from fleet_encoder.families.qwen_video_sglang import bilinear
from fleet_encoder.media.video import decode_video, probe_video
from fleet_encoder.slots import CpuSlots
from fleet_encoder.workers import CpuWorkers

TOTAL_PIXELS = 90316800
"""`VIDEO_TOTAL_PIXELS` of SGLang 0.5.23, `srt/multimodal/processors/qwen_vl.py`."""


@pytest.fixture(scope="module")
def family(qwen2_5_vl: Path) -> Family:
    return family_for(qwen2_5_vl)(qwen2_5_vl)


@pytest.fixture(scope="module")
def sglang(family: Family) -> Preparation:
    return family.as_sglang()


# What `smart_nframes` and the two lines behind it in `preprocess_video` give (SGLang 0.5.23, qwen_vl.py), run once.
@pytest.mark.parametrize(
    ("total", "rate", "count", "first", "last", "added_up"),
    [
        (2, 25.0, 2, [0, 1], [0, 1], 1),
        (3, 25.0, 2, [0, 2], [0, 2], 2),
        (4, 25.0, 4, [0, 1, 2, 3], [3], 6),
        (5, 25.0, 4, [0, 1, 2, 4], [4], 7),
        (7, 30.0, 4, [0, 2, 4, 6], [6], 12),
        (10, 1.0, 10, [0, 1, 2, 3, 4, 5], [9], 45),
        (24, 24.0, 4, [0, 7, 15, 23], [23], 45),
        (50, 25.0, 4, [0, 16, 32, 49], [49], 97),
        (51, 25.0, 4, [0, 16, 33, 50], [50], 99),
        (99, 29.97002997002997, 6, [0, 19, 39, 58, 78, 98], [98], 292),
        (132, 25.0, 10, [0, 14, 29, 43, 58, 72], [87, 101, 116, 131], 651),
        (250, 25.0, 20, [0, 13, 26, 39, 52, 65], [183, 196, 209, 222, 235, 249], 2481),
        (300, 29.97002997002997, 20, [0, 15, 31, 47, 62, 78], [220, 236, 251, 267, 283, 299], 2981),
        (719, 23.976023976023978, 58, [0, 12, 25, 37, 50, 62], [655, 667, 680, 692, 705, 718], 20794),
        (9000, 30.0, 600, [0, 15, 30, 45, 60, 75], [8923, 8938, 8953, 8968, 8983, 8999], 2699401),
        (11520, 30.0, 768, [0, 15, 30, 45, 60, 75], [11443, 11458, 11473, 11488, 11503, 11519], 4422913),
        (90000, 25.0, 768, [0, 117, 234, 352, 469, 586], [89412, 89529, 89646, 89764, 89881, 89999], 34559239),
        (107892, 29.97002997002997, 768, [0, 140, 281, 421, 562, 703], [107610 - 1, 107750, 107891], 41429761),
        (1000, 1000.0, 4, [0, 333, 666, 999], [999], 1998),
        (1001, 0.5, 768, [0, 1, 2, 3, 5, 6], [993, 994, 996, 997, 998, 1000], 383617),
        (16, 4.0, 8, [0, 2, 4, 6, 8, 10], [12, 15], 57),
        (9, 3.0, 6, [0, 1, 3, 4, 6, 8], [8], 22),
    ],
)
def test_which_frames(
    sglang: Preparation, total: int, rate: float, count: int, first: list[int], last: list[int], added_up: int
) -> None:
    found = sglang.sample(VideoInfo(total, rate, total / rate, 640, 480, "h264"), None)
    assert (len(found), sum(found)) == (count, added_up)
    assert found[: len(first)] == first
    assert found[-len(last) :] == last


# What `smart_resize` gives with the limits that `preprocess_video` computes (SGLang 0.5.23, qwen_vl.py), run once.
@pytest.mark.parametrize(
    ("width", "height", "frames", "wide", "high"),
    [
        (1280, 720, 4, 1008, 560),
        (1920, 1080, 4, 1008, 560),
        (3840, 2160, 20, 1008, 560),
        (640, 480, 12, 644, 476),
        (320, 240, 4, 392, 280),
        (160, 90, 4, 448, 252),
        (64, 64, 2, 336, 336),
        (14, 14, 2, 336, 336),
        (1080, 1920, 60, 560, 1008),
        (1280, 720, 600, 728, 392),
        (1920, 1080, 768, 644, 336),
        (3840, 2160, 768, 644, 336),
        (720, 576, 768, 532, 420),
        (200, 1, 2, 4480, 28),
        (2000, 10, 4, 4480, 28),
        (10, 2000, 4, 28, 4480),
        (8000, 40, 768, 8008, 28),
        (40, 8000, 768, 28, 8008),
        (1366, 768, 333, 980, 532),
        (854, 480, 121, 840, 476),
        (15, 2506, 114, 28, 4116),
        (8000, 6000, 2, 896, 672),
        (448, 448, 500, 448, 448),
        (352, 288, 8, 364, 280),
        (100, 4000, 766, 56, 3052),
    ],
)
def test_how_large(width: int, height: int, frames: int, wide: int, high: int) -> None:
    assert qwen_sglang.sizes(2).target(width, height, frames) == (wide, high)


def test_the_limits_are_sglangs(monkeypatch: pytest.MonkeyPatch) -> None:
    assert qwen_sglang.TOTAL_PIXELS == TOTAL_PIXELS
    assert (qwen_sglang.MIN_PIXELS, qwen_sglang.MAX_PIXELS) == (128 * 784, 768 * 784)
    monkeypatch.setenv("VIDEO_MAX_PIXELS", "1e7")
    assert qwen_sglang.sizes(2).clip_pixels == 10_000_000
    for wrong in ("many", "inf", "nan", ""):
        monkeypatch.setenv("VIDEO_MAX_PIXELS", wrong)
        with pytest.raises(Invalid, match="VIDEO_MAX_PIXELS is .*: give pixels"):
            qwen_sglang.sizes(2)


@given(st.integers(2, 200_000), st.floats(0.001, 1000))
def test_frames_are_even_in_number_and_from_the_first_to_the_last(total: int, rate: float) -> None:
    found = qwen_sglang.frame_rules(2).numbers(total, rate, None)
    assert found == sorted(set(found))
    assert len(found) % 2 == 0
    assert len(found) <= min(768, total)
    assert (found[0], found[-1]) == (0, total - 1)


@pytest.mark.parametrize(("total", "rate"), [(0, 25.0), (-1, 25.0), (5, 0.0), (5, -1.0), (5, float("nan")), (5, 1e400)])
def test_what_cannot_be_sampled(total: int, rate: float) -> None:
    with pytest.raises(Invalid, match="send another file|convert it"):
        qwen_sglang.frame_rules(2).numbers(total, rate, None)


def test_a_single_frame_is_taken_though_sglang_fails_there(sglang: Preparation) -> None:
    assert sglang.sample(VideoInfo(1, 25.0, 0.04, 640, 480, "h264"), None) == [0]


@given(st.integers(1, 9000), st.integers(1, 9000), st.integers(1, 384).map(lambda half: 2 * half))
@example(15, 2506, 114)
@example(14, 2800, 4)
def test_sizes_are_whole_tokens_within_the_limits(width: int, height: int, frames: int) -> None:
    sizes = qwen_sglang.sizes(2)
    try:
        wide, high = sizes.target(width, height, frames)
    except Invalid:
        assert max(width, height) > 200 * min(width, height)
        return
    assert (wide % 28, high % 28) == (0, 0)
    assert min(wide, high) >= 28


@given(st.integers(1, 8000), st.integers(1, 8000), st.integers(1, 384).map(lambda half: 2 * half))
@example(15, 2506, 114)
def test_what_decoders_shrink_to_is_left_alone(
    family: Family, sglang: Preparation, width: int, height: int, frames: int
) -> None:
    info = VideoInfo(frames, 25.0, frames / 25, width, height, "h264")
    try:
        fit = sglang.fit(info, frames)
    except Invalid:
        return
    if fit is None:
        return
    assert fit.width * fit.height < width * height
    shrunk = VideoInfo(frames, 25.0, frames / 25, fit.width, fit.height, "h264")
    assert sglang.fit(shrunk, frames) is None
    assert sglang.patches(shrunk, frames) == sglang.patches(info, frames)


@pytest.mark.parametrize("size", [(364, 280), (84, 56), (700, 700)])
def test_frames_are_resized_as_torchvision_does(size: tuple[int, int]) -> None:
    wide, high = size
    frames = torch.from_numpy(np.random.default_rng(5).integers(0, 256, (3, 288, 352, 3), dtype=np.uint8))
    theirs = torchvision.transforms.functional.resize(
        frames.permute(0, 3, 1, 2), [high, wide], interpolation=torchvision.transforms.InterpolationMode.BILINEAR
    )
    assert torch.equal(bilinear(frames, wide, high), theirs.permute(0, 2, 3, 1))


async def decoded(sglang: Preparation, data: bytes, *, fitted: bool) -> Video:
    workers = CpuWorkers("decode", 2, CpuSlots(2))
    info = probe_video(data)
    indices = sglang.sample(info, None)
    fit = sglang.fit(info, len(indices)) if fitted else None
    assert (fit is not None) == fitted
    video = await decode_video(data, info, indices, workers=workers, decoders=1, ffmpeg_threads=1, pin=False, fit=fit)
    workers.close()
    return video


async def test_features_are_those_of_frames_that_torchvision_resized(
    family: Family, sglang: Preparation, clips: Path
) -> None:
    data = (clips / "bigbuckbunny.mp4").read_bytes()
    video = await decoded(sglang, data, fitted=False)
    count, height, width, _ = video.frames.shape
    wide, high = qwen_sglang.sizes(2).target(width, height, count)
    theirs = torchvision.transforms.functional.resize(
        video.frames.permute(0, 3, 1, 2), [high, wide], interpolation=torchvision.transforms.InterpolationMode.BILINEAR
    ).permute(0, 2, 3, 1)
    resized = Video(theirs.contiguous(), video.indices, video.pts, video.info, video.decoder)
    found = sglang.preprocess(video, torch.device("cpu"))
    assert torch.equal(found.tensor, family.preprocess(resized, torch.device("cpu")).tensor)
    assert found.patches == sglang.patches(video.info, count)
    shrunk = sglang.preprocess(await decoded(sglang, data, fitted=True), torch.device("cpu"))
    assert torch.equal(found.tensor, shrunk.tensor)
    assert found.meta == shrunk.meta


def test_only_video_differs(family: Family, sglang: Preparation) -> None:
    assert set(sglang.differs) == {"video"}
    assert family.differs == {}
    image = ImageInfo(640, 480, "PNG")
    assert sglang.patches(image) == family.patches(image)
