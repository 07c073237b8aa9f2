"""What an encoder exports. Base units, HELP on all, few labels; the prefix is `encoder_`.

What any process has, such as its memory, is `process_`.

One `Metrics` a process, on a registry of its own, so that tests may have several.
"""

import threading
import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector

from fleet_client.protocol import Status

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 180)
LAG_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1)
BATCH_PATCHES = (256, 1024, 2048, 4096, 8192, 16384, 32768, 65536)
BUSY_WINDOW_SECONDS = 10.0


class StageMetrics:
    """Series of one stage; made by `Metrics.stage`."""

    def __init__(self, metrics: "Metrics", name: str) -> None:
        self.wait = metrics.stage_wait.labels(name)
        self._service = metrics.stage_service.labels(name)
        self._busy_seconds = metrics.stage_busy.labels(name)
        self._depth = metrics.stage_depth.labels(name)
        self._workers = metrics.stage_workers.labels(name)
        self._items = metrics.stage_items.labels(name)
        self._patches = metrics.stage_patches.labels(name)
        self._worker_count = 1
        self._lock = threading.Lock()  # a scrape runs in a thread of its own
        self._running = 0
        self._busy = 0.0
        self._counted = 0.0
        self._changed = time.monotonic()
        self._windows = (self._changed, 0.0)
        metrics.stage_ratio.labels(name).set_function(self._ratio)

    def watch(self, depth: Callable[[], int], workers: int) -> None:
        """Read the queue's depth at scrape time."""
        self._depth.set_function(depth)
        self._workers.set(workers)
        self._worker_count = workers

    def started(self) -> None:
        """A worker begins."""
        with self._lock:
            self._advance()
            self._running += 1

    def finished(self, seconds: float, items: int, patches: int) -> None:
        """A worker is done with `items` after `seconds`."""
        with self._lock:
            self._advance()
            self._running -= 1
        self._service.observe(seconds)
        self._items.inc(items)
        self._patches.inc(patches)

    def _advance(self) -> None:
        now = time.monotonic()
        self._busy += self._running * (now - self._changed)
        self._changed = now
        if self._busy > self._counted:
            self._busy_seconds.inc(self._busy - self._counted)
            self._counted = self._busy

    def _ratio(self) -> float:
        """Share of worker time spent working since the last window began, at most two windows ago."""
        with self._lock:
            self._advance()
            began, busy_then = self._windows
            elapsed = max(self._changed - began, 1e-9)
            ratio = (self._busy - busy_then) / elapsed / self._worker_count
            if elapsed > BUSY_WINDOW_SECONDS:
                self._windows = (self._changed, self._busy)
            return min(1.0, ratio)


