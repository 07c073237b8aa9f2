"""Numbers as Grafana writes them in its units. Pure."""

import math
from collections.abc import Sequence

from dashboards.picture.window import STEPS

_THOUSANDS = (1e3, 1e6, 1e9, 1e12)
_BINARY = (2**10, 2**20, 2**30, 2**40)

_SCALES: dict[str, Sequence[tuple[float, str]]] = {
    "none": ((1, ""),),
    "short": ((1, ""), *zip(_THOUSANDS, (" K", " Mil", " Bil", " Tri"), strict=True)),
    "percentunit": ((0.01, "%"),),
    "bytes": ((1, " B"), *zip(_BINARY, (" KiB", " MiB", " GiB", " TiB"), strict=True)),
    "Bps": ((1, " B/s"), *zip(_THOUSANDS, (" kB/s", " MB/s", " GB/s", " TB/s"), strict=True)),
    "ops": ((1, " ops/s"), *zip(_THOUSANDS, ("K ops/s", "M ops/s", "B ops/s", "T ops/s"), strict=True)),
    "reqps": ((1, " req/s"), *zip(_THOUSANDS, ("K req/s", "M req/s", "B req/s", "T req/s"), strict=True)),
    "s": ((1e-9, " ns"), (1e-6, " µs"), (1e-3, " ms"), (1, " s"), (60, " mins"), (3600, " hours"), (86400, " days")),
}
"""From each size on, in ascending order, a number is told in it, with these letters behind it."""

UNITS = frozenset(_SCALES)
"""Those that the dashboards may use."""


def written(value: float, unit: str) -> str:
    """A value in three digits, in whichever size of its unit suits; whole numbers as they are.

    Raises:
        KeyError: The unit is not among `UNITS`.
    """
    scales = _SCALES[unit]
    if value == 0:
        scales = [each for each in scales if each[0] == 1] or scales
    fitting = [each for each in scales if abs(value) >= each[0]]
    size, letters = fitting[-1] if fitting else scales[0]
    return f"{_digits(value / size)}{letters}"


def ticks(low: float, high: float, unit: str, most: int) -> list[float]:
    """Round values for an axis that holds `low` to `high`, at most `most` steps; bytes and minutes are round their way.

    The first is at or below `low`, the last at or above `high`, and 0 is among them if it lies between.
    """
    step = _round_up((high - low) / most, unit)
    return [step * number for number in range(math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9) + 1)]


def _round_up(step: float, unit: str) -> float:
    if unit == "bytes":
        return float(2 ** math.ceil(math.log2(step)))
    if unit == "s" and STEPS[0] <= step <= STEPS[-1]:
        return next(each for each in STEPS if step <= each)
    power = 10.0 ** math.floor(math.log10(step) + 1e-9)
    return power * next(each for each in (1, 2, 2.5, 5, 10) if step / power <= each + 1e-9)


def _digits(value: float) -> str:
    if value == 0:
        return "0"
    if math.isclose(value, round(value), rel_tol=1e-9):
        return str(round(value))
    after = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.{after}f}".rstrip("0").rstrip(".") if after else f"{value:.0f}"
