"""What is measured by looking now and then: loop lag, CPU slots, throttling, pending work."""

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING

from fleet_encoder import __version__
from fleet_encoder.config import CpuUse
from fleet_encoder.runner.placement import dtype_name
from fleet_machine import throttling

if TYPE_CHECKING:
    from fleet_encoder.service import Service

TICK_SECONDS = 0.05
THROTTLING_SECONDS = 5.0
FLOWS = ("image", "video", "audio", "forward")


class Housekeeping:
    """Fills the gauges of one service."""

    def __init__(self, service: "Service", use: CpuUse) -> None:
        self._service = service
        metrics, config = service.metrics, service.config
        self._metrics = metrics
        self._throttled = (0, 0.0)
        metrics.cpus.set(config.cpus)
        metrics.cpu_slots.set(service.slots.capacity)
        metrics.oversubscription.set(use.oversubscribed)
        metrics.pending_limit.set(config.max_pending_patches)
        metrics.cache_limit.set(config.cache_bytes)
        for name, count in (
            ("preprocess", config.preprocess_workers),
            ("video_decode", use.decoders),
            ("ffmpeg", config.ffmpeg_threads),
            ("intra_op", config.intra_op_threads),
            ("forward", config.forward_threads),
        ):
            metrics.threads.labels(name).set(count)
        self._watch_gauges()

    def _watch_gauges(self) -> None:
        """Read at scrape time."""
        metrics, service = self._metrics, self._service
        metrics.ready.set_function(lambda: float(service.lifecycle.ready))
        metrics.draining.set_function(lambda: float(service.lifecycle.draining))
        metrics.pending_patches.set_function(lambda: service.admission.patches)
        metrics.pending_bytes.set_function(lambda: service.admission.bytes)
        metrics.pending_items.set_function(lambda: service.pipeline.pending)
        metrics.cache_bytes.set_function(lambda: service.cache.size)
        metrics.cache_entries.set_function(lambda: len(service.cache))
        metrics.cpu_held.set_function(lambda: service.slots.held)
        for flow in FLOWS:
            metrics.cpu_waiting.labels(flow).set_function(partial(service.slots.waiting_in, flow))

    def loaded(self, count: int, seconds: float) -> None:
        """The weights were read: what runs here is known."""
        service, config = self._service, self._service.config
        self._metrics.info.info(
            {
                "version": __version__,
                "pool": config.pool,
                "replica": config.replica,
                "model": config.model.name,
                "family": service.family.name,
                "device": service.runner.device.type,
                "dtype": dtype_name(service.runner.dtype),
                "fingerprint": service.runner.fingerprint,
            }
        )
        self._metrics.weights_bytes.set(count)
        self._metrics.weights_seconds.set(seconds)

    async def run(self) -> None:
        """Watch until cancelled."""
        next_throttling = 0.0
        while True:
            due = time.monotonic() + TICK_SECONDS
            await asyncio.sleep(TICK_SECONDS)
            now = time.monotonic()
            self._metrics.loop_lag.observe(max(0.0, now - due))
            self._service.check_pass()
            if now >= next_throttling:
                next_throttling = now + THROTTLING_SECONDS
                await asyncio.to_thread(self._read_throttling)

    def _read_throttling(self) -> None:
        reading = throttling()
        if reading is None:
            return
        periods, seconds = self._throttled
        self._metrics.throttled_periods.inc(max(0, reading.nr_throttled - periods))
        self._metrics.throttled_seconds.inc(max(0.0, reading.throttled_seconds - seconds))
        self._throttled = (reading.nr_throttled, reading.throttled_seconds)
