"""What the demo shows of the encoders' metrics."""

import urllib.request
from collections.abc import Iterable

from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from rich.table import Table

STAGES = ("fetch", "inspect", "decode", "preprocess", "forward")
EXCERPT = (
    "encoder_items_total",
    "encoder_cache_hits_total",
    "encoder_served_patches_total",
    "encoder_computed_patches_total",
    "encoder_batch_items_sum",
    "encoder_batch_items_count",
    "encoder_cpu_budget",
    "encoder_weights_loaded_bytes",
)


class Scrape:
    """One reading of `/metrics`.

    Args:
        text: As the encoder serves it.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._families: list[Metric] = list(text_string_to_metric_families(text))

    def value(self, name: str, **labels: str) -> float:
        """Sum of the series `name` that have these labels; 0 where there is none."""
        return sum(
            sample.value
            for family in self._families
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def stages(self) -> list[str]:
        """The stages that have worked, in the order in which an item passes them."""
        seen = {
            sample.labels["stage"]
            for family in self._families
            for sample in family.samples
            if sample.name == "encoder_stage_items_total" and sample.value
        }
        return sorted(seen, key=lambda stage: (STAGES.index(stage.partition("_")[0]), stage))

    def excerpt(self) -> list[str]:
        """The lines of `EXCERPT` with a value, as served."""
        return [
            line
            for line in self._text.splitlines()
            if line.startswith(EXCERPT) and not line.endswith(" 0.0") and not line.startswith("#")
        ]


def scrape(http: str) -> Scrape:
    """Read `/metrics` of the encoder at the URL `http`."""
    with urllib.request.urlopen(f"{http}/metrics", timeout=30) as reply:
        return Scrape(reply.read().decode())


def total(scrapes: Iterable[Scrape], name: str) -> int:
    """Sum of a series over encoders."""
    return round(sum(each.value(name) for each in scrapes))


def stage_table(scrapes: dict[str, Scrape]) -> Table:
    """Where the time went: a row a stage, for every encoder by its name.

    Work includes the wait for a CPU. Some stages have many workers, so the busiest is the one with most for each.
    """
    table = Table("encoder", "stage", box=None, pad_edge=False, header_style="bold")
    for header in ("items", "mean wait ms", "mean work ms", "busy s a worker"):
        table.add_column(header, justify="right")
    for name, each in scrapes.items():
        for stage in each.stages():
            label = {"stage": stage}
            table.add_row(
                name,
                stage,
                f"{each.value('encoder_stage_items_total', **label):.0f}",
                f"{1000 * _mean(each, 'encoder_stage_wait_seconds', label):.1f}",
                f"{1000 * _mean(each, 'encoder_stage_service_seconds', label):.1f}",
                f"{_busy(each, label):.1f}",
            )
            name = ""
    return table


def _busy(each: Scrape, labels: dict[str, str]) -> float:
    workers = each.value("encoder_stage_workers", **labels)
    return each.value("encoder_stage_busy_seconds_total", **labels) / workers if workers else 0.0


def _mean(each: Scrape, name: str, labels: dict[str, str]) -> float:
    count = each.value(f"{name}_count", **labels)
    return each.value(f"{name}_sum", **labels) / count if count else 0.0
