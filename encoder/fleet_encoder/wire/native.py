"""The native wire: a ZMQ ROUTER in front of the pipeline. See `fleet_client/protocol.py` for what is said.

Each item is answered as soon as it is done. Nothing that a client sends stops the loop: what cannot be understood is
answered INVALID and counted.
"""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import structlog
import torch
import zmq
import zmq.asyncio
from cachetools import LRUCache

from fleet_client import keepalive, protocol
from fleet_encoder.errors import Busy, Cancelled, Invalid, ItemError
from fleet_encoder.job import Job, Outcome, Source
from fleet_encoder.logs import Sparse
from fleet_encoder.metrics import Metrics
from fleet_encoder.pipeline import Pipeline
from fleet_encoder.runner.placement import dtype_name
from fleet_encoder.wire import validate
from fleet_encoder.wire.outbox import Outbox

log = structlog.get_logger()

LOAD_SECONDS = 1.0
SEND_HIGH_WATER = 64
RECEIVE_HIGH_WATER = 4
LEAST_LINGER_SECONDS = 1.0
NAMES = 1024
SILENCE_SECONDS = 120.0
"""A client that takes nothing for so long is gone."""

UNREAD = Cancelled("the answers to this client waited unread for too long, or were too many: read faster, ask again")

Requests = dict[str, dict[int, Job]]


