"""One request of a language server, from its body to its embedding on the language server's socket."""

import asyncio
import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog
import torch
from cachetools import LRUCache

from fleet_encoder.cache import Embedding
from fleet_encoder.errors import AskedTwice, Invalid, ItemError
from fleet_encoder.families.base import Preparation
from fleet_encoder.job import Job
from fleet_encoder.metrics import Metrics
from fleet_encoder.pipeline import Pipeline
from fleet_encoder.wire.sglang import frames
from fleet_encoder.wire.sglang.push import Push
from fleet_encoder.wire.sglang.receivers import Receivers
from fleet_encoder.wire.sglang.request import EncodeRequest, Item
from fleet_encoder.wire.sglang.statuses import http_status

log = structlog.get_logger()

DELIVERED = 65_536
"""Parts that are remembered after their delivery, so that none is delivered twice."""

JOIN_INLINE_BYTES = 1 << 18
"""Embeddings up to so many bytes are put together faster than they are handed to a thread."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds.

    Attributes:
        request: From a request's arrival to its embedding.
        receivers: For all ranks to tell where they are.
    """

    request: float
    receivers: float


class Deliveries:
    """All requests of one encoder's SGLang wire. Used on the event loop.

    Args:
        pipeline: Where items go.
        preparation: How their media become features.
        push: Where embeddings go.
        receivers: Where they are wanted, if the request does not say.
        grid_seconds: Seconds of a grid step of video, where the language model wants to know.
        timeouts: See there.
        metrics: Where all is counted.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        preparation: Preparation,
        push: Push,
        receivers: Receivers,
        grid_seconds: float | None,
        timeouts: Timeouts,
        metrics: Metrics,
    ) -> None:
        self.active = 0
        self.last = 0.0
        self._pipeline = pipeline
        self._preparation = preparation
        self._push = push
        self._receivers = receivers
        self._grid_seconds = grid_seconds
        self._timeouts = timeouts
        self._metrics = metrics
        self._under_way: set[tuple[str, int]] = set()
        self._delivered: LRUCache[tuple[Any, ...], None] = LRUCache(DELIVERED)

    async def serve(self, request: EncodeRequest) -> None:
        """Encode all items, then deliver their embeddings as one message to each receiver.

        Raises:
            ItemError: Nothing was delivered; of several items the first that failed tells why.
            asyncio.CancelledError: The caller is gone; so is its work.
        """
        part = request.part
        key, whole = (part.req_id, part.part_idx), (part, request.endpoints)
        # Receivers that tell where they are by a call of their own want it anew by telling it anew.
        if key in self._under_way or (request.endpoints and whole in self._delivered):
            raise AskedTwice(f"part {part.part_idx} of {part.req_id!r} was asked for before: it is delivered once")
        self._under_way.add(key)
        self.active += 1
        began, status = time.monotonic(), "error"
        self._metrics.sglang_received.labels(part.modality).inc()
        self._metrics.sglang_request_items.labels(part.modality).observe(len(request.items))
        try:
            rows = await self._serve(request)
            self._delivered[whole] = None
            status = "success"
            about = {"request": part.req_id, "modality": part.modality, "items": len(request.items), "rows": rows}
            log.info("request done", **about, ms=round(1000 * (time.monotonic() - began), 1))
        finally:
            self._under_way.discard(key)
            self.active -= 1
            self.last = time.monotonic()
            self._metrics.sglang_requests.labels(part.modality, status).inc()
            self._metrics.sglang_request_seconds.labels(part.modality).observe(self.last - began)

    async def _serve(self, request: EncodeRequest) -> int:
        """Rows that were delivered."""
        part = request.part
        try:
            embeddings = await self._encode(request)
        except ItemError as error:
            await self._tell(request, error)
            raise
        rows = [each.rows for each in embeddings]
        whole = await _joined(rows)
        described = frames.embedding(
            part,
            rows=len(whole),
            dim=whole.shape[1],
            dtype=str(whole.dtype).removeprefix("torch."),
            metas=[each.meta for each in embeddings],
            grid_seconds=self._grid_seconds,
        )
        payload = whole.flatten().view(torch.uint8).numpy().data
        endpoints = request.endpoints or await self._receivers.wait(part.req_id)
        keep = not request.endpoints
        with self._metrics.sglang_delivery_seconds.time():
            await asyncio.gather(*(self._push.send(each, [described, payload], keep=keep) for each in endpoints))
        self._metrics.sent_bytes.inc(len(payload) * len(endpoints))
        return len(whole)

    async def _encode(self, request: EncodeRequest) -> list[Embedding]:
        """The items' embeddings. Where one fails, or the caller goes, the others are dropped."""
        jobs: list[Job] = []
        deadline = time.monotonic() + self._timeouts.request
        try:
            for index, item in enumerate(request.items):
                jobs.append(self._submit(request, index, item, deadline))
            outcomes = {job.outcome for job in jobs}
            while outcomes:
                done, outcomes = await asyncio.wait(outcomes, return_when=asyncio.FIRST_COMPLETED)
                for outcome in done:
                    if (error := outcome.result().error) is not None:
                        raise error
            embeddings = [job.outcome.result().embedding for job in jobs]
            return [each for each in embeddings if each is not None]
        finally:
            for job in jobs:
                if not job.outcome.done():
                    job.cancel()

    def _submit(self, request: EncodeRequest, index: int, item: Item, deadline: float) -> Job:
        part = request.part
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
            self._pipeline.count_refused(part.modality, error)
            raise

    async def _tell(self, request: EncodeRequest, error: ItemError) -> None:
        """A receiver that waits for several parts learns at once that there will be none.

        The caller gets the same as its answer: so this is sent only where it costs nothing to wait for.
        """
        if not request.endpoints:
            self._receivers.forget(request.part.req_id)
            return
        frame = frames.failure(request.part, str(error), http_status(error))
        sends = (self._push.send(each, [frame], keep=False) for each in request.endpoints)
        await asyncio.gather(*sends, return_exceptions=True)


def _check_content(sha256: str, data: Any) -> None:
    """In a worker thread.

    Raises:
        Invalid: The bytes are not those that the caller meant.
    """
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise Invalid(f"content_hash is sha256:{sha256}, but the file's is sha256:{found}: it has changed since")


async def _joined(rows: Sequence[torch.Tensor]) -> torch.Tensor:
    """One behind another."""
    if len(rows) == 1:
        return rows[0]
    if sum(each.nbytes for each in rows) <= JOIN_INLINE_BYTES:
        return torch.cat(list(rows))
    return await asyncio.to_thread(torch.cat, list(rows))
