"""Which time a picture shows, and how finely it is asked for. Pure."""

import math
from typing import NamedTuple

POINTS = 500
"""At most, of a series: about a pixel each."""
STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
"""Distances in seconds between times that people like to read."""


class Window(NamedTuple):
    """A stretch of time.

    Attributes:
        start: Seconds since 1970; a multiple of `step`.
        end: As `start`.
        step: Seconds between two values of a series.
        rate_interval: Seconds over which a counter's growth is taken.
    """

    start: int
    end: int
    step: int
    rate_interval: int

    @property
    def times(self) -> range:
        """Those of the values."""
        return range(self.start, self.end + 1, self.step)

    @property
    def durations(self) -> dict[str, str]:
        """What Grafana puts in for its own variables."""
        whole = self.end - self.start
        return {"__rate_interval": f"{self.rate_interval}s", "__interval": f"{self.step}s", "__range": f"{whole}s"}


def window(until: float, minutes: float, scrape_interval: int) -> Window:
    """The time up to `until`, as finely as is of use.

    As with Grafana, a rate is taken over four scrapes, or over one more than lie between two values.

    Args:
        until: Seconds since 1970.
        minutes: How long.
        scrape_interval: Seconds between two scrapes.
    """
    step = max(scrape_interval, math.ceil(minutes * 60 / POINTS))
    end = math.floor(until / step) * step
    count = max(1, round(minutes * 60 / step))
    return Window(end - count * step, end, step, max(4 * scrape_interval, step + scrape_interval))


def marks(shown: Window, most: int) -> tuple[list[int], bool]:
    """At most `most` round times to be written below a graph, and whether they want seconds."""
    whole = shown.end - shown.start
    distance = next((each for each in STEPS if whole / each <= most), STEPS[-1])
    first = math.ceil(shown.start / distance) * distance
    return list(range(first, shown.end + 1, distance)), distance < 60
