"""`sglang:encoder_*`: the names that dashboards made for SGLang's own encoder ask for, filled from our series.

A series of ours is told again under the other name, with the labels that SGLang's has. Buckets are ours. Where SGLang
counts by modality and we do not, the modality is `all`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from fleet_encoder.metrics import Metrics

Labels = dict[str, str]
Relabel = Callable[[Labels], Labels | None]
"""Ours to SGLang's; None where the sample has no part in it."""

MEBIBYTE = 1 << 20


def _by_modality(labels: Labels) -> Labels:
    return {"modality": labels.pop("modality", "all"), **labels}


def _stage(prefix: str) -> Relabel:
    """Of the stages whose names start so; what follows the prefix is a modality, as in `preprocess_image`."""

    def relabel(labels: Labels) -> Labels | None:
        stage = labels.pop("stage", "")
        if stage != prefix and not stage.startswith(prefix + "_"):
            return None
        rest = stage.removeprefix(prefix).removeprefix("_")
        return {"modality": rest if rest in ("image", "video", "audio") else "all", **labels}

    return relabel


def _plain(labels: Labels) -> Labels:
    return labels


@dataclass(frozen=True, slots=True)
class Alias:
    """One series of SGLang's.

    Attributes:
        name: Without the prefix `sglang:encoder_`, and without `_total`.
        ours: What fills it; where they are several, their sum.
        relabel: Of each sample.
        scale: Of each value.
    """

    name: str
    ours: MetricWrapperBase | tuple[MetricWrapperBase, ...]
    relabel: Relabel = _by_modality
    scale: float = 1.0


def aliases(metrics: Metrics) -> tuple[Alias, ...]:
    """All that SGLang's encoder tells and we know."""
    return (
        Alias("requests_received", metrics.sglang_received),
        Alias("requests", metrics.sglang_requests),
        Alias("mm_items_per_request", metrics.sglang_request_items),
        Alias("mm_items_per_batch", metrics.batch_items),
        Alias("request_e2e_latency_seconds", metrics.sglang_request_seconds),
        Alias("queue_wait_seconds", metrics.stage_wait, _stage("forward")),
        Alias("preprocess_seconds", metrics.stage_service, _stage("preprocess")),
        Alias("model_forward_seconds", metrics.stage_service, _stage("forward")),
        Alias("transfer_seconds", metrics.sglang_delivery_seconds, lambda labels: {"backend": "zmq", **labels}),
        Alias("cache_size_mb", metrics.cache_bytes, _plain, 1 / MEBIBYTE),
        Alias("cache_entries", metrics.cache_entries, _plain),
        Alias("cache_hit_files", metrics.cache_hits),
        Alias("cache_total_files", (metrics.cache_hits, metrics.cache_misses)),
    )


class Aliases(Collector):
    """Tells our series under SGLang's names.

    Args:
        metrics: Ours.
        model: SGLang's label `model_name`.
    """

    def __init__(self, metrics: Metrics, model: str) -> None:
        self._aliases = aliases(metrics)
        self._common = {"model_name": model, "dp_rank": "0"}

    def describe(self) -> Iterator[Metric]:
        """Names only: `/metrics?name[]=` finds a series by them."""
        return self._told(MetricWrapperBase.describe)

    def collect(self) -> Iterator[Metric]:
        """All of SGLang's series."""
        return self._told(MetricWrapperBase.collect)

    def _told(self, read: Callable[[MetricWrapperBase], Iterable[Metric]]) -> Iterator[Metric]:
        for alias in self._aliases:
            several = alias.ours if isinstance(alias.ours, tuple) else (alias.ours,)
            yield renamed([metric for each in several for metric in read(each)], alias, self._common)


def renamed(ours: Sequence[Metric], alias: Alias, common: Labels) -> Metric:
    """The metric of SGLang's that `alias` makes of ours; samples of the same labels are added up."""
    name = f"sglang:encoder_{alias.name}"
    sums: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
    for metric in ours:
        for sample in metric.samples:
            labels = alias.relabel(dict(sample.labels))
            if labels is None or sample.name.endswith("_created"):
                continue
            key = name + sample.name.removeprefix(metric.name), tuple(sorted({**common, **labels}.items()))
            sums[key] = sums.get(key, 0.0) + sample.value * alias.scale
    result = Metric(name, f"As {' and '.join(metric.name for metric in ours)}.", ours[0].type)
    result.samples = [Sample(each, dict(labels), value) for (each, labels), value in sums.items()]
    return result
