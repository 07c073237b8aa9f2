"""Numbers as people read them, and few enough of them that a status does not change with every sample."""

from math import floor, log10


def two_digits(value: float) -> int:
    """`value`, not negative, to two significant digits."""
    if value < 100:
        return round(value)
    unit: int = 10 ** (floor(log10(value)) - 1)
    return round(value / unit) * unit


def short(value: float) -> str:
    """As `two_digits`, like 950, 1.2k or 14M."""
    rounded = two_digits(value)
    for unit, letter in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if rounded >= unit:
            return f"{rounded / unit:g}{letter}"
    return str(rounded)


def counted(count: int, noun: str) -> str:
    """`1 replica`, `2 replicas`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
