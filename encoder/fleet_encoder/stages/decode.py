"""Third stage, one a modality: file bytes to pixels or samples.

Three stages of the same shape, so that a queue of long videos does not stand before an image.
"""

import time
from collections.abc import Sequence
from functools import partial

from fleet_client.protocol import Modality
from fleet_encoder.admission import Admission
from fleet_encoder.errors import ItemError, TooLarge
from fleet_encoder.families.base import AudioInfo, Fit, ImageInfo, Preparation, VideoInfo
from fleet_encoder.job import Job, Source
from fleet_encoder.media.audio import decode_audio
from fleet_encoder.media.image import decode_image
from fleet_encoder.media.video import decode_video
from fleet_encoder.memory import DecodedMemory
from fleet_encoder.stages.inspect import BYTES_A_PIXEL
from fleet_encoder.workers import CpuWorkers

FULL_SIZE_SHARE = 8
"""A GPU gets a clip's frames in full size where they are at most this part of the memory for decoded media."""


def frame_fit(
    preparation: Preparation, info: VideoInfo, frames: int, *, on_gpu: bool, budget: int
) -> tuple[Fit | None, int]:
    """Size to shrink frames to while decoding (None: full size), and the bytes that they will take.

    A GPU shrinks frames faster than CPUs do, but a long clip in full size would leave no room for others. It depends
    on the header only, so equal clips become equal embeddings.

    Args:
        preparation: Of the clip.
        info: The clip's header.
        frames: Sampled ones.
        on_gpu: Frames go to a GPU.
        budget: Bytes for all decoded media.
    """
    size = info.width * info.height * BYTES_A_PIXEL * frames
    fit = None
    if not on_gpu or size > budget // FULL_SIZE_SHARE:
        fit = preparation.fit(info, frames)
    if fit is not None:
        size = fit.width * fit.height * BYTES_A_PIXEL * frames
    return fit, size


_SMALLER: dict[Modality, str] = {
    "image": "send a smaller one (spec.media.maxPixels)",
    "video": "ask for fewer frames with sampling.fps or sampling.frames, or send smaller ones (spec.media.maxFrames, "
    "spec.media.maxPixels)",
    "audio": "send it in parts (spec.media.maxVideoSeconds)",
}
"""Modality -> what its sender may do, and which limit would have said so earlier."""


async def take_memory(memory: DecodedMemory, job: Job) -> None:
    """Wait for the job's share; it is given back with the job's outcome.

    Raises:
        TooLarge: It is over what there is for all.
        ItemError: Nobody wants the job any more.
    """
    if job.decoded_bytes > memory.limit:
        raise TooLarge(
            f"decoded it takes {job.decoded_bytes} bytes of memory, this encoder has {memory.limit} for decoded media: "
            f"{_SMALLER[job.modality]}"
        )
    job.memory = share = await memory.take(job.decoded_bytes)
    job.outcome.add_done_callback(lambda _: share.release())
    check_wanted(job)


def check_wanted(job: Job) -> None:
    """Raise where nobody waits for what the job computes."""
    if not job.wanted(time.monotonic()):
        raise job.unwanted_error()


def drop_source(admission: Admission, job: Job) -> None:
    """The file is decoded, and followers wait for the embedding only: nobody needs its bytes any more."""
    job.source = Source()
    admission.correct(job.ticket, size=0)


class DecodeImage:
    """JPEG, PNG, WebP and what else Pillow reads -> RGB."""

    def __init__(self, workers: CpuWorkers, memory: DecodedMemory, admission: Admission) -> None:
        self._workers = workers
        self._memory = memory
        self._admission = admission

    async def __call__(self, jobs: list[Job]) -> Sequence[ItemError | None]:
        """Fill in `media`."""
        (job,) = jobs
        assert isinstance(job.info, ImageInfo)
        await take_memory(self._memory, job)
        job.media = await self._workers.run("image", 1, decode_image, job.source.data, job.info)
        drop_source(self._admission, job)
        return [None]


class DecodeVideo:
    """The sampled frames of a video, by several decoders side by side."""

    def __init__(
        self,
        workers: CpuWorkers,
        memory: DecodedMemory,
        admission: Admission,
        *,
        decoders: int,
        ffmpeg_threads: int,
        on_gpu: bool,
    ) -> None:
        self._workers = workers
        self._memory = memory
        self._admission = admission
        self._decoders = decoders
        self._ffmpeg_threads = ffmpeg_threads
        self._on_gpu = on_gpu

    async def __call__(self, jobs: list[Job]) -> Sequence[ItemError | None]:
        """Fill in `media`."""
        (job,) = jobs
        assert isinstance(job.info, VideoInfo)
        assert job.frame_indices is not None
        assert job.preparation is not None
        fit, job.decoded_bytes = frame_fit(
            job.preparation, job.info, len(job.frame_indices), on_gpu=self._on_gpu, budget=self._memory.limit
        )
        await take_memory(self._memory, job)
        job.media = await decode_video(
            job.source.data,
            job.info,
            job.frame_indices,
            workers=self._workers,
            decoders=self._decoders,
            ffmpeg_threads=self._ffmpeg_threads,
            pin=self._on_gpu,
            fit=fit,
            check=partial(check_wanted, job),
        )
        drop_source(self._admission, job)
        return [None]


class DecodeAudio:
    """Speech and sound -> mono float32 at the model's rate."""

    def __init__(self, workers: CpuWorkers, memory: DecodedMemory, admission: Admission) -> None:
        self._workers = workers
        self._memory = memory
        self._admission = admission

    async def __call__(self, jobs: list[Job]) -> Sequence[ItemError | None]:
        """Fill in `media`."""
        (job,) = jobs
        assert isinstance(job.info, AudioInfo)
        assert job.preparation is not None
        await take_memory(self._memory, job)
        rate = job.preparation.audio_rate
        job.media = await self._workers.run("audio", 1, decode_audio, job.source.data, rate, job.info)
        drop_source(self._admission, job)
        return [None]
