"""Fifth stage: forward passes over items of several requests.

Each pass is one piece of work: between two of them others may have the CPUs, and a batch that nobody waits for any more
is given up.

Where a batch fails, each of its items is tried alone: a bad one fails by itself, its neighbours get their embeddings.
"""

import threading
import time
from collections.abc import Callable, Sequence
from functools import partial

import structlog
import torch

from fleet_encoder.cache import Embedding
from fleet_encoder.errors import Internal, ItemError
from fleet_encoder.families.base import Features, Passes
from fleet_encoder.job import Job
from fleet_encoder.metrics import Metrics
from fleet_encoder.workers import CpuWorkers

log = structlog.get_logger()


class Forward:
    """Features -> embeddings.

    Args:
        encode: Features to one `[tokens, dim]` CPU tensor each, pass by pass.
        workers: Threads of the runner, one for each pass that may run at a time.
        threads: CPU slots that a pass holds at most, each one of torch's threads. It starts with an even share of them
            or more: it cannot get any later, and a huge image would take for ever on one.
        metrics: Where batches are counted.
    """

    def __init__(
        self, encode: Callable[[list[Features]], Passes], workers: CpuWorkers, threads: int, metrics: Metrics
    ) -> None:
        self._encode = encode
        self._workers = workers
        self._threads = threads
        self._least = -(-threads // workers.workers)
        self._metrics = metrics
        self._began: dict[int, float] = {}  # thread -> when its pass began

    @property
    def pass_seconds(self) -> float:
        """How long the oldest pass has been running: a lost device may never end one. 0 between passes."""
        began = list(self._began.values())
        return time.monotonic() - min(began) if began else 0.0

    async def __call__(self, jobs: list[Job]) -> Sequence[ItemError | None]:
        """Fill in `embedding`."""
        self._metrics.batch_items.observe(len(jobs))
        self._metrics.batch_patches.observe(sum(job.patches for job in jobs))
        error = await self._try(jobs)
        if error is None:
            return [None] * len(jobs)
        if len(jobs) == 1:
            return [error]
        if not _any_wanted(jobs):
            return [job.unwanted_error() for job in jobs]
        log.warning("batch failed, trying its items alone", items=len(jobs), error=str(error))
        return [await self._try([job]) for job in jobs]

    async def _try(self, jobs: list[Job]) -> ItemError | None:
        if not _any_wanted(jobs):
            return jobs[0].unwanted_error()
        features = [job.features for job in jobs if job.features is not None]
        assert len(features) == len(jobs)
        try:
            passes = self._encode(features)
            advance = partial(self._advance, passes)
            while (rows := await self._workers.run_elastic("forward", self._least, self._threads, advance)) is None:
                if not _any_wanted(jobs):
                    return jobs[0].unwanted_error()
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

    def _advance(self, passes: Passes, threads: int) -> list[torch.Tensor] | None:
        """In one of the runner's threads: one forward pass; the embeddings after the last one."""
        if threads != torch.get_num_threads():
            torch.set_num_threads(threads)
        thread = threading.get_ident()
        self._began[thread] = time.monotonic()
        try:
            next(passes)
        except StopIteration as end:
            rows: list[torch.Tensor] = end.value
            return rows
        finally:
            del self._began[thread]
        return None


def _any_wanted(jobs: Sequence[Job]) -> bool:
    now = time.monotonic()
    return any(job.wanted(now) for job in jobs)
