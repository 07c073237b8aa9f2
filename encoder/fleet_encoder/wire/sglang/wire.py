"""The SGLang wire, put together: HTTP in front, ZMQ behind, registration beside; and the order of its end."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from fleet_encoder.config import Config
from fleet_encoder.drain import Lifecycle
from fleet_encoder.families.base import Preparation
from fleet_encoder.metrics import Metrics
from fleet_encoder.pipeline import Pipeline
from fleet_encoder.sources.shares import MemoryShare
from fleet_encoder.wire.sglang.aliases import Aliases
from fleet_encoder.wire.sglang.deliver import Deliveries
from fleet_encoder.wire.sglang.facade import SglangFacade
from fleet_encoder.wire.sglang.items import Items
from fleet_encoder.wire.sglang.push import Push
from fleet_encoder.wire.sglang.quiet import off_lists, quiet_seconds
from fleet_encoder.wire.sglang.receivers import Receivers
from fleet_encoder.wire.sglang.registering import Registration

TIDY_SECONDS = 5.0
LOOK_SECONDS = 0.05
LAST_SHARE = 1 / 3
"""Of the drain time is kept for finishing, where requests do not stop to come."""


class SglangWire:
    """See the module. Used on the event loop.

    Args:
        config: All settings.
        pipeline: Where items go.
        memory: Bytes of bodies that are being read count towards its limit.
        preparation: How their media become features.
        grid_seconds: Seconds of a grid step of video, where the language model wants to know.
        about: What `/model_info` says.
        lifecycle: Ready?
        metrics: Where all is counted.
    """

    def __init__(
        self,
        config: Config,
        pipeline: Pipeline,
        memory: MemoryShare,
        preparation: Preparation,
        grid_seconds: float | None,
        about: Callable[[], dict[str, Any]],
        lifecycle: Lifecycle,
        metrics: Metrics,
    ) -> None:
        self._push = Push(config.sglang_send_seconds)
        self._receivers = Receivers(config.sglang_request_seconds)
        seconds = config.sglang_request_seconds
        self.deliveries = Deliveries(
            Items(pipeline, preparation), self._push, self._receivers, grid_seconds, seconds, metrics
        )
        # As base64, and a little for all else.
        largest = 2 * config.max_pending_bytes
        self._facade = SglangFacade(
            config.sglang_http, self.deliveries, self._receivers, lifecycle, about, memory, largest, seconds, metrics
        )
        if config.sglang_metrics:
            metrics.registry.register(Aliases(metrics, config.model.name))
        self._config = config
        self._about = about
        self._lifecycle = lifecycle
        self._metrics = metrics
        self._registration: Registration | None = None
        self._registering: asyncio.Task[None]
        self.tasks: list[asyncio.Task[None]] = []

    @property
    def address(self) -> str:
        """Where it listens, once started."""
        return self._facade.address

    async def start(self) -> None:
        """Listen, and register where that is asked for.

        Raises:
            OSError: The address cannot be bound.
        """
        await self._facade.start()
        self.tasks = [asyncio.create_task(self._tidy(), name="sglang")]
        if self._config.register:
            port = int(self.address.rpartition(":")[2])
            self._registration = Registration(
                self._config.register, self._config.advertise, port, self._about, self._lifecycle, self._metrics
            )
            self._registering = asyncio.create_task(self._registration.run(), name="registration")
            self.tasks.append(self._registering)

    async def leave(self, seconds: float) -> None:
        """Be taken off the lists, then serve what still comes until nothing does.

        SGLang's client asks no other encoder where one refuses: it fails. So a draining encoder takes requests until
        whoever polls its health has had time to leave it out, and for as long as any come, but for the last part of its
        time.

        Args:
            seconds: For the whole drain.
        """
        began = time.monotonic()
        until = began + seconds * (1 - LAST_SHARE)
        unlisted = False
        if self._registration is not None:
            self._registering.cancel()
            await asyncio.gather(self._registering, return_exceptions=True)
            unlisted = await self._registration.leave(until)
        left = time.monotonic()
        # Others may have it in a list that it was not told of: the operator, or whoever wrote --encoder-urls.
        quiet = quiet_seconds(self.deliveries.arrivals, began, unlisted=unlisted)
        while (now := time.monotonic()) < until:
            off = left if unlisted else off_lists(self._facade.polls, began, now)
            if off is not None and not self._facade.active and now - max(left, off, self.deliveries.last) > quiet:
                return
            await asyncio.sleep(LOOK_SECONDS)

    async def until_delivered(self) -> None:
        """Wait until every request has its answer."""
        while self.deliveries.active:  # noqa: ASYNC110 - each of them ends by a timeout of its own
            await asyncio.sleep(0.01)

    async def stop(self, seconds: float) -> None:
        """Close; what was handed to ZMQ has so long to leave."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self._facade.stop()
        await self._push.stop(seconds)

    async def _tidy(self) -> None:
        while True:
            await asyncio.sleep(TIDY_SECONDS)
            self._push.close_idle()
            self._receivers.forget_old()