class NativeWire:
    """Serves one ROUTER socket.

    Args:
        address: To bind, `tcp://host:port`, host `*` for all of IPv4 and IPv6; port 0 picks a free one, see `endpoint`.
        pipeline: Where items go.
        welcome: What a new client is told.
        max_message_bytes: Longest frame that is read at all; a longer one ends its client's connection.
        metrics: Where all is counted.

    Raises:
        zmq.ZMQError: The address cannot be bound.
    """

    def __init__(
        self,
        address: str,
        pipeline: Pipeline,
        welcome: Callable[[], protocol.Welcome],
        max_message_bytes: int,
        metrics: Metrics,
    ) -> None:
        self._pipeline = pipeline
        self._welcome = welcome
        self._metrics = metrics
        self._clients: dict[bytes, Requests] = {}
        self._names: LRUCache[bytes, str] = LRUCache(NAMES)
        self._garbage = Sparse()
        self._context = zmq.asyncio.Context()
        self._socket = socket = self._context.socket(zmq.ROUTER)
        socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        socket.setsockopt(zmq.SNDHWM, SEND_HIGH_WATER)
        socket.setsockopt(zmq.RCVHWM, RECEIVE_HIGH_WATER)
        socket.setsockopt(zmq.MAXMSGSIZE, max_message_bytes)
        for option, value in keepalive.options(SILENCE_SECONDS).items():
            socket.setsockopt(option, value)
        # For `*` libzmq listens on IPv4 and IPv6 alike, and on IPv4 alone where the system has no IPv6.
        socket.setsockopt(zmq.IPV6, int("[" in address or address.startswith("tcp://*:")))
        try:
            socket.bind(address)
        except zmq.ZMQError:
            self._context.destroy(0)
            raise
        self.endpoint = str(socket.get_string(zmq.LAST_ENDPOINT)).rstrip("\0")
        self._outbox = Outbox(socket, self._client_gone)
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to read."""
        self._tasks = [asyncio.create_task(self._receive()), asyncio.create_task(self._tell_load())]

    @property
    def tasks(self) -> "list[asyncio.Task[None]]":
        """That must not end by themselves."""
        return self._tasks

    async def until_sent(self) -> None:
        """Wait until every reply was handed to ZeroMQ."""
        while not self._outbox.empty:  # noqa: ASYNC110 - the outbox itself tries again that often
            await asyncio.sleep(0.01)

    async def stop(self, seconds: float) -> None:
        """Close; what was handed to ZeroMQ has so long to leave, and at least a second."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._socket.close(linger=round(1000 * max(LEAST_LINGER_SECONDS, seconds)))
        await asyncio.to_thread(self._context.term)

    def announce_drain(self) -> None:
        """Tell every client with work here that it should send the next item elsewhere."""
        self._broadcast_load()

    async def _receive(self) -> None:
        while True:
            frames = await self._socket.recv_multipart(copy=False)
            peer = frames[0].bytes
            try:
                message = protocol.unpack_from_client(frames[1].buffer if len(frames) > 1 else b"")
                self._handle(peer, message, frames[2:])
            except ValueError as error:
                self._metrics.wire_errors.inc()
                if (left_out := self._garbage.count()) is not None:
                    name = self._names.get(peer, "")
                    log.warning("message not understood", client=name, error=str(error), more_left_out=left_out)
                self._refuse(peer, "", -1, Invalid(str(error)))
            except Exception:
                log.exception("message failed")
            # A message that waits already is received without a pause: let the others have the loop in between.
            await asyncio.sleep(0)

    def _handle(self, peer: bytes, message: protocol.ClientMessage, frames: list[Any]) -> None:
        match message:
            case protocol.Hello():
                self._names[peer] = validate.shown_name(message.client)
                self._outbox.send(peer, [protocol.pack(self._welcome())])
            case protocol.Cancel():
                self._cancel(peer, message.id)
            case protocol.Encode():
                self._encode(peer, message, frames)

    def _encode(self, peer: bytes, message: protocol.Encode, frames: list[Any]) -> None:
        if message.id in self._clients.get(peer, {}):
            return  # a retry of what is in flight here: its answers are on their way
        try:
            validate.check_request(message)
        except ItemError as error:
            self._refuse(peer, message.id, -1, error)
            return
        self._metrics.requests.inc()
        deadline = None if message.timeout_ms is None else time.monotonic() + message.timeout_ms / 1000
        for index, item in enumerate(message.items):
            try:
                validate.check_item(item, len(frames))
                job = self._pipeline.submit(
                    request=message.id,
                    index=index,
                    modality=item.modality,
                    source=Source(url=item.url, data=None if item.frame is None else frames[item.frame].buffer),
                    sampling=item.sampling,
                    deadline=deadline,
                )
            except ItemError as error:
                self._pipeline.count_refused(item.modality, error)
                self._refuse(peer, message.id, index, error)
                continue
            self._clients.setdefault(peer, {}).setdefault(message.id, {})[index] = job
            job.outcome.add_done_callback(partial(self._deliver, peer, job))
        self._metrics.clients.set(len(self._clients))

    def _deliver(self, peer: bytes, job: Job, done: "asyncio.Future[Outcome]") -> None:
        requests = self._clients.get(peer, {})
        jobs = requests.get(job.request, {})
        if jobs.get(job.index) is job:
            del jobs[job.index]
            if not jobs:
                self._forget(peer, job.request)
        outcome = done.result()
        self._log(job, outcome)
        if outcome.error is not None:
            if not job.cancelled:
                self._refuse(peer, job.request, job.index, outcome.error, job.stage_seconds)
            return
        assert outcome.embedding is not None
        rows = outcome.embedding.rows
        header = protocol.Result(
            id=job.request,
            index=job.index,
            status=protocol.Status.OK,
            tensor=protocol.Tensor(frame=0, dtype=dtype_name(rows.dtype), shape=list(rows.shape)),
            meta=outcome.embedding.meta,
            cached=outcome.shared,
            stage_ms=_milliseconds(job.stage_seconds),
            pending_patches=self._pipeline.admission.patches,
        )
        payload = rows.flatten().view(torch.uint8).numpy().data
        lost = partial(self._refusal, job.request, job.index, UNREAD)
        if self._outbox.send(peer, [protocol.pack(header), payload], lost):
            self._metrics.sent_bytes.inc(len(payload))

    def _cancel(self, peer: bytes, request: str) -> None:
        """Forget the request at once: its id may be used again."""
        jobs = self._clients.get(peer, {}).get(request, {})
        self._forget(peer, request)
        for job in jobs.values():
            job.cancel()

    def _forget(self, peer: bytes, request: str) -> None:
        requests = self._clients.get(peer, {})
        if requests.pop(request, None) is not None and not requests:
            del self._clients[peer]
            self._metrics.clients.set(len(self._clients))

    def _log(self, job: Job, outcome: Outcome) -> None:
        """One line an item."""
        about: dict[str, Any] = {"request": job.request, "index": job.index, "modality": job.modality}
        about["ms"] = round(1000 * (time.monotonic() - job.entered), 1)
        if outcome.error is not None:
            log.info("item failed", **about, status=outcome.error.status.value, reason=str(outcome.error))
        elif outcome.embedding is not None:
            log.info("item done", **about, patches=outcome.embedding.meta.patches, cached=outcome.shared)

    def _refuse(
        self, peer: bytes, request: str, index: int, error: ItemError, stages: dict[str, float] | None = None
    ) -> None:
        frames = self._refusal(request, index, error, stages)
        self._outbox.send(peer, frames, lambda: frames)

    def _refusal(
        self, request: str, index: int, error: ItemError, stages: dict[str, float] | None = None
    ) -> list[bytes]:
        """The frames of an answer that is no embedding."""
        header = protocol.Result(
            id=request,
            index=index,
            status=error.status,
            message=str(error),
            retry_after_ms=int(error.retry_after * 1000) if isinstance(error, Busy) else None,
            stage_ms=_milliseconds(stages or {}),
            pending_patches=self._pipeline.admission.patches,
        )
        return [protocol.pack(header)]

    def _client_gone(self, peer: bytes, connected: bool) -> None:
        """Its work is dropped before its forward pass; one that is still there is told so for each item."""
        requests = self._clients.pop(peer, None)
        if requests is None:
            return
        self._metrics.clients_gone.inc()
        self._metrics.clients.set(len(self._clients))
        what = "client does not read" if connected else "client gone"
        log.info(what, client=self._names.get(peer, ""), requests=len(requests))
        for jobs in requests.values():
            for job in list(jobs.values()):
                job.cancel()
                if connected:
                    self._refuse(peer, job.request, job.index, UNREAD)

    async def _tell_load(self) -> None:
        """Once a second, to each client with work here. A client that is gone is found out by this."""
        while True:
            await asyncio.sleep(LOAD_SECONDS)
            self._broadcast_load()

    def _broadcast_load(self) -> None:
        draining = self._pipeline.lifecycle.draining
        header = protocol.pack(protocol.Load(pending_patches=self._pipeline.admission.patches, draining=draining))
        for peer in list(self._clients):
            self._outbox.send(peer, [header])


def _milliseconds(stages: dict[str, float]) -> dict[str, float]:
    return {name: round(1000 * seconds, 2) for name, seconds in stages.items()}
