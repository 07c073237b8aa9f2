"""The frames: the same from one decoder and from sixteen, from torchcodec and from PyAV, as transformers loads them."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers.video_utils import read_video_torchcodec

from decoding.films import ALL, TRANSFORMERS_CANNOT
from fleet_encoder.families.base import Video
from fleet_encoder.media import video
from fleet_encoder.media.chunks import Span
from fleet_encoder.media.frame_index import ScannedVideo, Work
from fleet_encoder.media.video import PYAV, Backend, decode_video, probe_video
from fleet_encoder.workers import CpuWorkers

pytestmark = pytest.mark.usefixtures("every_decoder")

Film = Callable[[str], Path]
BACKENDS = {backend.name: backend for backend in video.BACKENDS}


async def decode(
    path: Path, indices: Sequence[int], workers: CpuWorkers, decoders: int = 1, backend: Backend | None = None
) -> Video:
    data = path.read_bytes()
    info = probe_video(data)
    chosen = None if backend is None else (backend,)
    return await decode_video(
        data, info, indices, workers=workers, decoders=decoders, ffmpeg_threads=1, pin=False, libraries=chosen
    )


def as_transformers(path: Path, indices: Sequence[int]) -> torch.Tensor:
    frames, _ = read_video_torchcodec(str(path), lambda metadata, **_: list(indices))
    return frames.permute(0, 2, 3, 1)


def sampled(path: Path, step: int) -> list[int]:
    return list(range(0, probe_video(path.read_bytes()).frames, step))


def test_both_libraries_are_here() -> None:
    assert list(BACKENDS) == ["torchcodec", "pyav"]


@pytest.mark.parametrize("name", [name for name in ALL if name not in TRANSFORMERS_CANNOT])
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("step", [1, 7])
async def test_as_transformers_loads_them(name: str, backend: str, step: int, film: Film, workers: CpuWorkers) -> None:
    indices = sampled(film(name), step)
    ours = await decode(film(name), indices, workers, decoders=3, backend=BACKENDS[backend])
    assert ours.decoder == backend
    assert ours.frames.is_contiguous()
    assert torch.equal(ours.frames, as_transformers(film(name), indices))


@pytest.mark.parametrize(
    "name",
    [
        "h264.mp4",
        "h264.ts",
        "h264_open_gop.mp4",
        "h264_one_keyframe.mp4",
        "h264_sideways.mp4",
        "h264_variable_rate.mp4",
        "h264_cut.mp4",
        "hevc.mp4",
        "hevc_open_gop.mp4",
        "hevc_layers.mp4",
        "vp9.webm",
        "vp9_hidden_frames.webm",
        "av1.mp4",
    ],
)
@pytest.mark.parametrize("step", [1, 5, 12])
async def test_the_number_of_decoders_changes_no_frame(name: str, step: int, film: Film, workers: CpuWorkers) -> None:
    indices = sampled(film(name), step)
    one = await decode(film(name), indices, workers, decoders=1)
    for decoders in (0, 2, 3, 8, 16):
        many = await decode(film(name), indices, workers, decoders=decoders)
        assert torch.equal(many.frames, one.frames)
        assert (many.indices, many.pts) == (one.indices, one.pts) == (indices, one.pts)


async def test_a_short_clip_opens_few_decoders_and_only_as_many_as_may_run(
    film: Film, workers: CpuWorkers, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, opened = film("h264_intra.mp4").read_bytes(), 0

    def counted(*arguments: Any) -> Work:
        nonlocal opened
        opened += 1
        yield from PYAV.decode(*arguments)

    async def decoders(asked: int) -> int:
        nonlocal opened
        opened = 0
        library = Backend("counted", PYAV.scan, counted)
        info = probe_video(data)
        decoding = decode_video(
            data, info, range(75), workers=workers, decoders=asked, ffmpeg_threads=2, pin=False, libraries=(library,)
        )
        await decoding
        return opened

    assert (await decoders(0), await decoders(5)) == (2, 5)
    monkeypatch.undo()
    assert (await decoders(0), await decoders(5)) == (1, 1)


@pytest.mark.parametrize("name", ["bigbuckbunny.mp4", "bikes.mp4", "carphone_pristine.mp4"])
async def test_real_clips(name: str, clips: Path, workers: CpuWorkers) -> None:
    indices = sampled(clips / name, 12)
    assert torch.equal(
        (await decode(clips / name, indices, workers, decoders=4)).frames, as_transformers(clips / name, indices)
    )


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("indices", [[5, 5, 5], [70, 3, 3, 41, 40, 70], [74], [74, 0], []])
async def test_indices_repeated_unordered_few_or_none(
    backend: str, indices: list[int], film: Film, workers: CpuWorkers
) -> None:
    whole = as_transformers(film("h264.mp4"), range(75))
    ours = await decode(film("h264.mp4"), indices, workers, decoders=4, backend=BACKENDS[backend])
    assert ours.indices == indices
    assert ours.frames.shape == (len(indices), 108, 192, 3)
    assert torch.equal(ours.frames, whole[indices])


@pytest.mark.parametrize("name", ["one_frame.mp4", "one_frame.webm"])
@pytest.mark.parametrize("backend", BACKENDS)
async def test_a_clip_of_one_frame(name: str, backend: str, film: Film, workers: CpuWorkers) -> None:
    ours = await decode(film(name), [0, 0], workers, decoders=16, backend=BACKENDS[backend])
    assert torch.equal(ours.frames, as_transformers(film(name), [0, 0]))


@pytest.mark.parametrize("backend", BACKENDS)
async def test_several_ffmpeg_threads_change_no_frame(backend: str, film: Film, workers: CpuWorkers) -> None:
    data = film("h264.mp4").read_bytes()
    info = probe_video(data)
    indices = list(range(0, 75, 4))
    results = [
        (
            await decode_video(
                data,
                info,
                indices,
                workers=workers,
                decoders=2,
                ffmpeg_threads=threads,
                pin=False,
                libraries=(BACKENDS[backend],),
            )
        ).frames
        for threads in (1, 3)
    ]
    assert torch.equal(*results)


async def test_presentation_times_are_those_of_the_file(film: Film, workers: CpuWorkers) -> None:
    """Of a clip whose frames do not come at even distances."""
    ours = await decode(film("h264_variable_rate.mp4"), [0, 1, 2, 30, 31, 74], workers)
    distances = np.diff(ours.pts)
    assert ours.pts[0] == pytest.approx(0, abs=0.01)
    assert distances[0] == pytest.approx(0.05, abs=0.002)
    assert distances[3] == pytest.approx(0.55, abs=0.03)


async def test_a_transport_stream_which_transformers_cannot_load(film: Film, workers: CpuWorkers) -> None:
    same = as_transformers(film("h264.mp4"), range(0, 75, 6))
    assert torch.equal((await decode(film("h264.ts"), range(0, 75, 6), workers, decoders=3)).frames, same)


async def test_sparse_frames_of_h264_and_hevc_come_from_the_library_that_leaves_packets_out(
    film: Film, workers: CpuWorkers
) -> None:
    for name, step, library in [
        ("h264.mp4", 12, "pyav"),
        ("hevc.mp4", 12, "pyav"),
        ("h264.mp4", 1, "torchcodec"),
        ("vp9.webm", 12, "torchcodec"),
    ]:
        assert (await decode(film(name), sampled(film(name), step), workers)).decoder == library


async def test_several_videos_at_the_same_time(film: Film, workers: CpuWorkers) -> None:
    names = ["h264.mp4", "hevc.mp4", "vp9.webm", "h264_sideways.mp4"]

    async def all_of_them() -> list[Video]:
        jobs = []
        for name in names:
            data = film(name).read_bytes()
            jobs.append(
                decode_video(
                    data,
                    probe_video(data),
                    range(0, 75, 5),
                    workers=workers,
                    decoders=3,
                    ffmpeg_threads=1,
                    pin=False,
                )
            )
        return await asyncio.gather(*jobs)

    for name, ours in zip(names, await all_of_them(), strict=True):
        assert torch.equal(ours.frames, as_transformers(film(name), range(0, 75, 5)))


@pytest.mark.parametrize("backend", BACKENDS)
async def test_any_buffer_will_do(backend: str, film: Film, workers: CpuWorkers) -> None:
    data = film("h264.mp4").read_bytes()
    expected = (await decode(film("h264.mp4"), [0, 40], workers)).frames
    for buffer in (bytearray(data), memoryview(b"before" + data + b"behind")[6:-6]):
        decoding = decode_video(
            buffer,
            probe_video(buffer),
            [0, 40],
            workers=workers,
            decoders=1,
            ffmpeg_threads=1,
            pin=False,
            libraries=(BACKENDS[backend],),
        )
        assert torch.equal((await decoding).frames, expected)


async def test_an_index_that_does_not_exist_is_the_callers_mistake(film: Film, workers: CpuWorkers) -> None:
    with pytest.raises(ValueError, match="frame 75 of a video of 75 frames"):
        await decode(film("h264.mp4"), [0, 75], workers)


def test_a_seek_that_lands_too_late_costs_time_and_no_frame(film: Film) -> None:
    """As containers do that seek by decoding time: here the span claims to begin behind what is wanted of it."""
    data = film("h264.mp4").read_bytes()
    info = probe_video(data)
    assert isinstance(info, ScannedVideo)
    found: dict[int, np.ndarray] = {}
    for _ in PYAV.decode(data, info.index, [Span(start=20, frames=(15, 33))], 1, found.__setitem__):
        pass
    whole = as_transformers(film("h264.mp4"), range(75)).numpy()
    assert sorted(found) == [15, 33]
    assert all(np.array_equal(found[number], whole[number]) for number in found)
