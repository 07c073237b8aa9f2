"""Amounts: bytes and CPUs as Kubernetes writes them, and counts that may be a percentage.

Each has one rule, here and in CEL for the API server: what the one refuses the other does too, so that a pool that a
cluster has accepted can be read. That is why they are stricter than Kubernetes, which rounds and caps in silence.
"""

import json
import re
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from fleet_operator.api.fields import MAX_COUNT
from fleet_operator.api.rules import rules
from fleet_operator.quantity import QuantityError, format_quantity, parse_quantity

MAX_BYTES = 1 << 50
"""Far below what a double counts exactly: the API server's rule goes by one."""
MAX_CPUS = 4096
AS_BYTES = "x-encoderfleet-bytes"
"""In a schema: its default is a number of bytes, to be written as a quantity."""

_MILLI = Decimal("0.001")
_WRITTEN = r"^[+-]?([0-9]+(\.[0-9]{0,9})?|\.[0-9]{1,9})([KMGTPE]i|[kMGTPE]|[eE][+]?[0-9]{1,2})?$|^[+-]?[0-9]+m$"


def _quantity(value: Any) -> Decimal:
    """A quantity as YAML has it: a whole number or text; a Decimal is one that was read before."""
    if isinstance(value, Decimal):
        return value
    if isinstance(value, float):
        raise ValueError(f'must be a quantity: write the number as text, "{value}", or without a fraction')
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("must be a quantity such as 4, 500m, 256Mi or 1.5Gi")
    try:
        return parse_quantity(str(value))
    except QuantityError as error:
        raise ValueError(str(error)) from error


def _written(value: Any) -> None:
    """Refuse what only a machine would write: digits beyond a nano, at which the API server rounds."""
    if isinstance(value, str) and not re.fullmatch(_WRITTEN, value, re.ASCII):
        raise ValueError(f"must be written like 4, 500m, 256Mi or 1.5Gi, got {json.dumps(value)}")


def _bytes_type(least: int) -> list[Any]:
    """Whole bytes, of `least` or more."""

    def read(value: Any) -> int:
        exact = _quantity(value)
        if exact != exact.to_integral_value():
            raise ValueError(f"must be whole bytes, got {value}")
        if exact < least:
            raise ValueError(f"must be at least {least}, got {int(exact)}")
        if exact > MAX_BYTES:
            raise ValueError(f"must be at most 1Pi, got {value}")
        _written(value)
        return int(exact)

    rule = _rule(
        f"q.compareTo(quantity('{least}')) >= 0 && q.compareTo(quantity('1Pi')) <= 0 "
        "&& sign(q.sub(int(q.asApproximateFloat() + 0.5))) == 0"
    )
    message = f"must be whole bytes, {least} to 1Pi, such as 500M, 256Mi or 1.5Gi"
    return [
        BeforeValidator(read),
        PlainSerializer(lambda value: format_quantity(value, binary=True), return_type=str),
        WithJsonSchema(_schema(rule, message) | {AS_BYTES: True}),
    ]


def _cpus_type(least: str) -> list[Any]:
    """CPUs in thousandths, as the scheduler counts them; `least` is `> 0` or `>= 0`."""

    def read(value: Any) -> Decimal:
        exact = _quantity(value)
        if exact < 0 or (exact == 0 and least == "> 0"):
            raise ValueError(f"must be {'more than' if least == '> 0' else 'at least'} 0, got {value}")
        if exact > MAX_CPUS:
            raise ValueError(f"must be at most {MAX_CPUS}, got {value}")
        if exact % _MILLI:
            raise ValueError(f"must be in steps of 1m, got {value}")
        _written(value)
        return exact

    milli = "q.asApproximateFloat() * 1000.0"
    rule = _rule(
        f"q.compareTo(quantity('0')) {least} && q.compareTo(quantity('{MAX_CPUS}')) <= 0 "
        f"&& [{milli} - double(int({milli} + 0.5))].all(off, off < 0.0000005 && off > -0.0000005)"
    )
    bound = f"over 0 and at most {MAX_CPUS}" if least == "> 0" else f"0 to {MAX_CPUS}"
    message = f"must be CPUs, {bound}, in steps of 1m, such as 4, 2500m or 1.5"
    return [
        BeforeValidator(read),
        PlainSerializer(format_quantity, return_type=str),
        WithJsonSchema(_schema(rule, message)),
    ]


def _rule(judged: str) -> str:
    """CEL: something of a quantity `q`. Read once, in a list of one: CEL has no variables."""
    return f"string(self).matches(r'{_WRITTEN}') && [quantity(string(self))].all(q, {judged})"


def _schema(rule: str, message: str) -> dict[str, Any]:
    either = {"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": True}
    return {**either, "maxLength": 64, **rules((rule, message))}


Bytes = Annotated[int, *_bytes_type(0)]
"""Bytes, written as a quantity; an int in Python."""
PositiveBytes = Annotated[int, *_bytes_type(1)]
"""As `Bytes`, 1 or more."""
Cpus = Annotated[Decimal, *_cpus_type(">= 0")]
"""CPUs, written as a quantity; exact in Python."""
PositiveCpus = Annotated[Decimal, *_cpus_type("> 0")]
"""As `Cpus`, more than 0."""

_SHARE = r"^(100|[1-9]?[0-9])%$"
_COUNT_OR_SHARE = f"a whole number, 0 to {MAX_COUNT}, or a percentage, 0% to 100%"


def _count_or_share(value: Any) -> int | str:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(f"must be {_COUNT_OR_SHARE}")
    if isinstance(value, str):
        fine, shown = re.fullmatch(_SHARE, value, re.ASCII) is not None, json.dumps(value[:64])
    else:
        fine, shown = 0 <= value <= MAX_COUNT, str(value)
    if not fine:
        raise ValueError(f"must be {_COUNT_OR_SHARE}, got {shown}")
    return value


CountOrShare = Annotated[
    int | str,
    BeforeValidator(_count_or_share),
    WithJsonSchema(
        _schema(
            f"type(self) == int ? self >= 0 && self <= {MAX_COUNT} : string(self).matches(r'{_SHARE}')",
            f"must be {_COUNT_OR_SHARE}",
        )
        | {"maxLength": 16}
    ),
]
"""A count, or a percentage of the replicas."""
