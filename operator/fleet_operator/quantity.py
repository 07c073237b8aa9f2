"""Kubernetes quantities: `500m`, `1.5`, `256Mi`, `1e9`. Exact: no float ever touches one.

The grammar is apimachinery's: a number, then at most one of

* a binary suffix, Ki Mi Gi Ti Pi Ei: powers of 1024,
* a decimal suffix, n u m k M G T P E: powers of 1000,
* an exponent, `e3` or `E3`: powers of 10.

Stricter than it in two points, as silently changing a number helps nobody: what is finer than `1n` or over 2^63 - 1 is
refused here, where apimachinery rounds and caps.
"""

import json
import re
from decimal import Context, Decimal, Inexact
from typing import Any

MAX = Decimal(2**63 - 1)
FINEST = Decimal("1e-9")

PATTERN = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?$"
"""The grammar, for a schema."""

_MAX_LENGTH = 64
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_EXACT = Context(prec=_MAX_LENGTH + 24, traps=[Inexact])


class QuantityError(ValueError):
    """Not a quantity, or not one that can be kept exactly; the message says why."""


def parse_quantity(text: str) -> Decimal:
    """The value of a quantity.

    Raises:
        QuantityError: Not of the grammar, finer than 1n, or over 2^63 - 1.
    """
    match = re.fullmatch(PATTERN, text, re.ASCII) if len(text) <= _MAX_LENGTH else None
    if match is None:
        raise QuantityError(f"{_shorten(text)} is not a quantity such as 4, 500m, 256Mi or 1.5Gi")
    suffix = match[3] or ""
    number = Decimal(text.removesuffix(suffix))
    if suffix in _BINARY:
        value = _EXACT.multiply(number, Decimal(1024 ** _BINARY[suffix]))
    elif number:
        # 64 digits at most stand before an exponent: beyond these bounds it is out of range in any case.
        exponent = _DECIMAL[suffix] if suffix in _DECIMAL else max(-99, min(99, int(suffix[1:])))
        value = number.scaleb(exponent, _EXACT)
    else:
        value = number
    if value.copy_abs() > MAX:
        raise QuantityError(f"{_shorten(text)} is over 2^63 - 1, the largest quantity")
    if _EXACT.remainder(value, FINEST):
        raise QuantityError(f"{_shorten(text)} is finer than 1n, the smallest step")
    return value


def quantity_or_zero(value: Any) -> Decimal:
    """Of a field that another program wrote; 0 where it is not there, or is no quantity."""
    try:
        return parse_quantity(str(value)) if value is not None else Decimal(0)
    except QuantityError:
        return Decimal(0)


def format_quantity(value: Decimal | int, *, binary: bool = False) -> str:
    """The shortest quantity without a fraction that means exactly `value`.

    Args:
        value: A multiple of 1e-9.
        binary: Whether it counts bytes: `256Mi` in place of `268435456`.
    """
    value = Decimal(value)
    if binary and value == value.to_integral_value():
        whole = int(value)
        for suffix, power in reversed(_BINARY.items()):
            if whole and whole % 1024**power == 0:
                return f"{whole // 1024**power}{suffix}"
        return str(whole)
    for suffix, exponent in sorted(_DECIMAL.items(), key=lambda each: -each[1]):
        scaled = value.scaleb(-exponent, _EXACT)
        if value and scaled == scaled.to_integral_value():
            return f"{int(scaled)}{suffix}"
    if value:
        raise QuantityError(f"{value} is finer than 1n, the smallest step")
    return "0"


def _shorten(text: str) -> str:
    return json.dumps(text if len(text) <= _MAX_LENGTH else f"{text[:_MAX_LENGTH]}...", ensure_ascii=False)
