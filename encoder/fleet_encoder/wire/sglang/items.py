"""The items of one request of a language server: into the pipeline together, and out of it as one."""

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch

from fleet_encoder.cache import Embedding
from fleet_encoder.errors import Busy, Invalid, ItemError
from fleet_encoder.families.base import Preparation
from fleet_encoder.job import Job, Outcome
from fleet_encoder.pipeline import Pipeline
from fleet_encoder.wire.sglang.media_items import Item
from fleet_encoder.wire.sglang.request import EncodeRequest

JOIN_INLINE_BYTES = 1 << 18
"""Embeddings up to so many bytes are put together faster than they are handed to a thread."""


class Items:
    """Encodes all items of a request.

    Args:
        pipeline: Where they go.
        preparation: How their media become features.
    """

    def __init__(self, pipeline: Pipeline, preparation: Preparation) -> None:
        self._pipeline = pipeline
        self._preparation = preparation

    async def encode(self, request: EncodeRequest, deadline: float, submitted: Callable[[], None]) -> list[Embedding]:
        """The items' embeddings, in order. Where one fails, or the caller goes, the others are dropped.

        Raises:
            ItemError: Of the first that failed.
        """
        jobs: list[Job] = []
        try:
            for index, item in enumerate(request.items):
                jobs.append(await self._submit(request, index, item, deadline, jobs))
            submitted()
            waiting = {job.outcome for job in jobs}
            while waiting:
                _, waiting = await _first(waiting)
            embeddings = [job.outcome.result().embedding for job in jobs]
            return [each for each in embeddings if each is not None]
        finally:
            for job in jobs:
                if not job.outcome.done():
                    job.cancel()

    async def _submit(self, request: EncodeRequest, index: int, item: Item, deadline: float, before: list[Job]) -> Job:
        """Where there is no room, an item waits for those of its own request, and is refused only behind all of them.

        So a request that is larger than what admission lets in is encoded bit by bit, and nobody waits for others.
        """
        part = request.part
        waiting = {job.outcome for job in before}
        while True:
            try:
                return self._pipeline.submit(
                    request=part.req_id,
                    index=index,
                    modality=part.modality,
                    source=item.source,
                    deadline=deadline,
                    preparation=self._preparation,
                    check=None if item.sha256 is None else partial(_check_content, item.sha256),
                    late=True,
                )
            except ItemError as error:
                if not isinstance(error, Busy) or not waiting:
                    self._pipeline.count_refused(part.modality, error)
                    raise
            _, waiting = await _first(waiting)


async def _first(
    waiting: "set[asyncio.Future[Outcome]]",
) -> "tuple[set[asyncio.Future[Outcome]], set[asyncio.Future[Outcome]]]":
    """Until the first outcome: those that are there, and the others.

    Raises:
        ItemError: One of them is a failure.
    """
    done, others = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for each in done:
        if (error := each.result().error) is not None:
            raise error
    return done, others


def _check_content(sha256: str, data: Any) -> None:
    """In a worker thread.

    Raises:
        Invalid: The bytes are not those that the caller meant.
    """
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise Invalid(f"content_hash is sha256:{sha256}, but the file's is sha256:{found}: it has changed since")


async def joined(rows: Sequence[torch.Tensor]) -> torch.Tensor:
    """One behind another."""
    if len(rows) == 1:
        return rows[0]
    if sum(each.nbytes for each in rows) <= JOIN_INLINE_BYTES:
        return torch.cat(list(rows))
    return await asyncio.to_thread(torch.cat, list(rows))
