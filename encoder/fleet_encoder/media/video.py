"""Videos: the header with its frame count, and the sampled frames, by several decoders side by side.

torchcodec comes first, PyAV where torchcodec is missing or refuses the file, or where PyAV has much less to do (see
`backends`). Their frames are equal bit for bit, and so are those of any number of decoders.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from fleet_encoder.errors import Invalid
from fleet_encoder.families.base import Fit, Video, VideoInfo
from fleet_encoder.media import video_pyav
from fleet_encoder.media.buffers import Data
from fleet_encoder.media.chunks import Span, chunks, decoder_count, spans
from fleet_encoder.media.containers import check_whole
from fleet_encoder.media.frame_index import Check, FrameIndex, Pixels, Put, RefusedError, ScannedVideo, Work, any_size
from fleet_encoder.media.references import DISPOSABLE_CODECS
from fleet_encoder.media.steps import Steps, always_wanted
from fleet_encoder.workers import CpuWorkers


@dataclass(frozen=True, slots=True)
class Backend:
    """A library that decodes video. `scan` reads the header, `decode` is the work of one decoder."""

    name: str
    scan: Callable[[Data, Check], ScannedVideo]
    decode: Callable[[Data, FrameIndex, Sequence[Span], int, Put], Work]


PYAV = Backend(video_pyav.NAME, video_pyav.scan, video_pyav.decode)
BACKENDS: tuple[Backend, ...] = (PYAV,)
try:
    from fleet_encoder.media import video_torchcodec
except (ImportError, OSError, RuntimeError):  # not installed, or older than its demuxer
    pass
else:
    BACKENDS = (Backend(video_torchcodec.NAME, video_torchcodec.scan, video_torchcodec.decode), PYAV)


def backends(codec: str, parts: Sequence[Sequence[Span]]) -> tuple[Backend, ...]:
    """Which libraries to try, in order.

    PyAV first where it can leave packets out that torchcodec would decode: an H.264 or HEVC video, sampled sparsely.
    That takes 0.6 of the CPU time, for the same frames.
    """
    wanted = sum(len(span.frames) for part in parts for span in part)
    decoded = sum(span.frames[-1] - span.start + 1 for part in parts for span in part)
    if codec in DISPOSABLE_CODECS and 2 * wanted <= decoded:
        return (PYAV, *(backend for backend in BACKENDS if backend is not PYAV))
    return BACKENDS


def probe_video(data: Data, check: Check = any_size) -> VideoInfo:
    """Frames, rate, duration and size, from header and packets; PyAV also decodes the first frame.

    Frames, rate and duration are those that transformers' loader sees, so that sampling gives the same frames.

    Args:
        data: The file.
        check: Told the header's width and height before anything is decoded; what it raises is raised.

    Raises:
        Invalid: Not a video, or damaged, or cut off.
        TooLarge: Too many packets.
    """
    check_whole(data)
    refusals: list[RefusedError] = []
    for backend in BACKENDS:
        try:
            return backend.scan(data, check)
        except RefusedError as refusal:
            refusals.append(refusal)
    raise Invalid(str(refusals[-1])) from refusals[-1]


async def decode_video(
    data: Data,
    info: VideoInfo,
    indices: Sequence[int],
    *,
    workers: CpuWorkers,
    decoders: int,
    ffmpeg_threads: int,
    pin: bool,
    fit: Fit | None = None,
    flow: str = "video",
    check: Callable[[], None] = always_wanted,
    libraries: tuple[Backend, ...] | None = None,
) -> Video:
    """Decode the frames `indices` of the video that `info` was read from.

    Args:
        data: The file.
        info: From `probe_video`.
        indices: Frame numbers, in any order, also repeated.
        workers: Where to decode, in steps that hold `ffmpeg_threads` CPU slots each.
        decoders: At most so many work side by side; 0 is automatic.
        ffmpeg_threads: Of each decoder, at least 1.
        pin: Put the frames into page-locked memory.
        fit: Shrink each frame as soon as it is decoded; None keeps them in full size.
        flow: Who is charged for the CPU time.
        check: Called between the steps of decoding; what it raises ends all decoders, and is raised.
        libraries: To try in this order, instead of what `backends` says.

    Raises:
        Invalid: A frame cannot be decoded; says which.
    """
    if not isinstance(info, ScannedVideo):
        scanned = await workers.run(flow, 1, probe_video, data)
        assert isinstance(scanned, ScannedVideo)
        info = scanned
    if outside := [number for number in indices if not 0 <= number < info.frames]:
        raise ValueError(f"frame {outside[0]} of a video of {info.frames} frames")
    at_once = max(1, workers.slots.capacity // ffmpeg_threads)
    parts = await workers.run(flow, 1, _plan, indices, info.index, decoders, at_once)
    height, width = (fit.height, fit.width) if fit else (info.height, info.width)
    frames = await workers.run(flow, 1, _allocate, (len(indices), height, width, 3), pin)
    put = _writer(frames, indices, info, fit)
    refusals: list[RefusedError] = []
    for backend in libraries or backends(info.codec, parts):
        works = [backend.decode(data, info.index, part, ffmpeg_threads, put) for part in parts]
        try:
            await _side_by_side([Steps(work).run(workers, flow, ffmpeg_threads, check) for work in works])
        except RefusedError as refusal:
            refusals.append(refusal)
            continue
        pts = info.index.pts[np.asarray(indices, np.int64)].tolist()
        return Video(frames=frames, indices=list(indices), pts=pts, info=info, decoder=backend.name)
    raise Invalid(f"{refusals[-1]}: send the whole file, or re-encode it") from refusals[-1]


def _plan(indices: Sequence[int], index: FrameIndex, decoders: int, at_once: int) -> list[list[Span]]:
    """What each decoder decodes. In a worker: it takes milliseconds where many frames are wanted."""
    wanted = spans(indices, index.keyframes)
    return chunks(wanted, decoder_count(decoders, at_once, wanted))


def _allocate(shape: tuple[int, ...], pin: bool) -> torch.Tensor:
    """Not touched yet. numpy asks for huge pages where torch does not: a fifth of the cost of the first touch."""
    return (
        torch.empty(shape, dtype=torch.uint8, pin_memory=True) if pin else torch.from_numpy(np.empty(shape, np.uint8))
    )


def _writer(frames: torch.Tensor, indices: Sequence[int], info: VideoInfo, fit: Fit | None) -> Put:
    """Copies a decoded frame to all its places in `frames`; safe from several threads, as no two write one place."""
    rows = frames.numpy()
    places: dict[int, list[int]] = {}
    for place, number in enumerate(indices):
        places.setdefault(number, []).append(place)

    def put(number: int, pixels: Pixels) -> None:
        if pixels.shape[:2] != (info.height, info.width):
            raise RefusedError(
                f"frame {number} is {pixels.shape[1]}x{pixels.shape[0]}, the video's header says "
                f"{info.width}x{info.height}"
            )
        if fit is not None:
            pixels = fit.resize(torch.from_numpy(pixels)[None], fit.width, fit.height)[0].numpy()
        for place in places[number]:
            rows[place] = pixels

    return put


async def _side_by_side(works: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Run all; where one fails, stop the others and raise its error."""
    try:
        async with asyncio.TaskGroup() as group:
            for work in works:
                group.create_task(work)
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
