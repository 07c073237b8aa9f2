"""One request of a language server, from its body to its embedding on the language server's socket."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import structlog
import torch
from cachetools import LRUCache

from fleet_encoder.errors import AskedTwice, ItemError
from fleet_encoder.metrics import Metrics
from fleet_encoder.runner.placement import dtype_name
from fleet_encoder.wire.sglang import frames
from fleet_encoder.wire.sglang.items import Items, joined
from fleet_encoder.wire.sglang.outgoing import Outgoing
from fleet_encoder.wire.sglang.push import Push
from fleet_encoder.wire.sglang.receivers import Receivers
from fleet_encoder.wire.sglang.request import EncodeRequest
from fleet_encoder.wire.sglang.statuses import http_status

log = structlog.get_logger()

ARRIVALS = 1024
"""Of the last requests, to tell how often they come."""

DELIVERED = 65_536
"""Parts that are remembered after their delivery, so that none is delivered twice."""

TELL_SECONDS = 1.0
"""To tell a receiver of a failure, which its caller learns by the answer: no longer than a living one needs."""


class Deliveries:
    """All requests of one encoder's SGLang wire. Used on the event loop.

    Args:
        items: Encodes those of a request.
        push: Where embeddings go.
        receivers: Where they are wanted, if the request does not say.
        grid_seconds: Seconds of a grid step of video, where the language model wants to know.
        seconds: From a request's arrival to its embedding, and to where it is wanted.
        metrics: Where all is counted.
    """

    def __init__(
        self,
        items: Items,
        push: Push,
        receivers: Receivers,
        grid_seconds: float | None,
        seconds: float,
        metrics: Metrics,
    ) -> None:
        self.active = 0
        self.last = 0.0
        self._items = items
        self._push = push
        self._receivers = receivers
        self._grid_seconds = grid_seconds
        self._seconds = seconds
        self._metrics = metrics
        self._under_way: set[tuple[str, int]] = set()
        self._leaving: set[tuple[str, int]] = set()
        self._outgoing = Outgoing()
        self.arrivals: deque[float] = deque(maxlen=ARRIVALS)
        self._delivered: LRUCache[tuple[tuple[str, int], str], None] = LRUCache(DELIVERED)

    async def serve(self, request: EncodeRequest, submitted: Callable[[], None]) -> None:
        """Encode all items, then deliver their embeddings as one message to each receiver.

        Args:
            request: What is asked for.
            submitted: Called once admission counts the bytes of all items.

        Raises:
            ItemError: Nothing was delivered; of several items the first that failed tells why.
            asyncio.CancelledError: The caller is gone; so is its work.
        """
        part = request.part
        # Receivers that tell where they are by a call of their own want it anew by telling it anew.
        delivered = any((part.key, each) in self._delivered for each in request.endpoints)
        if part.key in self._under_way or delivered:
            raise AskedTwice(f"part {part.part_idx} of {part.req_id!r} was asked for before: it is delivered once")
        self._under_way.add(part.key)
        work = asyncio.ensure_future(self._counted(request, submitted))
        work.add_done_callback(lambda done: done.cancelled() or done.exception())  # who has hung up hears of nothing
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            # SGLang hangs up as soon as it has its embedding: what is on its way arrives, and is a success.
            if part.key not in self._leaving:
                work.cancel()
            raise

    async def _counted(self, request: EncodeRequest, submitted: Callable[[], None]) -> None:
        part = request.part
        self.active += 1
        began, status = time.monotonic(), "error"
        self.arrivals.append(began)
        self._metrics.sglang_received.labels(part.modality).inc()
        self._metrics.sglang_request_items.labels(part.modality).observe(len(request.items))
        try:
            rows = await self._serve(request, submitted)
            status = "success"
            about = {"request": part.req_id, "modality": part.modality, "items": len(request.items), "rows": rows}
            log.info("request done", **about, ms=round(1000 * (time.monotonic() - began), 1))
        finally:
            self._under_way.discard(part.key)
            self._leaving.discard(part.key)
            if status == "error":
                self._receivers.forget(part.req_id)  # or another request of that id would be sent there
            self.active -= 1
            self.last = time.monotonic()
            self._metrics.sglang_requests.labels(part.modality, status).inc()
            self._metrics.sglang_request_seconds.labels(part.modality).observe(self.last - began)

    async def _serve(self, request: EncodeRequest, submitted: Callable[[], None]) -> int:
        """Rows that were delivered."""
        part, deadline = request.part, time.monotonic() + self._seconds
        try:
            embeddings = await self._items.encode(request, deadline, submitted)
        except ItemError as error:
            await self._tell(request, error)
            raise
        whole = await joined([each.rows for each in embeddings])
        described = frames.embedding(
            part,
            rows=len(whole),
            dim=whole.shape[1],
            dtype=dtype_name(whole.dtype),
            metas=[each.meta for each in embeddings],
            grid_seconds=self._grid_seconds,
        )
        payload = whole.flatten().view(torch.uint8).numpy().data
        async with self._outgoing.hold(len(payload)):
            endpoints = request.endpoints or await self._receivers.wait(part.req_id, deadline - time.monotonic())
            self._leaving.add(part.key)
            with self._metrics.sglang_delivery_seconds.time():
                sends = (self._deliver(request, each, [described, payload]) for each in endpoints)
                ends = await asyncio.gather(*sends, return_exceptions=True)  # each rank is seen to its end
            for failed in filter(None, ends):
                raise failed
        return len(whole)

    async def _deliver(self, request: EncodeRequest, endpoint: str, message: list[Any]) -> None:
        """To one receiver. It is remembered from the moment on where it may have arrived."""
        key = request.part.key, endpoint
        self._delivered[key] = None
        try:
            await self._push.send(endpoint, message, keep=not request.endpoints)
        except ItemError:
            self._delivered.pop(key, None)
            raise
        self._metrics.sent_bytes.inc(len(message[1]))

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