class Metrics:
    """All series of one encoder."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"encoder_{name}", text, labels, registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"encoder_{name}", text, labels, registry=registry)

        def histogram(name: str, text: str, *labels: str, buckets: tuple[float, ...] = SECONDS) -> Histogram:
            return Histogram(f"encoder_{name}", text, labels, registry=registry, buckets=buckets)

        ProcessCollector(registry=registry)
        self.info = Info("encoder_build", "Program, model and device of this encoder.", registry=registry)
        self.ready = gauge("ready", "1 after warm-up and before draining.")
        self.draining = gauge("draining", "1 while the encoder finishes its work and takes nothing new.")

        self.stage_depth = gauge("stage_queue_depth", "Items that wait for a worker of the stage.", "stage")
        self.stage_workers = gauge("stage_workers", "Workers of the stage.", "stage")
        self.stage_wait = histogram("stage_wait_seconds", "Time an item waits for a worker of the stage.", "stage")
        self.stage_service = histogram("stage_service_seconds", "Time a worker takes for an item or batch.", "stage")
        self.stage_busy = counter(
            "stage_busy_seconds_total", "Worker time spent working, summed over workers.", "stage"
        )
        self.stage_ratio = gauge("stage_busy_ratio", "Share of the stage's worker time spent working of late.", "stage")
        self.stage_items = counter("stage_items_total", "Items that went through the stage.", "stage")
        self.stage_patches = counter("stage_patches_total", "Patches or frames that went through the stage.", "stage")

        self.offered = counter(
            "offered_patches_total", "Patches or frames asked for, the rejected included.", "modality"
        )
        self.served = counter("served_patches_total", "Patches or frames delivered, the cached included.", "modality")
        self.computed = counter(
            "computed_patches_total", "Patches or frames that went through a forward pass.", "modality"
        )
        self.requests = counter("requests_total", "Requests received.")
        self.items = counter("items_total", "Items answered, by how they ended.", "modality", "status")
        self.rejected = counter("rejected_items_total", "Items refused or dropped, by reason.", "reason")
        for status in Status:
            if status != Status.OK:
                self.rejected.labels(status.value.lower())  # from 0 on, or the first of a reason would be no increase
        self.latency = histogram("item_seconds", "Time from an item's arrival to its reply.", "modality")
        self.pending_patches = gauge("pending_patches", "Patches or frames admitted and not yet answered.")
        self.pending_bytes = gauge("pending_bytes", "Media bytes admitted and not yet answered.")
        self.pending_items = gauge("pending_items", "Items admitted and not yet answered.")
        self.pending_limit = gauge("pending_patches_limit", "Admission limit (spec.admission.maxPendingPatches).")

        self.batch_items = histogram("batch_items", "Items in one forward pass.", buckets=(1, 2, 4, 8, 16, 32, 64))
        self.batch_patches = histogram("batch_patches", "Patches in one forward pass.", buckets=BATCH_PATCHES)

        self.cache_hits = counter("cache_hits_total", "Items answered from the cache.")
        self.cache_misses = counter("cache_misses_total", "Items that were not in the cache.")
        self.cache_joined = counter("cache_joined_total", "Items that joined an identical one in flight.")
        self.cache_bytes = gauge("cache_bytes", "Bytes of embeddings kept.")
        self.cache_entries = gauge("cache_entries", "Embeddings kept.")
        self.cache_limit = gauge("cache_limit_bytes", "Most bytes of embeddings that are kept (spec.cache.size).")

        self.cpus = gauge("cpu_budget", "CPUs that this encoder plans with.")
        self.cpu_slots = gauge(
            "cpu_slots", "CPU slots: more than the CPUs only where a setting made by hand asks for it."
        )
        self.cpu_held = gauge("cpu_slots_held", "CPU slots that decode, preprocessing and forward hold now.")
        self.cpu_waiting = gauge("cpu_slots_waiting", "Steps of work that wait for a CPU slot.", "flow")
        self.cpu_wait = histogram("cpu_slot_wait_seconds", "Time a step of work waits for its CPU slots.", "flow")
        self.oversubscription = gauge(
            "cpu_oversubscription_ratio",
            "Threads that settings made by hand ask for, over CPUs; 1 is within the budget.",
        )
        self.threads = gauge("threads", "Threads by use, as configured.", "use")
        self.throttled_periods = counter(
            "cpu_throttled_periods_total", "Scheduler periods in which the cgroup was throttled."
        )
        self.throttled_seconds = counter("cpu_throttled_seconds_total", "Time for which the cgroup was throttled.")
        self.loop_lag = histogram(
            "event_loop_lag_seconds", "How late the event loop runs a timer.", buckets=LAG_SECONDS
        )

        self.weights_bytes = gauge("weights_loaded_bytes", "Bytes of weights read at start.")
        self.weights_seconds = gauge("weights_load_seconds", "Time that reading the weights took.")
        self.received_bytes = counter("received_bytes_total", "Media bytes received or fetched.", "modality")
        self.sent_bytes = counter("sent_bytes_total", "Embedding bytes sent.")
        self.wire_errors = counter("wire_errors_total", "Messages that could not be understood.")
        self.clients = gauge("clients", "Clients with work here.")
        self.clients_gone = counter("clients_gone_total", "Clients that left while they had work here.")

        self.sglang_received = counter(
            "sglang_requests_received_total", "Requests of SGLang's language servers received.", "modality"
        )
        self.sglang_requests = counter(
            "sglang_requests_total", "Requests of SGLang's language servers answered: success or error.",
            "modality", "status",
        )  # fmt: skip
        self.sglang_request_items = histogram(
            "sglang_request_items", "Items in one request of a language server.", "modality",
            buckets=(1, 2, 4, 8, 16, 32, 64),
        )  # fmt: skip
        self.sglang_request_seconds = histogram(
            "sglang_request_seconds", "Time from a language server's request to its answer.", "modality"
        )
        self.sglang_delivery_seconds = histogram(
            "sglang_delivery_seconds", "Time to hand an embedding to the language server's connection."
        )
        self.sglang_registered = gauge("sglang_registered", "Language servers that have this encoder in their list.")

    def stage(self, name: str) -> StageMetrics:
        """Series of the stage `name`."""
        return StageMetrics(self, name)
