"""`docs/operate.md` has every series of the operator, every kind of object that it makes, and its variables."""

import re

from click import Option

from documenting.pages import check_part, page
from fleet_operator.__main__ import main
from fleet_operator.kube.resources import CHILDREN
from fleet_operator.metrics import REGISTRATIONS, Metrics
from fleet_operator.observed.mirror import Key
from fleet_operator.reconcile.desired import FULL_SINCE
from fleet_operator.reconcile.drift import APPLIED
from fleet_operator.specs.names import DELETION_COST, PLAN_ANNOTATION, POOL_LABEL, SHAPE_LABEL

POOL = ("desired_replicas", "ready_replicas", "planned_cpus", "needed_replicas", "demand_patches_per_second")
POOL += (
    "served_patches_per_second",
    "capacity_patches_per_second",
    "pending_patches",
    "min_replicas",
    "max_replicas",
    *REGISTRATIONS,
)


def everything() -> Metrics:
    """Of an operator that has seen everything once."""
    metrics = Metrics()
    metrics.observe_request("get", "Pod", 200, 0.1)
    metrics.observe_event("Pod")
    metrics.decisions.labels("load", "up").inc()
    metrics.scrapes.labels("ok").inc()
    metrics.registry_requests.labels("list", "ok").inc()
    metrics.missed.labels("Pod").inc()
    metrics.pools.set(Key("media", "vision"), **dict.fromkeys(POOL, 1.0))
    metrics.pools.tell(Key("media", "vision"), [{"type": "Ready", "status": "True", "reason": "Ready"}])
    return metrics


def series() -> str:
    """The table of all series."""
    lines = ["| series | type | labels | what it says |", "|---|---|---|---|"]
    for family in sorted(everything().registry.collect(), key=lambda each: each.name):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        assert family.samples, f"{name} is not among those that this test makes"
        labels = dict.fromkeys(label for sample in family.samples for label in sample.labels if label != "le")
        lines.append(f"| `{name}` | {family.type} | {', '.join(labels)} | {family.documentation} |")
    return "\n".join(lines)


def test_the_page_has_every_series() -> None:
    check_part("operate.md", "series", series())


def test_queries_ask_for_series_that_there_are() -> None:
    asked = set(re.findall(r"\b(encoderfleet_\w+)", page("operate.md")))
    there = set(re.findall(r"`(encoderfleet_\w+)`", series()))
    there |= {f"{name}_{part}" for name in there for part in ("bucket", "count", "sum")}
    assert asked - there == set()


def test_the_page_has_every_kind_that_a_pool_may_own() -> None:
    rows = re.findall(r"^\| ([A-Z]\w+) \|", page("operate.md"), re.MULTILINE)
    assert set(CHILDREN) <= set(rows)


def test_the_page_has_every_annotation_and_label() -> None:
    for name in (PLAN_ANNOTATION, APPLIED, FULL_SINCE, DELETION_COST, POOL_LABEL, SHAPE_LABEL):
        assert f"`{name}`" in page("operate.md")


def test_the_page_has_every_variable_of_the_operator() -> None:
    options = [each for each in main.params if isinstance(each, Option)]
    made = {str(each.envvar) for each in options if each.envvar}
    assert set(re.findall(r"`(ENCODERFLEET_\w+)`", page("operate.md"))) == made
