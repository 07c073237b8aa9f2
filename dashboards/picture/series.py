"""What Prometheus answers, as plain values."""

from collections.abc import Mapping
from typing import NamedTuple


class Series(NamedTuple):
    """A series of an answer.

    Attributes:
        labels: By name, the metric's own under `__name__`.
        points: Time, in seconds since 1970, and value; one alone for what is so now.
    """

    labels: Mapping[str, str]
    points: tuple[tuple[float, float], ...]

    @property
    def last(self) -> float:
        """The last value; it is NaN where the answer says so."""
        return self.points[-1][1]
