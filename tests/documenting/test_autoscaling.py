"""Examples of `docs/autoscaling.md` are what the code decides and makes."""

from typing import Any

import pytest
import yaml

from documenting.pages import check_part
from fleet_operator.api import EncoderPool
from fleet_operator.api.scaling import Autoscaling
from fleet_operator.autoscale.behavior import DOWN_POLICIES, DOWN_WINDOW_SECONDS, UP_POLICIES, UP_WINDOW_SECONDS
from fleet_operator.autoscale.capacity import Capacity, Recent
from fleet_operator.autoscale.decide import recommend
from fleet_operator.autoscale.loads import PodLoad, PoolLoad
from fleet_operator.autoscale.pods import deletion_costs
from fleet_operator.specs.autoscalers import horizontal_autoscaler, scaled_object
from planning.pools import a_pool

KNOWN = Capacity(per_replica=9_000, strength=1.0)
CACHED = Capacity(per_replica=9_000, strength=1.0, recent=Recent(pods=2, busy=1.0, computed=4_000, served=8_000))


def load(pods: int, offered: float, busy: float, pending: float = 0.0) -> PoolLoad:
    """Of `pods` alike; `busy` is the share of each."""
    served = min(offered, pods * 9_000)
    return PoolLoad(pods, offered, served, served, pending, busy * pods, 0.0, busy * pods)


CASES: tuple[tuple[str, int, int, PoolLoad, Capacity, float], ...] = (
    ("Within 10 percent of right", 2, 2, load(2, 13_000, 0.72), KNOWN, 0),
    ("Twice the load that they can take", 2, 2, load(2, 36_000, 1.0), KNOWN, 0),
    ("The same, and a backlog of 90,000 patches", 2, 2, load(2, 36_000, 1.0, 90_000), KNOWN, 0),
    ("Half of the patches come from the cache", 2, 2, load(2, 20_000, 0.9), CACHED, 0),
    ("Little to do", 6, 6, load(6, 9_000, 0.17), KNOWN, 0),
    ("One of three does not answer", 3, 3, load(2, 18_000, 1.0), KNOWN, 0),
    ("Full, and nobody knows yet what a replica can do", 2, 2, load(2, 20_000, 1.0, 5_000), Capacity(), 0),
    ("Nobody tells anything", 2, 2, load(0, 0, 0.0), KNOWN, 60),
    ("Nobody has for ten minutes, `fallback.replicas` is 4", 2, 2, load(0, 0, 0.0), KNOWN, 600),
)


def decisions() -> str:
    lines = ["| situation | replicas | what the status says |", "|---|---|---|"]
    for situation, current, ready, found, capacity, silent in CASES:
        spec = Autoscaling.model_validate({"fallback": {"replicas": 4}} if silent == 600 else {})
        made = recommend(
            spec,
            current=current,
            ready=ready,
            load=found,
            capacity=capacity,
            answered=found.pods,
            silent_seconds=silent,
        )
        lines.append(f"| {situation} | {current} to {made.replicas} | `{made.reason}` |")
    return "\n".join(lines)


def as_yaml(value: Any) -> str:
    return f"```yaml\n{yaml.safe_dump(value, sort_keys=False, width=120)}```"


def in_media(**spec: Any) -> EncoderPool:
    pool = a_pool(**spec)
    return pool.model_copy(update={"metadata": pool.metadata.model_copy(update={"namespace": "media"})})


def external_metric() -> str:
    (metric,) = horizontal_autoscaler(in_media(), "")["spec"]["metrics"]
    return as_yaml({"metrics": [metric]})


def trigger() -> str:
    scaling = {"mode": "Auto", "backend": "KEDA", "prometheusAddress": "http://prometheus.monitoring:9090"}
    return as_yaml({"triggers": scaled_object(in_media(autoscaling=scaling), "")["spec"]["triggers"]})


def costs() -> str:
    def pod(busy: float, **how: bool) -> PodLoad:
        return PodLoad(0, 0, 0, 0, busy, 0.0, **how)

    pods = {"drains": pod(0.9, draining=True), "is not ready": pod(0.0, ready=False), "is idle": pod(0.0)}
    pods |= {"is half busy": pod(0.5), "is busy": pod(1.0)}
    rows = [f"| {name} | {cost} |" for name, cost in deletion_costs(pods, {}).items()]
    return "\n".join(["| a pod that | costs |", "|---|---|", *rows])


def speeds() -> str:
    def policies(some: Any) -> str:
        words = {"Pods": "{0.value} replicas", "Percent": "{0.value} %"}
        return ", or ".join(f"{words[each.type].format(each)} in {each.period_seconds} s" for each in some)

    rows = [f"| up | {UP_WINDOW_SECONDS} s | {policies(UP_POLICIES)}, whichever is more |"]
    rows += [f"| down | {DOWN_WINDOW_SECONDS} s | {policies(DOWN_POLICIES)} |"]
    return "\n".join(["| direction | window | at most |", "|---|---|---|", *rows])


@pytest.mark.parametrize(
    ("part", "made"),
    [
        ("decisions", decisions()),
        ("external metric", external_metric()),
        ("trigger", trigger()),
        ("costs", costs()),
        ("speeds", speeds()),
    ],
)
def test_a_part_is_as_made(part: str, made: str) -> None:
    check_part("autoscaling.md", part, made)
