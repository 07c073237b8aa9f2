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

KUBERNETES_KIND = "x-encoderfleet-kind"
"""In a schema: put the schema of this kind of Kubernetes' own API here."""

MAX_REPLICAS = 100_000
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


def _int_or_share(value: Any) -> int | str:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("must be a whole number, or a percentage like 25%")
    if isinstance(value, str) and not re.fullmatch(_SHARE, value, re.ASCII):
        raise ValueError(f"must be a whole number, or a percentage like 25%, got {json.dumps(value[:64])}")
    if isinstance(value, int) and not 0 <= value <= MAX_COUNT:
        raise ValueError(f"must be at least 0, got {value}")
    return value


_SHARE = r"^(100|[1-9]?[0-9])%$"


_CEL_BOUND = {
    "> 0": "quantity(string(self)).isGreaterThan(quantity('0'))",
    ">= 0": "!quantity(string(self)).isLessThan(quantity('0'))",
}


def _quantity_type(read: Any, least: str, *, binary: bool) -> list[Any]:
    """A quantity: how it is read, its bound (`>= 0` or `> 0`) here and in CEL, and how it is written."""

    def check(value: Any) -> Any:
        if value < 0 or (value == 0 and least == "> 0"):
            raise ValueError(f"must be {'more than' if least == '> 0' else 'at least'} 0, got {value}")
        return value

    message = f"must be a quantity {'over 0' if least == '> 0' else 'of 0 or more'}, such as 4, 500m, 256Mi or 1.5Gi"
    schema = {
        "anyOf": [{"type": "integer"}, {"type": "string"}],
        "maxLength": 64,
        "pattern": PATTERN,
        "x-kubernetes-int-or-string": True,
        "x-kubernetes-validations": [{"rule": _CEL_BOUND[least], "message": message}],
    }
    return [
        BeforeValidator(read),
        AfterValidator(check),
        PlainSerializer(lambda value: format_quantity(value, binary=binary), return_type=str),
        WithJsonSchema(schema),
    ]


Bytes = Annotated[int, *_quantity_type(_bytes, ">= 0", binary=True)]
"""Bytes, written as a quantity; an int in Python."""
PositiveBytes = Annotated[int, *_quantity_type(_bytes, "> 0", binary=True)]
"""As `Bytes`, 1 or more."""
Cpus = Annotated[Decimal, *_quantity_type(_quantity, ">= 0", binary=False)]
"""CPUs, written as a quantity; exact in Python."""
PositiveCpus = Annotated[Decimal, *_quantity_type(_quantity, "> 0", binary=False)]
"""As `Cpus`, more than 0."""

IntOrShare = Annotated[
    int | str,
    BeforeValidator(_int_or_share),
    WithJsonSchema(
        {
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "pattern": _SHARE,
            "maxLength": 4,
            "x-kubernetes-int-or-string": True,
        }
    ),
]
"""A count, or a percentage of the replicas."""


def _text(pattern: str, rule: str, *, longest: int, least: int = 1) -> list[Any]:
    """Text of a form that `rule` says in words, as the pattern itself says it to nobody."""

    def check(value: str) -> str:
        if not re.fullmatch(pattern, value, re.ASCII):
            raise ValueError(f"must be {rule}, got {json.dumps(value[:64], ensure_ascii=False)}")
        return value

    return [
        Field(min_length=least or None, max_length=longest, json_schema_extra={"pattern": pattern}),
        AfterValidator(check),
    ]


def _kubernetes(kind: str) -> Any:
    """An object of Kubernetes' own API: any mapping here, judged by the cluster, whose schema has its fields."""
    return Annotated[dict[str, Any], WithJsonSchema({"type": "object", KUBERNETES_KIND: kind})]


NAME_PATTERN = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"
MAX_NAME = 50

_NAME = _text(NAME_PATTERN, "lower-case letters, digits and dashes, a letter first", longest=MAX_NAME)
_PATH = _text(r"^[^\x00-\x1f\x7f]+$", "a path without control characters", longest=4096)
_HUB = _text(
    r"^[A-Za-z0-9][-A-Za-z0-9._]*(/[A-Za-z0-9][-A-Za-z0-9._]*)?$",
    "a name like Qwen/Qwen2.5-VL-7B-Instruct",
    longest=192,
)
_REVISION = _text(r"^[A-Za-z0-9][-A-Za-z0-9._/]*$", "a branch, tag or commit", longest=255)
_DNS_NAME = _text(
    r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
    "a name of lower-case letters, digits, dashes and dots",
    longest=253,
)
_KEY = _text(
    r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$",
    "a key like node.kubernetes.io/instance-type",
    longest=317,
)
_LABEL_VALUE = _text(
    r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$",
    "a label's value: letters, digits, dashes, dots",
    longest=63,
    least=0,
)
_DATA_KEY = _text(r"^[-._A-Za-z0-9]+$", "a key of a Secret: letters, digits, dashes, dots, underscores", longest=253)
_INSIDE = _text(
    r"^[^/\x00-\x1f\x7f][^\x00-\x1f\x7f]*$", "a path inside the volume, without a slash before it", longest=1024
)
_IMAGE = _text(r"^[a-zA-Z0-9][-a-zA-Z0-9._/:@]*$", "an image like example.com/team/encoder:1.2", longest=512)
_URL = _text(r"^https?://[^\s/?#@]+(/[^\s?#]*)?$", "an address like http://prometheus.monitoring:9090", longest=1024)
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
DnsName = Annotated[str, *_DNS_NAME]
"""Name of a Kubernetes object."""
Key = Annotated[str, *_KEY]
"""Key of a label, a taint or a resource."""
LabelValue = Annotated[str, *_LABEL_VALUE]
DataKey = Annotated[str, *_DATA_KEY]
InsidePath = Annotated[str, *_INSIDE]
Url = Annotated[str, *_URL]
Image = Annotated[str, *_IMAGE]

Labels = Annotated[dict[Key, LabelValue], Field(max_length=64)]

Affinity = _kubernetes("V1Affinity")
EnvVar = _kubernetes("V1EnvVar")
LocalObjectReference = _kubernetes("V1LocalObjectReference")
NetworkPolicyPeer = _kubernetes("V1NetworkPolicyPeer")
Toleration = _kubernetes("V1Toleration")
Volume = _kubernetes("V1Volume")
VolumeMount = _kubernetes("V1VolumeMount")
