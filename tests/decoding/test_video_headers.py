"""What is known of a video before it is decoded, equal to what transformers' loader samples by."""

import asyncio
import dataclasses
import resource
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from transformers.video_utils import VideoMetadata, read_video_torchcodec

from decoding.films import ALL, TRANSFORMERS_CANNOT
from fleet_encoder import limits
from fleet_encoder.errors import Invalid, TooLarge
from fleet_encoder.families.base import VideoInfo
from fleet_encoder.media import video, video_pyav
from fleet_encoder.media.frame_index import ScannedVideo
from fleet_encoder.media.video import PYAV, decode_video, probe_video
from fleet_encoder.workers import CpuWorkers

Film = Callable[[str], Path]


def as_transformers(path: Path) -> VideoMetadata:
    return read_video_torchcodec(str(path), lambda metadata, **_: [0])[1]


@pytest.mark.parametrize("name", [name for name in ALL if name not in TRANSFORMERS_CANNOT])
def test_frames_rate_duration_and_size_as_transformers_sees_them(name: str, film: Film) -> None:
    info, theirs = probe_video(film(name).read_bytes()), as_transformers(film(name))
    assert (info.frames, info.fps, info.duration) == (theirs.total_num_frames, theirs.fps, theirs.duration)
    assert (info.width, info.height) == (theirs.width, theirs.height)


@pytest.mark.parametrize("name", ["bigbuckbunny.mp4", "bikes.mp4", "carphone_pristine.mp4"])
def test_real_clips(name: str, clips: Path) -> None:
    info, theirs = probe_video((clips / name).read_bytes()), as_transformers(clips / name)
    assert (info.frames, info.fps, info.duration) == (theirs.total_num_frames, theirs.fps, theirs.duration)


@pytest.mark.parametrize("name", ALL)
def test_pyav_counts_the_same(name: str, film: Film) -> None:
    data = film(name).read_bytes()
    info, other = probe_video(data), video_pyav.scan(data)
    assert isinstance(info, ScannedVideo)
    assert (other.frames, other.width, other.height, other.codec) == (info.frames, info.width, info.height, info.codec)
    # Two versions of FFmpeg may not agree on how long the last frame is shown.
    assert other.duration == pytest.approx(info.duration, abs=0.05)
    if name != "h264_variable_rate.mp4":
        assert (other.fps, other.duration) == (info.fps, info.duration)
    assert np.array_equal(info.index.pts, other.index.pts)
    assert info.index.keyframes == other.index.keyframes


@pytest.mark.parametrize(
    ("name", "frames", "codec"),
    [("vp9.webm", 75, "vp9"), ("h264_fragmented.mp4", 75, "h264"), ("h264.mkv", 75, "h264"), ("h264.ts", 75, "h264")],
)
def test_frames_are_counted_where_the_header_does_not_say(name: str, frames: int, codec: str, film: Film) -> None:
    info = probe_video(film(name).read_bytes())
    assert (info.frames, info.codec) == (frames, codec)
    assert info.duration == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("name", "size"),
    [("h264.mp4", (192, 108)), ("h264_sideways.mp4", (108, 192)), ("h264_upside_down.mp4", (192, 108))],
)
def test_the_size_is_that_of_an_upright_frame(name: str, size: tuple[int, int], film: Film) -> None:
    info = probe_video(film(name).read_bytes())
    assert (info.width, info.height) == size


@pytest.mark.parametrize("name", ["one_frame.mp4", "one_frame.webm"])
def test_a_clip_of_one_frame_has_a_rate(name: str, film: Film) -> None:
    info = probe_video(film(name).read_bytes())
    assert info.frames == 1
    assert info.fps > 0


def test_a_header_without_its_index_will_do(film: Film, workers: CpuWorkers) -> None:
    """A plain `VideoInfo`, as a test or another prober makes it."""
    data = film("h264.mp4").read_bytes()
    scanned = probe_video(data)
    plain = VideoInfo(**{field.name: getattr(scanned, field.name) for field in dataclasses.fields(VideoInfo)})
    decoding = decode_video(data, plain, [0, 30], workers=workers, decoders=1, ffmpeg_threads=1, pin=False)
    assert asyncio.run(decoding).frames.shape == (2, 108, 192, 3)


@pytest.mark.parametrize(
    "name", ["h264.mp4", "h264_at_the_front.mp4", "h264_fragmented.mp4", "h264.mkv", "vp9.webm", "mjpeg_full_range.mov"]
)
@pytest.mark.parametrize("kept", [0.3, 0.8, 0.999])
def test_a_file_that_is_cut_off_says_so(name: str, kept: float, film: Film) -> None:
    data = film(name).read_bytes()
    part = data[: int(len(data) * kept)]
    with pytest.raises(Invalid, match=f"cut off: {len(part)} bytes of"):
        probe_video(part)


@pytest.mark.parametrize("name", ["h264.mp4", "h264_at_the_front.mp4", "h264.mkv"])
def test_padding_behind_a_whole_file_is_no_harm(name: str, film: Film) -> None:
    data = film(name).read_bytes()
    assert probe_video(data + bytes(5)).frames == probe_video(data).frames


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"<html>no video</html>" * 20, "not a video"),
        (bytes(5000), "not a video"),
        (b"\0\0\0\x18ftypisom\0\0\2\0isomiso2" + b"\0\0\0\x08free", "not a video"),
    ],
)
def test_what_is_no_video(data: bytes, words: str) -> None:
    with pytest.raises(Invalid, match=words) as caught:
        probe_video(data)
    assert "\n" not in str(caught.value)


def test_sound_alone_is_no_video(speech: Path) -> None:
    with pytest.raises(Invalid, match="no video"):
        probe_video((speech / "Front_Center.wav").read_bytes())


def test_a_header_takes_little_memory(clips: Path) -> None:
    data = (clips / "bigbuckbunny.mp4").read_bytes()
    probe_video(data)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(5):
        probe_video(data)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 30_000


def test_the_size_is_checked_before_a_frame_is_decoded(film: Film, monkeypatch: pytest.MonkeyPatch) -> None:
    data, decoded = film("h264_sideways.mp4").read_bytes(), []

    def turns(frame: "av.VideoFrame") -> int:
        decoded.append(frame.width)
        return 1

    monkeypatch.setattr(video_pyav, "quarter_turns", turns)
    check = limits.MediaLimits(max_pixels=192 * 108 - 1).check_pixels
    for backends in (video.BACKENDS, (PYAV,)):
        monkeypatch.setattr(video, "BACKENDS", backends)
        with pytest.raises(TooLarge, match=r"spec\.media\.maxPixels"):
            probe_video(data, check)
    assert decoded == []
    assert probe_video(data, limits.MediaLimits(max_pixels=192 * 108).check_pixels).height == 192
    assert decoded == [192]


@pytest.mark.parametrize("backend", video.BACKENDS, ids=lambda backend: backend.name)
@pytest.mark.parametrize("name", ["h264.mp4", "h264.ts", "vp9.webm"])
def test_an_index_that_would_fill_the_memory_is_refused(
    name: str, backend: video.Backend, film: Film, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = film(name).read_bytes()
    monkeypatch.setattr(video, "BACKENDS", (backend,))
    monkeypatch.setattr(limits, "MAX_PACKETS", 75)
    assert probe_video(data).frames == 75
    monkeypatch.setattr(limits, "MAX_PACKETS", 74)
    with pytest.raises(TooLarge, match="more than 74 packets.*cut it into parts"):
        probe_video(data)
