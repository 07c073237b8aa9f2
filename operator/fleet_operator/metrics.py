"""What the operator tells Prometheus of itself and of the pools."""

import time
from collections.abc import Iterable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, Metric

from fleet_operator.observed.mirror import Key

_POOL = ("pool_namespace", "pool")
"""Not `namespace`: a Prometheus puts the operator's own there."""
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """All series.

    Attributes:
        registry: What `/metrics` serves.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.reconcile_seconds = Histogram(
            "encoderfleet_reconcile_seconds", "Time of one visit to a pool.", buckets=_SECONDS, registry=self.registry
        )
        self.reconcile_errors = Counter(
            "encoderfleet_reconcile_errors_total",
            "Visits to a pool that failed and are repeated.",
            registry=self.registry,
        )
        self.queue_depth = Gauge("encoderfleet_queue_pools", "Pools that wait for a visit.", registry=self.registry)
        self.requests = Counter(
            "encoderfleet_api_requests_total",
            "Requests to the API server, by verb, kind and status code (0: no answer).",
            ("verb", "kind", "code"),
            registry=self.registry,
        )
        self.request_seconds = Histogram(
            "encoderfleet_api_request_seconds",
            "Time of a request to the API server.",
            ("verb",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.decisions = Counter(
            "encoderfleet_scaling_decisions_total",
            "Decisions about replicas, by what they were based on and whether they change the number.",
            ("basis", "change"),
            registry=self.registry,
        )
        self.scaling_errors = Counter(
            "encoderfleet_scaling_errors_total",
            "Looks at a pool's load that a defect of the operator ended; its replicas are held.",
            registry=self.registry,
        )
        self.scrapes = Counter(
            "encoderfleet_scrapes_total",
            "Readings of encoders' metrics, by outcome.",
            ("outcome",),
            registry=self.registry,
        )
        self.registry_requests = Counter(
            "encoderfleet_registry_requests_total",
            "Requests to language servers, and to encoders for their model, by what was asked and how it ended.",
            ("request", "outcome"),
            registry=self.registry,
        )
        self.definition_current = Gauge(
            "encoderfleet_definition_current",
            "1 where the EncoderPool definition in the cluster is that of this operator.",
            registry=self.registry,
        )
        self.watch_events = Counter(
            "encoderfleet_watch_events_total", "Events of watches, by kind.", ("kind",), registry=self.registry
        )
        self.missed = Counter(
            "encoderfleet_watch_missed_total",
            "Objects that a watch did not tell of and a comparison found.",
            ("kind",),
            registry=self.registry,
        )
        self.pools = PoolSeries()
        self.watches = WatchAges()
        self.registry.register(self.pools)
        self.registry.register(self.watches)
        ProcessCollector(registry=self.registry)

    def observe_request(self, verb: str, kind: str, code: int, seconds: float) -> None:
        """As `kube.client.Observer`."""
        self.requests.labels(verb, kind, str(code)).inc()
        self.request_seconds.labels(verb).observe(seconds)

    def observe_event(self, kind: str) -> None:
        """An event of a watch has come."""
        self.watch_events.labels(kind).inc()
        self.missed.labels(kind)  # from 0 on, or the first that is missed would be no increase
        self.watches.seen(kind)


class WatchAges:
    """Seconds since the last event of each watch."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}

    def seen(self, kind: str) -> None:
        """An event has come."""
        self._last[kind] = time.monotonic()

    def collect(self) -> Iterable[Metric]:
        """The series."""
        family = GaugeMetricFamily(
            "encoderfleet_watch_age_seconds",
            "Time since the last event of a watch; a quiet cluster has few.",
            labels=["kind"],
        )
        for kind, last in self._last.items():
            family.add_metric([kind], time.monotonic() - last)
        yield family


NEEDED = "needed_replicas"
"""What autoscalers of the cluster follow."""
LOAD = (
    NEEDED,
    "demand_patches_per_second",
    "served_patches_per_second",
    "capacity_patches_per_second",
    "pending_patches",
    "min_replicas",
    "max_replicas",
)
"""Gauges that the autoscaler sets."""

REGISTRATIONS = ("language_servers", "registrations")
"""Gauges of pools with consumers."""

_SERIES = {
    "desired_replicas": "Replicas that shall be (spec.replicas).",
    "ready_replicas": "Replicas that serve.",
    "planned_cpus": "CPUs of a replica as planned, the most of all shapes; the base of its threads.",
    "needed_replicas": "Replicas that the load asks for; autoscalers follow this.",
    "demand_patches_per_second": "Patches asked for, the refused included.",
    "served_patches_per_second": "Patches delivered.",
    "capacity_patches_per_second": "Patches that the ready replicas can encode.",
    "pending_patches": "Patches taken in and not yet answered.",
    "min_replicas": "Fewest replicas that autoscaling may choose (spec.autoscaling.minReplicas).",
    "max_replicas": "Most replicas that autoscaling may choose (spec.autoscaling.maxReplicas).",
    "language_servers": "Language servers of spec.consumers that are ready.",
    "registrations": "Encoders that language servers know of, summed over these.",
}


_CONDITION = {"True": 1.0, "False": 0.0, "Unknown": -1.0}


class PoolSeries:
    """Gauges of each pool, as last set: a pool that is gone has none."""

    def __init__(self) -> None:
        self._values: dict[Key, dict[str, float]] = {}
        self._conditions: dict[Key, tuple[Mapping[str, Any], ...]] = {}

    def set(self, key: Key, **values: float) -> None:
        """Set some gauges of a pool; names are those of `_SERIES`."""
        self._values.setdefault(key, {}).update(values)

    def tell(self, key: Key, conditions: Iterable[Mapping[str, Any]]) -> None:
        """Conditions of a pool, as its status has them: in place of those before."""
        self._conditions[key] = tuple(conditions)

    def unset(self, key: Key, names: Iterable[str]) -> None:
        """Nobody looks at these of a pool any more."""
        for name in names:
            self._values.get(key, {}).pop(name, None)

    def forget(self, key: Key) -> None:
        """The pool is gone."""
        self._values.pop(key, None)
        self._conditions.pop(key, None)

    def collect(self) -> Iterable[Metric]:
        """The series."""
        for name, text in _SERIES.items():
            family: Any = GaugeMetricFamily(f"encoderfleet_pool_{name}", text, labels=_POOL)
            for key, values in self._values.items():
                if name in values:
                    family.add_metric(list(key), values[name])
            yield family
        told: Any = GaugeMetricFamily(
            "encoderfleet_pool_condition",
            "Conditions of the pool: 1 True, 0 False, -1 Unknown.",
            labels=[*_POOL, "condition", "reason"],
        )
        for key, conditions in self._conditions.items():
            for each in conditions:
                told.add_metric([*key, each["type"], each["reason"]], _CONDITION[each["status"]])
        yield told
