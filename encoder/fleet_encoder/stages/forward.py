"""Fifth stage: one forward pass over items of several requests.

Where a batch fails, each of its items is tried alone: a bad one fails by itself, its neighbours get their embeddings.
"""

from collections.abc import Awaitable, Callable, Sequence

import structlog
import torch

from fleet_encoder.cache import Embedding
from fleet_encoder.errors import Internal, ItemError
from fleet_encoder.families.base import Features
from fleet_encoder.job import Job
from fleet_encoder.metrics import Metrics

log = structlog.get_logger()

Encode = Callable[[list[Features]], Awaitable[list[torch.Tensor]]]
"""Features -> one `[tokens, dim]` CPU tensor each, in a thread of the runner."""


class Forward:
    """Features -> embeddings."""

    def __init__(self, encode: Encode, metrics: Metrics) -> None:
        self._encode = encode
        self._metrics = metrics

    async def __call__(self, jobs: list[Job]) -> Sequence[ItemError | None]:
        """Fill in `embedding`."""
        self._metrics.batch_items.observe(len(jobs))
        self._metrics.batch_patches.observe(sum(job.patches for job in jobs))
        error = await self._try(jobs)
        if error is None:
            return [None] * len(jobs)
        if len(jobs) == 1:
            return [error]
        log.warning("batch failed, trying its items alone", items=len(jobs), error=str(error))
        return [await self._try([job]) for job in jobs]

    async def _try(self, jobs: list[Job]) -> ItemError | None:
        features = [job.features for job in jobs if job.features is not None]
        assert len(features) == len(jobs)
        try:
            rows = await self._encode(features)
        except ItemError as error:
            return error
        except torch.OutOfMemoryError:
            log.exception("out of device memory", items=len(jobs), requests=[job.request for job in jobs])
            return Internal("the device ran out of memory: lower spec.batching.maxPatches, or send smaller media")
        except Exception as error:
            log.exception("forward pass failed", items=len(jobs), requests=[job.request for job in jobs])
            return Internal(f"{type(error).__name__} in the forward pass: see the encoder's log")
        for job, item, tensor in zip(jobs, features, rows, strict=True):
            job.embedding = Embedding(tensor, item.meta)
            self._metrics.computed.labels(job.modality).inc(item.patches)
        return None
