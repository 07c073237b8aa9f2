"""First stage: get the media's bytes. Sockets only; a slow host holds one of many workers and nobody else."""

import asyncio
import time
from collections.abc import Sequence

from fleet_encoder.admission import ESTIMATED_PATCHES, Admission
from fleet_encoder.errors import ItemError
from fleet_encoder.job import Job, Source
from fleet_encoder.sources.fetch import Fetcher


class Fetch:
    """Turns an URL into bytes."""

    def __init__(self, fetcher: Fetcher, admission: Admission) -> None:
        self._fetcher = fetcher
        self._admission = admission

    async def __call__(self, jobs: list[Job]) -> Sequence[ItemError | None]:
        """Fill in `source.data`; from now on the job counts as work."""
        (job,) = jobs
        assert job.source.url is not None
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
        self._admission.correct(job.ticket, patches=ESTIMATED_PATCHES[job.modality], size=len(job.source.data))
        return [None]
