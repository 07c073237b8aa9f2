"""First stage: get the media's bytes. Sockets only; a slow host holds one of many workers and nobody else."""

import asyncio
import time
from collections.abc import Sequence

from fleet_encoder.admission import Admission
from fleet_encoder.errors import ItemError
from fleet_encoder.job import Job, Source
from fleet_encoder.limits import MediaLimits
from fleet_encoder.metrics import Metrics
from fleet_encoder.sources.fetch import Fetcher


class Fetch:
    """Turns an URL into bytes; bytes that came with the message are only checked."""

    def __init__(self, fetcher: Fetcher, limits: MediaLimits, admission: Admission, metrics: Metrics) -> None:
        self._fetcher = fetcher
        self._limits = limits
        self._admission = admission
        self._metrics = metrics

    async def __call__(self, jobs: list[Job]) -> Sequence[ItemError | None]:
        """Fill in `source.data`."""
        (job,) = jobs
        if job.source.url is not None:
            left = None if job.deadline is None else job.deadline - time.monotonic()
            job.download = asyncio.ensure_future(self._fetcher.fetch(job.source.url, left))
            try:
                job.source = Source(data=await job.download)
            except asyncio.CancelledError:
                if not job.cancelled:
                    raise  # the stage ends, not the job
                raise job.unwanted_error() from None
            finally:
                job.download = None
        size = len(job.source.data)
        self._limits.check_bytes(size)
        self._admission.correct(job.ticket, size=size)
        self._metrics.received_bytes.labels(job.modality).inc(size)
        return [None]
