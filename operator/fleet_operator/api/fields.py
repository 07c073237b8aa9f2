"""What the fields of an EncoderPool are made of: the base class of its parts, and types with their own rules.

Every type judges strictly: `"5"` is not a number and `1` is not text, as the Kubernetes API server sees it too.
"""

import json
import re
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema
from pydantic.alias_generators import to_camel

from fleet_operator.quantity import PATTERN, QuantityError, format_quantity, parse_quantity

MAX_COUNT = 2**31 - 1
"""Upper bound of counts without one of their own: what fits an int32, as Kubernetes has them."""


class Part(BaseModel):
    """A part of an EncoderPool: camelCase outside, immutable, nothing unknown, each field documented."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        extra="forbid",
        frozen=True,
        strict=True,
        use_attribute_docstrings=True,
    )


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


def _bytes(value: Any) -> int:
    """Whole bytes."""
    exact = _quantity(value)
    if exact != exact.to_integral_value():
        raise ValueError(f"must be whole bytes, got {value}")
    return int(exact)


def _positive(value: Decimal) -> Decimal:
    if value <= 0:
        raise ValueError(f"must be more than 0, got {value}")
    return value


_QUANTITY_SCHEMA = WithJsonSchema(
    {"anyOf": [{"type": "integer"}, {"type": "string"}], "pattern": PATTERN, "x-kubernetes-int-or-string": True}
)

Bytes = Annotated[
    int,
    BeforeValidator(_bytes),
    PlainSerializer(lambda value: format_quantity(value, binary=True), return_type=str),
    _QUANTITY_SCHEMA,
]
"""Bytes, written as a quantity; an int in Python."""

Cpus = Annotated[
    Decimal,
    BeforeValidator(_quantity),
    AfterValidator(_positive),
    PlainSerializer(lambda value: format_quantity(value), return_type=str),
    _QUANTITY_SCHEMA,
]
"""CPUs, written as a quantity; exact in Python."""


def _text(pattern: str, rule: str, *, longest: int) -> list[Any]:
    """Text of a form that `rule` says in words, as the pattern itself says it to nobody."""

    def check(value: str) -> str:
        if not re.fullmatch(pattern, value, re.ASCII):
            raise ValueError(f"must be {rule}, got {json.dumps(value[:64], ensure_ascii=False)}")
        return value

    return [Field(min_length=1, max_length=longest, json_schema_extra={"pattern": pattern}), AfterValidator(check)]


_NAME = _text(r"^[a-z]([-a-z0-9]*[a-z0-9])?$", "lower-case letters, digits and dashes, a letter first", longest=50)
_PATH = _text(r"^[^\x00-\x1f\x7f]+$", "a path without control characters", longest=4096)
_HUB = _text(
    r"^[A-Za-z0-9][-A-Za-z0-9._]*(/[A-Za-z0-9][-A-Za-z0-9._]*)?$",
    "a name like Qwen/Qwen2.5-VL-7B-Instruct",
    longest=192,
)
_REVISION = _text(r"^[A-Za-z0-9][-A-Za-z0-9._/]*$", "a branch, tag or commit", longest=255)
_DOMAIN = _text(
    r"^((\*\.)?[a-z0-9_]([-a-z0-9_]*[a-z0-9_])?(\.[a-z0-9_]([-a-z0-9_]*[a-z0-9_])?)*|[0-9a-f:]*:[0-9a-f:.]*)$",
    "a lower-case host like media.example.com or *.example.com, without scheme, port and path",
    longest=253,
)

ObjectName = Annotated[str, *_NAME]
"""Name of a pool. Its replicas and what belongs to them are named after it, hence the length."""
FilePath = Annotated[str, *_PATH]
HubName = Annotated[str, *_HUB]
Revision = Annotated[str, *_REVISION]
Domain = Annotated[str, *_DOMAIN]
