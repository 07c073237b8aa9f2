"""Second stage: hash the bytes, read the header, know the cost, and check every limit before memory is spent."""

from collections.abc import Callable, Sequence
from typing import Any

from fleet_encoder.admission import Admission
from fleet_encoder.cache import content_key
from fleet_encoder.errors import ItemError
from fleet_encoder.families.base import AudioInfo, ImageInfo, MediaInfo, VideoInfo
from fleet_encoder.job import Job
from fleet_encoder.limits import MediaLimits
from fleet_encoder.media.audio import probe_audio
from fleet_encoder.media.image import probe_image
from fleet_encoder.media.video import probe_video
from fleet_encoder.metrics import Metrics
from fleet_encoder.workers import CpuWorkers

BYTES_A_PIXEL = 3
BYTES_A_SAMPLE = 4


class Inspect:
    """Fills in key, header, sampled frames and true cost. Jobs that are answered from the cache end here."""

    def __init__(
        self,
        fingerprint: Callable[[], str],
        limits: MediaLimits,
        admission: Admission,
        workers: CpuWorkers,
        metrics: Metrics,
    ) -> None:
        self._fingerprint = fingerprint
        self._limits = limits
        self._admission = admission
        self._workers = workers
        self._metrics = metrics

    async def __call__(self, jobs: list[Job]) -> Sequence[ItemError | None]:
        """Read the header in a worker thread, then correct what the job was admitted for."""
        (job,) = jobs
        assert job.preparation is not None
        size = len(job.source.data)
        self._limits.check_bytes(size)
        self._metrics.received_bytes.labels(job.modality).inc(size)
        key, info, indices, patches = await self._workers.run(job.modality, 1, self._read, job, job.source.data)
        job.key, job.info, job.frame_indices = key, info, indices
        job.decoded_bytes = decoded_bytes(info, len(indices), job.preparation.audio_rate)
        self._admission.correct(job.ticket, patches=patches)
        return [None]

    def _read(self, job: Job, data: Any) -> tuple[bytes, MediaInfo, list[int], int]:
        """In a worker thread: nothing here allocates more than the header needs."""
        modality, sampling, preparation = job.modality, job.sampling, job.preparation
        assert preparation is not None
        if job.check is not None:
            job.check(data)
        key = content_key(self._fingerprint(), modality, sampling, data, preparation.differs.get(modality, ""))
        if modality == "image":
            image = probe_image(data)
            self._limits.check_pixels(image.width, image.height)
            return key, image, [], preparation.patches(image)
        if modality == "audio":
            audio = probe_audio(data)
            self._limits.check_seconds(audio.duration)
            return key, audio, [], preparation.patches(audio)
        video = probe_video(data, self._limits.check_pixels)
        self._limits.check_pixels(video.width, video.height)
        self._limits.check_seconds(video.duration)
        indices = preparation.sample(video, sampling)
        self._limits.check_frames(len(indices))
        return key, video, indices, preparation.patches(video, len(indices))


def decoded_bytes(info: MediaInfo, frames: int, audio_rate: int) -> int:
    """Memory that the decoded media will take."""
    match info:
        case ImageInfo():
            return info.width * info.height * BYTES_A_PIXEL
        case VideoInfo():
            return info.width * info.height * BYTES_A_PIXEL * frames
        case AudioInfo():
            return int(info.duration * audio_rate) * BYTES_A_SAMPLE
