"""First stage: get the media's bytes. Sockets only; a slow host holds one of many workers and nobody else."""

import asyncio
import contextlib
import time
from collections.abc import Sequence

from fleet_encoder.admission import ESTIMATED_PATCHES, Admission
from fleet_encoder.errors import ItemError
from fleet_encoder.job import Job, Source
from fleet_encoder.sources.fetch import Data, Fetcher


class Fetch:
    """Turns an URL into bytes."""

    def __init__(self, fetcher: Fetcher, admission: Admission) -> None:
        self._fetcher = fetcher
        self._admission = admission

    async def __call__(self, jobs: list[Job]) -> Sequence[ItemError | None]:
        """Fill in `source.data`; from now on the job counts as work."""
        (job,) = jobs
        assert job.source.url is not None
        job.download = asyncio.ensure_future(self._fetch(job, job.source.url))
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

    async def _fetch(self, job: Job, url: str) -> Data:
        """The bytes, once the stages behind have room for them; `fetch` finds out where the deadline passed before."""
        deadline, counted = job.deadline, job.source.size is not None
        if not counted:  # else there was room for it when it was let in
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if deadline is None else deadline - time.monotonic()):
                    await self._admission.room()
        timeout = None if deadline is None else deadline - time.monotonic()
        return await self._fetcher.fetch(url, timeout, counted=counted)
