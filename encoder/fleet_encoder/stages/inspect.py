"""Second stage: hash the bytes, read the header, know the cost, and check every limit before memory is spent."""

from collections.abc import Callable, Sequence
from typing import Any

from fleet_client.protocol import Modality, Sampling
from fleet_encoder.admission import Admission
from fleet_encoder.cache import content_key
from fleet_encoder.errors import ItemError
from fleet_encoder.families.base import AudioInfo, Family, ImageInfo, MediaInfo, VideoInfo
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
        family: Family,
        fingerprint: Callable[[], str],
        limits: MediaLimits,
        admission: Admission,
        workers: CpuWorkers,
        metrics: Metrics,
    ) -> None:
        self._family = family
        self._fingerprint = fingerprint
        self._limits = limits
        self._admission = admission
        self._workers = workers
        self._metrics = metrics

    async def __call__(self, jobs: list[Job]) -> Sequence[ItemError | None]:
        """Read the header in a worker thread, then correct what the job was admitted for."""
        (job,) = jobs
        size = len(job.source.data)
        self._limits.check_bytes(size)
        self._metrics.received_bytes.labels(job.modality).inc(size)
        key, info, indices, patches = await self._workers.run(
            job.modality, 1, self._read, job.source.data, job.modality, job.sampling
        )
        job.key, job.info, job.frame_indices = key, info, indices
        job.decoded_bytes = decoded_bytes(info, len(indices), self._family.audio_rate)
        self._admission.correct(job.ticket, patches=patches)
        return [None]

    def _read(
        self, data: Any, modality: Modality, sampling: Sampling | None
    ) -> tuple[bytes, MediaInfo, list[int], int]:
        """In a worker thread: nothing here allocates more than the header needs."""
        key = content_key(self._fingerprint(), modality, sampling, data)
        if modality == "image":
            image = probe_image(data)
            self._limits.check_pixels(image.width, image.height)
            return key, image, [], self._family.patches(image)
        if modality == "audio":
            audio = probe_audio(data)
            self._limits.check_seconds(audio.duration)
            return key, audio, [], self._family.patches(audio)
        video = probe_video(data, self._limits.check_pixels)
        self._limits.check_pixels(video.width, video.height)
        self._limits.check_seconds(video.duration)
        indices = self._family.sample(video, sampling)
        self._limits.check_frames(len(indices))
        return key, video, indices, self._family.patches(video, len(indices))


def decoded_bytes(info: MediaInfo, frames: int, audio_rate: int) -> int:
    """Memory that the decoded media will take."""
    match info:
        case ImageInfo():
            return info.width * info.height * BYTES_A_PIXEL
        case VideoInfo():
            return info.width * info.height * BYTES_A_PIXEL * frames
        case AudioInfo():
            return int(info.duration * audio_rate) * BYTES_A_SAMPLE
