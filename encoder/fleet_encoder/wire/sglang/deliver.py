"""One request of a language server, from its body to its embedding on the language server's socket."""

import asyncio
import contextlib
import hashlib
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import structlog
import torch
from cachetools import LRUCache

from fleet_encoder.cache import Embedding
from fleet_encoder.errors import AskedTwice, Busy, Invalid, ItemError
from fleet_encoder.families.base import Preparation
from fleet_encoder.job import Job, Outcome
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

TELL_SECONDS = 1.0
"""To tell a receiver of a failure, which its caller learns by the answer: no longer than a living one needs."""

JOIN_INLINE_BYTES = 1 << 18
"""Embeddings up to so many bytes are put together faster than they are handed to a thread."""


class Deliveries:
    """All requests of one encoder's SGLang wire. Used on the event loop.

    Args:
        pipeline: Where items go.
        preparation: How their media become features.
        push: Where embeddings go.
        receivers: Where they are wanted, if the request does not say.
        grid_seconds: Seconds of a grid step of video, where the language model wants to know.
        seconds: From a request's arrival to its embedding, and to where it is wanted.
        metrics: Where all is counted.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        preparation: Preparation,
        push: Push,
        receivers: Receivers,
        grid_seconds: float | None,
        seconds: float,
        metrics: Metrics,
    ) -> None:
        self.active = 0
        self.last = 0.0
        self._pipeline = pipeline
        self._preparation = preparation
        self._push = push
        self._receivers = receivers
        self._grid_seconds = grid_seconds
        self._seconds = seconds
        self._metrics = metrics
        self._under_way: set[tuple[str, int]] = set()
        self._delivered: LRUCache[tuple[tuple[str, int], str], None] = LRUCache(DELIVERED)

    async def serve(self, request: EncodeRequest) -> None:
        """Encode all items, then deliver their embeddings as one message to each receiver.

        Raises:
            ItemError: Nothing was delivered; of several items the first that failed tells why.
            asyncio.CancelledError: The caller is gone; so is its work.
        """
        part = request.part
        key = part.req_id, part.part_idx
        # Receivers that tell where they are by a call of their own want it anew by telling it anew.
        delivered = any((key, each) in self._delivered for each in request.endpoints)
        if key in self._under_way or delivered:
            raise AskedTwice(f"part {part.part_idx} of {part.req_id!r} was asked for before: it is delivered once")
        self._under_way.add(key)
        self.active += 1
        began, status = time.monotonic(), "error"
        self._metrics.sglang_received.labels(part.modality).inc()
        self._metrics.sglang_request_items.labels(part.modality).observe(len(request.items))
        try:
            rows = await self._serve(request)
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
        part, deadline = request.part, time.monotonic() + self._seconds
        try:
            embeddings = await self._encode(request, deadline)
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
        endpoints = request.endpoints or await self._receivers.wait(part.req_id, deadline - time.monotonic())
        with self._metrics.sglang_delivery_seconds.time():
            await asyncio.gather(*(self._deliver(request, each, [described, payload]) for each in endpoints))
        return len(whole)

    async def _deliver(self, request: EncodeRequest, endpoint: str, message: list[Any]) -> None:
        """To one receiver. It is remembered from the moment on where it may have arrived."""
        key = request.part.req_id, request.part.part_idx
        self._delivered[key, endpoint] = None
        try:
            await self._push.send(endpoint, message, keep=not request.endpoints)
        except ItemError:
            self._delivered.pop((key, endpoint), None)
            raise
        self._metrics.sent_bytes.inc(len(message[1]))

    async def _encode(self, request: EncodeRequest, deadline: float) -> list[Embedding]:
        """The items' embeddings. Where one fails, or the caller goes, the others are dropped."""
        jobs: list[Job] = []
        try:
            for index, item in enumerate(request.items):
                jobs.append(await self._submit(request, index, item, deadline, jobs))
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

    async def _tell(self, request: EncodeRequest, error: ItemError) -> None:
        """A receiver that waits for several parts learns at once that there will be none.

        The caller gets the same as its answer: so this is sent only where it costs nothing to wait for.
        """
        endpoints = request.endpoints or self._receivers.forget(request.part.req_id)
        if not endpoints:
            return
        frame = frames.failure(request.part, str(error), http_status(error))
        sends = (self._push.send(each, [frame], keep=not request.endpoints) for each in endpoints)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TELL_SECONDS):
                await asyncio.gather(*sends, return_exceptions=True)


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


async def _joined(rows: Sequence[torch.Tensor]) -> torch.Tensor:
    """One behind another."""
    if len(rows) == 1:
        return rows[0]
    if sum(each.nbytes for each in rows) <= JOIN_INLINE_BYTES:
        return torch.cat(list(rows))
    return await asyncio.to_thread(torch.cat, list(rows))
