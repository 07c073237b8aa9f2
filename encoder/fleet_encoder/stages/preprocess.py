"""Fourth stage: the model's own preparation, on the runner's device where that is a GPU."""

from collections.abc import Sequence

import torch

from fleet_encoder.admission import Admission
from fleet_encoder.errors import ItemError
from fleet_encoder.job import Job
from fleet_encoder.workers import CpuWorkers


class Preprocess:
    """Pixels or samples -> features. The job's share of memory becomes what the features take."""

    def __init__(
        self, workers: CpuWorkers, admission: Admission, *, intra_op_threads: int, device: torch.device
    ) -> None:
        self._workers = workers
        self._admission = admission
        self._weight = intra_op_threads
        self._device = device

    async def __call__(self, jobs: list[Job]) -> Sequence[ItemError | None]:
        """Fill in `features`."""
        (job,) = jobs
        assert job.media is not None
        assert job.preparation is not None
        job.features = await self._workers.run(
            job.modality, self._weight, job.preparation.preprocess, job.media, self._device
        )
        job.media = None
        if job.memory is not None and not job.outcome.done():
            job.memory.resize(job.features.tensor.nbytes)
        self._admission.correct(job.ticket, patches=job.features.patches)
        return [None]
