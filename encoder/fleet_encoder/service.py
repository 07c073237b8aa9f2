"""One encoder, put together: sockets first, then the model, then ready; and the way back."""

import asyncio
import contextlib
import time
from collections.abc import Callable

import structlog
import torch

from fleet_encoder.about import About
from fleet_encoder.admission import Admission
from fleet_encoder.cache import EmbeddingCache
from fleet_encoder.config import Config, CpuUse
from fleet_encoder.drain import Lifecycle
from fleet_encoder.families import served_modalities
from fleet_encoder.families.base import Family
from fleet_encoder.housekeeping import Housekeeping
from fleet_encoder.job import Job
from fleet_encoder.memory import DecodedMemory, decoded_limit
from fleet_encoder.metrics import Metrics
from fleet_encoder.pipeline import Pipeline
from fleet_encoder.runner.placement import dtype_name
from fleet_encoder.runner.runner import Runner
from fleet_encoder.slots import CpuSlots
from fleet_encoder.sources.fetch import Fetcher, SourcePolicy
from fleet_encoder.stages.decode import DecodeAudio, DecodeImage, DecodeVideo
from fleet_encoder.stages.fetch import Fetch
from fleet_encoder.stages.forward import Forward
from fleet_encoder.stages.inspect import Inspect
from fleet_encoder.stages.preprocess import Preprocess
from fleet_encoder.wire.http import HttpFacade
from fleet_encoder.wire.native import NativeWire
from fleet_encoder.wire.sglang.wire import SglangWire
from fleet_encoder.workers import CpuWorkers
from fleet_machine import visible_memory

log = structlog.get_logger()

FRAME_SLACK_BYTES = 1 << 20
"""A frame a little over the media limit is still read: its sender gets TOO_LARGE, not a closed connection."""

MAX_VIDEOS_AT_ONCE = 8
"""In progress: each has up to 16 open decoders, and what more of them would hold is memory, not CPUs."""

MAX_CPU_PASSES = 4
"""Forward passes at a time on CPUs: several of few threads do more than one of many, but each has its activations."""

HUGE = 4.0
"""Passes that a single one is as large as, where it is computed by itself."""

MAX_PASS_SECONDS = 900.0
"""A forward pass that takes longer never ends: the longest ones, over one huge image on a CPU, take a minute or two."""


