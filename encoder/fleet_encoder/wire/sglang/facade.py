"""The HTTP half of the wire that SGLang's language servers speak, in front of the pipeline.

A language server POSTs `/encode` with URLs or base64, and gets the embedding pushed to a ZMQ socket of its own
(`push`); the HTTP answer tells that this has happened, or why not. One encoder serves both of SGLang's ZMQ backends at
once: a request shows which it is from. Source: SGLang 0.5.23, `srt/disaggregation/encoder/`.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import structlog
from aiohttp import web
from cachetools import LRUCache

from fleet_encoder.drain import Lifecycle
from fleet_encoder.errors import Expired, Internal, Invalid, ItemError, TooLarge
from fleet_encoder.logs import Sparse
from fleet_encoder.metrics import Metrics
from fleet_encoder.sources.shares import Hold, MemoryShare
from fleet_encoder.wire.http import listen, serve_metrics
from fleet_encoder.wire.sglang import request as requests
from fleet_encoder.wire.sglang.deliver import Deliveries
from fleet_encoder.wire.sglang.receivers import Receivers
from fleet_encoder.wire.sglang.statuses import http_status, retry_after

log = structlog.get_logger()

MOONCAKE = (
    "this encoder delivers by ZMQ: start the language server with --encoder-transfer-backend zmq_to_tokenizer "
    "(or zmq_to_scheduler)"
)
LAST_SECONDS = 1.0
"""For answers that are being written when the wire closes: the drain has waited for all others."""

POLLERS = 1024
"""Addresses that are remembered, the last ones that polled."""

POLLS = 64
"""Of one of them."""

_REQ_ID = "req_id"
_MOONCAKE_PATHS = ("/send", "/scheduler_receive_meta_data")


class SglangFacade:
    """Serves one HTTP port.

    Args:
        address: `host:port`, host `*` for all of IPv4 and IPv6; port 0 picks a free one, see `address` after `start`.
        deliveries: Where requests go.
        receivers: Where they are wanted.
        lifecycle: What `/health` says.
        about: What `/model_info` says.
        memory: Bytes of bodies that are being read count towards its limit.
        max_body_bytes: Of one body.
        body_seconds: A body may take to arrive.
        metrics: What `/metrics` says.

    Attributes:
        address: Where it listens, once started.
        active: Requests under way, also those whose bodies still arrive.
        polls: When `/health` was asked for, by the address of who did.
    """

    def __init__(
        self,
        address: str,
        deliveries: Deliveries,
        receivers: Receivers,
        lifecycle: Lifecycle,
        about: Callable[[], dict[str, Any]],
        memory: MemoryShare,
        max_body_bytes: int,
        body_seconds: float,
        metrics: Metrics,
    ) -> None:
        self.address = address
        self.active = 0
        self.polls: LRUCache[str, deque[float]] = LRUCache(POLLERS)
        self._deliveries = deliveries
        self._receivers = receivers
        self._lifecycle = lifecycle
        self._about = about
        self._memory = memory
        self._metrics = metrics
        self._failures = Sparse()
        self._max_body_bytes = max_body_bytes
        self._body_seconds = body_seconds
        app = web.Application()
        app.router.add_post("/encode", self._encode)
        app.router.add_post("/scheduler_receive_url", self._receive_url)
        for path in _MOONCAKE_PATHS:
            app.router.add_post(path, self._mooncake)
        app.router.add_get("/health", self._polled)
        app.router.add_get("/health_generate", self._health)
        for path in ("/model_info", "/get_model_info"):
            app.router.add_get(path, self._model_info)
        app.router.add_get("/metrics", partial(serve_metrics, metrics))
        # A caller that hangs up cancels its handler, and by that its work.
        self._runner = web.AppRunner(
            app, access_log=None, handle_signals=False, handler_cancellation=True, shutdown_timeout=LAST_SECONDS
        )

    async def start(self) -> None:
        """Bind and serve.

        Raises:
            OSError: The address cannot be bound.
        """
        try:
            self.address = await listen(self._runner, self.address)
        except OSError as error:
            raise OSError(error.errno, error.strerror, f"--sglang-http {self.address}") from None

    async def stop(self) -> None:
        """Close; requests under way end first."""
        await self._runner.cleanup()

    async def _encode(self, request: web.Request) -> web.Response:
        hold = Hold(self._memory)
        return await self._answered(self._deliver(request, hold), request, hold)

    async def _receive_url(self, request: web.Request) -> web.Response:
        hold = Hold(self._memory)
        return await self._answered(self._meet(request, hold), request, hold)

    async def _deliver(self, request: web.Request, hold: Hold) -> None:
        wanted = requests.encode_request(await self._body(request, hold))
        self._metrics.requests.inc()
        await self._deliveries.serve(wanted, hold.release)

    async def _meet(self, request: web.Request, hold: Hold) -> None:
        self._receivers.add(requests.receiver(await self._body(request, hold)))

    async def _answered(self, work: Coroutine[Any, Any, None], request: web.Request, hold: Hold) -> web.Response:
        """Do `work`, and say how it went; `hold` ends with it."""
        self.active += 1
        try:
            await work
        except ItemError as error:
            return self._refused(error, request.get(_REQ_ID, ""))
        except Exception as error:
            log.exception("request failed", request=request.get(_REQ_ID, ""))
            return self._refused(Internal(f"{type(error).__name__}: see the encoder's log"), request.get(_REQ_ID, ""))
        finally:
            self.active -= 1
            hold.release()
        return web.json_response(None)

    async def _body(self, request: web.Request, hold: Hold) -> dict[str, Any]:
        """The whole body; what is too much is refused before it is read."""
        if request.headers.get("Content-Encoding", "identity") != "identity":
            raise Invalid("the body is compressed, which is not read here: send it as it is")
        length = request.content_length or 0
        self._check_length(length)
        # Is there room? But only what has come is held: an announcement costs its sender nothing.
        hold.cover(length)
        hold.shrink()
        try:
            async with asyncio.timeout(self._body_seconds):
                body = await self._read(request, hold)
        except TimeoutError:
            raise Expired(f"the body did not arrive in {self._body_seconds:.0f} s: send it faster, or URLs") from None
        decoded = requests.decode(body)
        request[_REQ_ID] = requests.shown_id(decoded)
        return decoded

    async def _read(self, request: web.Request, hold: Hold) -> bytearray:
        body = bytearray()
        async for piece in request.content.iter_any():  # read() would keep a copy as long as the request lives
            self._check_length(len(body) + len(piece))
            hold.cover(len(body) + len(piece))
            body += piece
        return body

    def _check_length(self, length: int) -> None:
        if length > self._max_body_bytes:
            raise TooLarge(
                f"the body has over {self._max_body_bytes} bytes, the limit of the media in one request "
                "(spec.admission.maxPendingBytes): send fewer in one request, or URLs"
            )

    def _refused(self, error: ItemError, req_id: str) -> web.Response:
        if (left_out := self._failures.count()) is not None:
            status = error.status.value
            log.info("request failed", request=req_id, status=status, reason=str(error), more_left_out=left_out)
        hint = retry_after(error)
        return web.json_response(
            {"status": "error", "message": str(error), "req_id": req_id},
            status=http_status(error),
            headers={} if hint is None else {"Retry-After": hint},
        )

    async def _polled(self, request: web.Request) -> web.Response:
        polls = self.polls.setdefault(request.remote or "", deque(maxlen=POLLS))
        polls.append(time.monotonic())
        return await self._health(request)

    async def _health(self, _: web.Request) -> web.Response:
        """By this language servers leave an encoder out: so it is ready, not only alive."""
        return web.Response(text=f"{self._lifecycle.state.value}\n", status=200 if self._lifecycle.ready else 503)

    async def _model_info(self, _: web.Request) -> web.Response:
        return web.json_response(self._about())

    async def _mooncake(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "error", "message": MOONCAKE}, status=501)
