"""Numbers of a benchmark, pure: percentiles, medians over rounds, ratios, targets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

import numpy as np


def percentile(values: Sequence[float], q: float) -> float:
    """The smallest value that at least `q` percent of `values` do not exceed: one that was really measured.

    Raises:
        ValueError: There are no values.
    """
    if not values:
        raise ValueError("no value was measured: make the run longer")
    return float(np.percentile(values, q, method="inverted_cdf"))


def summarise(latencies_ms: Sequence[float], counted: int, seconds: float) -> dict[str, float]:
    """Rate of the `counted` requests that ended within `seconds`, and the spread of all latencies."""
    return {
        "count": counted,
        "per_second": counted / seconds,
        "p50_ms": percentile(latencies_ms, 50),
        "p99_ms": percentile(latencies_ms, 99),
        "max_ms": max(latencies_ms),
    }


def medians(rounds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Median of each value over the rounds that have it."""
    keys = dict.fromkeys(key for each in rounds for key in each)
    return {key: median(each[key] for each in rounds if key in each) for key in keys}


def undisturbed(rounds: Sequence[Mapping[str, float]], limit: float) -> list[Mapping[str, float]]:
    """The rounds beside which at most `limit` CPUs did other work; all of them where there is no such round."""
    return [each for each in rounds if each["cpus_others"] <= limit] or list(rounds)


@dataclass(frozen=True, slots=True)
class Target:
    """One number that is to be reached.

    Attributes:
        name: What it is.
        value: Measured.
        bound: `least`: the value must be at least the limit; `below`: under it; `most`: at most it.
        limit: The limit.
        unit: Of both, for the reader.
    """

    name: str
    value: float
    bound: Literal["least", "below", "most"]
    limit: float
    unit: str = ""

    @property
    def met(self) -> bool:
        """Whether it is reached."""
        if self.bound == "least":
            return self.value >= self.limit
        return self.value < self.limit if self.bound == "below" else self.value <= self.limit


def targets(today: Mapping[str, Mapping[str, float]], ours: Mapping[str, Mapping[str, float]]) -> list[Target]:
    """What the pipeline is to reach, from the medians of both systems by scenario."""
    alone = ours["images_alone"]["p99_ms"]
    return [
        Target(
            "throughput against today's way",
            ours["throughput"]["per_second"] / today["throughput"]["per_second"],
            "least",
            2.0,
            "x",
        ),
        Target("event-loop lag p99 while videos decode", ours["lag_beside_videos"]["p99_ms"], "below", 10.0, "ms"),
        Target(
            "image p99 beside a slow URL against alone",
            ours["images_beside_slow_url"]["p99_ms"] / alone,
            "most",
            1.3,
            "x",
        ),
    ]