class Service:
    """One encoder process.

    Args:
        config: All settings.
        use: How the thread settings fit the CPUs.
        family: Of the model.
        runner: Not loaded yet.

    Raises:
        Invalid: The settings do not fit the model.
    """

    def __init__(self, config: Config, use: CpuUse, family: Family, runner: Runner) -> None:
        self.config = config
        self.family = family
        self.runner = runner
        self.metrics = Metrics()
        self.lifecycle = Lifecycle()
        self.modalities = served_modalities(config.modalities, family)
        self.about = About(config, family, runner, self.modalities, self.lifecycle)
        on_gpu = runner.device.type != "cpu"
        # On a GPU the launching thread and the event loop need a CPU of their own; the GPU must never wait for one.
        self.slots = CpuSlots(max(1, use.slots - 1) if on_gpu else use.slots)

        def workers(name: str, count: int, torch_threads: int, slots: CpuSlots = self.slots) -> CpuWorkers:
            waited = self.metrics.cpu_wait
            return CpuWorkers(
                name,
                count,
                slots,
                _torch_threads(torch_threads),
                lambda flow, seconds: waited.labels(flow).observe(seconds),
            )

        self._preprocessing = workers("preprocess", config.preprocess_workers, config.intra_op_threads)
        self._decoding = workers("decode", max(use.decoders, self.slots.capacity), 1)
        self._forwarding = (
            workers("forward", 1, 1, CpuSlots(1))
            if on_gpu
            else workers("forward", min(MAX_CPU_PASSES, config.cpus), config.forward_threads)
        )
        self.admission = Admission(config.max_pending_patches, config.max_pending_bytes)
        self.cache = EmbeddingCache(config.cache_bytes)
        self.fetcher = Fetcher(
            SourcePolicy(
                allowed_domains=config.allowed_domains,
                allow_private_networks=config.allow_private_networks,
                local_root=config.local_root,
                max_bytes=config.media.max_bytes,
            ),
            max_pending_bytes=config.max_pending_bytes,
            admitted_bytes=lambda: self.admission.bytes,
        )
        self.forward = Forward(self.runner.passes, self._forwarding, config.forward_threads, self.metrics)
        self.pipeline = self._pipeline()
        self.wire = NativeWire(
            config.bind, self.pipeline, self.about.welcome, config.media.max_bytes + FRAME_SLACK_BYTES, self.metrics
        )
        self.http = HttpFacade(config.http, self.lifecycle, self.about.model_info, self.metrics)
        self.sglang = self._sglang() if config.sglang_http else None
        self.housekeeping = Housekeeping(self, use)

    def _sglang(self) -> SglangWire:
        return SglangWire(
            self.config,
            self.pipeline,
            self.fetcher.memory,
            self.family.as_sglang(),
            self.family.sglang_grid_seconds,
            self.about.model_info,
            self.lifecycle,
            self.metrics,
        )

    def _pipeline(self) -> Pipeline:
        config, workers = self.config, self._preprocessing
        memory = DecodedMemory(decoded_limit(visible_memory()))
        on_gpu = self.runner.device.type != "cpu"
        preprocess = Preprocess(
            workers,
            self.admission,
            intra_op_threads=config.intra_op_threads,
            device=self.runner.device,
        )
        video = DecodeVideo(
            self._decoding,
            memory,
            self.admission,
            decoders=config.video_decode_threads,
            ffmpeg_threads=config.ffmpeg_threads,
            on_gpu=on_gpu,
        )
        return Pipeline(
            modalities=self.modalities,
            fetch=Fetch(self.fetcher, self.admission),
            preparation=self.family,
            inspect=Inspect(lambda: self.runner.fingerprint, config.media, self.admission, workers, self.metrics),
            decode={
                "image": (DecodeImage(workers, memory, self.admission), config.preprocess_workers),
                "video": (video, max(2, min(self.slots.capacity, MAX_VIDEOS_AT_ONCE))),
                "audio": (DecodeAudio(workers, memory, self.admission), config.preprocess_workers),
            },
            preprocess=dict.fromkeys(("image", "video", "audio"), (preprocess, config.preprocess_workers)),
            forward=(self.forward, self._forwarding.workers),
            max_wait=config.batch_max_wait,
            batch_cost=self._batch_cost,
            is_long=self._is_long,
            admission=self.admission,
            cache=self.cache,
            lifecycle=self.lifecycle,
            metrics=self.metrics,
        )

    def _batch_cost(self, job: Job) -> float:
        """Part of a batch that a preprocessed job fills, by `spec.batching.maxPatches` and by what a pass holds."""
        assert job.features is not None
        share = self.family.pass_share(job.features, self.runner.device)
        return max(share, job.features.patches / self.config.batch_max_patches)

    def _is_long(self, job: Job) -> bool:
        """Several passes, or a pass so large that two of them side by side may be too much memory."""
        assert job.features is not None
        features, device = job.features, self.runner.device
        return self.family.pass_count(features, device) > 1 or self.family.pass_share(features, device) > HUGE

    def check_pass(self) -> None:
        """Called now and then: a forward pass that never ends makes the encoder broken, which a restart mends."""
        if self.forward.pass_seconds > MAX_PASS_SECONDS and not self.pipeline.broken.is_set():
            log.error("a forward pass does not end", seconds=round(self.forward.pass_seconds))
            self.pipeline.broken.set()

    async def run(self, stop: asyncio.Event) -> int:
        """Serve until `stop` is set, then drain.

        Returns:
            The exit code: 0 after a drain, 1 where something broke that only a restart mends.

        Raises:
            OSError: The HTTP address cannot be bound.
        """
        await self.http.start()
        if self.sglang is not None:
            await self.sglang.start()
        async with self.fetcher:
            self.pipeline.start()
            self.wire.start()
            about = {} if self.sglang is None else {"sglang": f"http://{self.sglang.address}"}
            log.info("listening", endpoint=self.wire.endpoint, http=f"http://{self.http.address}", **about)
            watching = asyncio.create_task(self.housekeeping.run())
            draining_until = 0.0
            try:
                healthy = await self._until_stopped(stop, watching)
                draining_until = time.monotonic() + (self.config.drain_seconds if healthy else 0)
                await self._drain(draining_until)
                return 0 if healthy else 1
            finally:
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
                if self.sglang is not None:
                    await self.sglang.stop(max(1.0, draining_until - time.monotonic()))
                await self.wire.stop(draining_until - time.monotonic())
                await self.pipeline.stop()
                await self.http.stop()
                for workers in (self._preprocessing, self._decoding, self._forwarding):
                    workers.close()

    async def _load(self) -> None:
        """Weights and the first forward passes."""
        loaded = await self._forwarding.run("forward", self.slots.capacity, self.runner.load)
        self.lifecycle.loaded = True
        self.housekeeping.loaded(loaded.bytes, loaded.seconds)
        log.info(
            "weights read",
            megabytes=round(loaded.bytes / 1e6, 1),
            seconds=round(loaded.seconds, 2),
            dtype=dtype_name(self.runner.dtype),
            device=str(self.runner.device),
        )
        started = time.monotonic()
        await self._forwarding.run("forward", self.slots.capacity, self.runner.warm_up)
        self.lifecycle.warmed_up()
        log.info("ready", warm_up_seconds=round(time.monotonic() - started, 2), modalities=list(self.modalities))

    async def _until_stopped(self, stop: asyncio.Event, watching: "asyncio.Task[None]") -> bool:
        """Load, then wait for `stop`. False where a task that must not end did, or forward passes fail and fail."""
        stopped = asyncio.create_task(stop.wait())
        broken = asyncio.create_task(self.pipeline.broken.wait())
        loading = asyncio.create_task(self._load())
        sglang = [] if self.sglang is None else self.sglang.tasks
        forever = [stopped, broken, watching, *self.wire.tasks, *sglang, *self.pipeline.tasks]
        try:
            done, _ = await asyncio.wait([loading, *forever], return_when=asyncio.FIRST_COMPLETED)
            if done == {loading}:
                await loading
                done, _ = await asyncio.wait(forever, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for waiting in (stopped, broken, loading):
                waiting.cancel()
        if stopped in done:
            return True
        for task in done - {broken, loading}:
            log.error("task ended", task=task.get_name(), error=repr(task.exception()))
        if broken in done:
            log.error("every forward pass fails: leaving, so that a restart can mend it")
        return False

    async def _finish(self) -> None:
        await self.pipeline.until_idle()
        await self.wire.until_sent()
        if self.sglang is not None:
            await self.sglang.until_delivered()

    async def _drain(self, until: float) -> None:
        """Take nothing new, finish what is here, until `time.monotonic()` is `until`."""
        self.lifecycle.drain()
        started = time.monotonic()
        seconds = max(0.0, until - started)
        log.info("draining", items=self.pipeline.pending, seconds=round(seconds, 2))
        self.wire.announce_drain()
        if self.sglang is not None:
            await self.sglang.leave(seconds)
        self.lifecycle.closed = True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._finish(), until - time.monotonic())
        left = self.pipeline.pending
        self.pipeline.abandon()
        await asyncio.sleep(0)  # the replies of abandoned items are sent by callbacks
        log.info("drained", unfinished=left, seconds=round(time.monotonic() - started, 2))


def _torch_threads(count: int) -> Callable[[], None]:
    """Initializer of a worker thread: torch's intra-op threads are a property of the calling thread."""

    def initialize() -> None:
        torch.ones(1 << 16).sum()  # OpenMP takes the process-wide number at first use: let that pass
        torch.set_num_threads(count)

    return initialize
