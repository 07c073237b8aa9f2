"""The HTTP half of the wire that SGLang's language servers speak, in front of the pipeline.

A language server POSTs `/encode` with URLs or base64, and gets the embedding pushed to a ZMQ socket of its own
(`push`); the HTTP answer tells that this has happened, or why not. One encoder serves both of SGLang's ZMQ backends at
once: a request shows which it is from. Source: SGLang 0.5.23, `srt/disaggregation/encoder/`.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import structlog
from aiohttp import web

from fleet_encoder.drain import Lifecycle
from fleet_encoder.errors import Internal, ItemError, TooLarge
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
        metrics: What `/metrics` says.
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
        metrics: Metrics,
    ) -> None:
        self.address = address
        self._deliveries = deliveries
        self._receivers = receivers
        self._lifecycle = lifecycle
        self._about = about
        self._memory = memory
        self._metrics = metrics
        self._failures = Sparse()
        self._max_body_bytes = max_body_bytes
        app = web.Application()
        app.router.add_post("/encode", self._encode)
        app.router.add_post("/scheduler_receive_url", self._receive_url)
        for path in _MOONCAKE_PATHS:
            app.router.add_post(path, self._mooncake)
        for path in ("/health", "/health_generate"):
            app.router.add_get(path, self._health)
        for path in ("/model_info", "/get_model_info"):
            app.router.add_get(path, self._model_info)
        app.router.add_get("/metrics", partial(serve_metrics, metrics))
        # A caller that hangs up cancels its handler, and by that its work.
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, handler_cancellation=True)

    async def start(self) -> None:
        """Bind and serve.

        Raises:
            OSError: The address cannot be bound.
        """
        self.address = await listen(self._runner, self.address)

    async def stop(self) -> None:
        """Close; requests under way end first."""
        await self._runner.cleanup()

    async def _encode(self, request: web.Request) -> web.Response:
        hold = Hold(self._memory)
        req_id = ""
        try:
            body = await self._body(request, hold)
            req_id = str(body.get("req_id", ""))
            wanted = requests.encode_request(body)
            del body
            self._metrics.requests.inc()
            await self._deliveries.serve(wanted)
        except ItemError as error:
            return self._refused(error, req_id)
        except Exception as error:
            log.exception("request failed", request=req_id)
            return self._refused(Internal(f"{type(error).__name__}: see the encoder's log"), req_id)
        finally:
            hold.release()
        return web.json_response(None)

    async def _receive_url(self, request: web.Request) -> web.Response:
        req_id = ""
        try:
            body = await self._body(request, Hold(self._memory))
            req_id = str(body.get("req_id", ""))
            self._receivers.add(requests.receiver(body))
        except ItemError as error:
            return self._refused(error, req_id)
        return web.json_response(None)

    async def _body(self, request: web.Request, hold: Hold) -> dict[str, Any]:
        """The whole body; what is too much is refused before it is read."""
        length = request.content_length or 0
        self._check_length(length)
        hold.cover(length)
        body = bytearray()
        async for piece in request.content.iter_any():  # read() would keep a copy as long as the request lives
            self._check_length(len(body) + len(piece))
            body += piece
            hold.cover(len(body))
        return requests.decode(body)

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

    async def _health(self, _: web.Request) -> web.Response:
        """By this language servers leave an encoder out: so it is ready, not only alive."""
        return web.Response(text=f"{self._lifecycle.state.value}\n", status=200 if self._lifecycle.ready else 503)

    async def _model_info(self, _: web.Request) -> web.Response:
        return web.json_response(self._about())

    async def _mooncake(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "error", "message": MOONCAKE}, status=501)
