"""Third stage, one a modality: file bytes to pixels or samples.

Three stages of the same shape, so that a queue of long videos does not stand before an image.
"""

import asyncio
from collections.abc import Sequence

from fleet_encoder.errors import ItemError
from fleet_encoder.families.base import AudioInfo, Family, ImageInfo, VideoInfo
from fleet_encoder.job import Job
from fleet_encoder.media.audio import decode_audio
from fleet_encoder.media.image import decode_image
from fleet_encoder.media.video import decode_video
from fleet_encoder.slots import CpuSlots
from fleet_encoder.stages.inspect import BYTES_A_PIXEL
from fleet_encoder.workers import CpuWorkers


class DecodedMemory:
    """Bounds decoded media in memory: a job waits here for its share, and gives it back after preprocessing.

    The limiter of CPU slots, counting bytes: fair between modalities by the memory and time they hold.
    """

    def __init__(self, limit: int) -> None:
        self._slots = CpuSlots(max(1, limit))

    async def take(self, job: Job) -> None:
        """Wait for room for the decoded `job`; one that is larger than the limit goes alone."""
        held = await self._slots.acquire(job.modality, max(1, job.decoded_bytes))
        started = asyncio.get_running_loop().time()

        def give_back(*_: object) -> None:
            if job.give_back is not None:
                job.give_back = None
                self._slots.release(job.modality, held, asyncio.get_running_loop().time() - started)

        job.give_back = give_back
        job.outcome.add_done_callback(give_back)


class DecodeImage:
    """JPEG, PNG, WebP and what else Pillow reads -> RGB."""

    def __init__(self, workers: CpuWorkers, memory: DecodedMemory) -> None:
        self._workers = workers
        self._memory = memory

    async def __call__(self, jobs: list[Job]) -> Sequence[ItemError | None]:
        """Fill in `media`."""
        (job,) = jobs
        assert isinstance(job.info, ImageInfo)
        await self._memory.take(job)
        job.media = await self._workers.run("image", 1, decode_image, job.source.data, job.info)
        return [None]


class DecodeVideo:
    """The sampled frames of a video, by several decoders side by side."""

    def __init__(
        self,
        family: Family,
        workers: CpuWorkers,
        memory: DecodedMemory,
        *,
        decoders: int,
        ffmpeg_threads: int,
        on_gpu: bool,
    ) -> None:
        self._family = family
        self._workers = workers
        self._memory = memory
        self._decoders = decoders
        self._ffmpeg_threads = ffmpeg_threads
        self._on_gpu = on_gpu

    async def __call__(self, jobs: list[Job]) -> Sequence[ItemError | None]:
        """Fill in `media`."""
        (job,) = jobs
        assert isinstance(job.info, VideoInfo)
        assert job.frame_indices is not None
        # A GPU shrinks frames faster than the CPUs do; they go there in full size, through pinned memory.
        fit = None if self._on_gpu else self._family.fit(job.info, len(job.frame_indices))
        if fit is not None:
            job.decoded_bytes = fit.width * fit.height * BYTES_A_PIXEL * len(job.frame_indices)
        await self._memory.take(job)
        job.media = await decode_video(
            job.source.data,
            job.info,
            job.frame_indices,
            workers=self._workers,
            decoders=self._decoders,
            ffmpeg_threads=self._ffmpeg_threads,
            pin=self._on_gpu,
            fit=fit,
        )
        return [None]


class DecodeAudio:
    """Speech and sound -> mono float32 at the model's rate."""

    def __init__(self, workers: CpuWorkers, memory: DecodedMemory, rate: int) -> None:
        self._workers = workers
        self._memory = memory
        self._rate = rate

    async def __call__(self, jobs: list[Job]) -> Sequence[ItemError | None]:
        """Fill in `media`."""
        (job,) = jobs
        assert isinstance(job.info, AudioInfo)
        await self._memory.take(job)
        job.media = await self._workers.run("audio", 1, decode_audio, job.source.data, self._rate, job.info)
        return [None]
