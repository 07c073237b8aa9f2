"""What the fields of an EncoderPool are made of: the base class of its parts, and types with their own rules.

Every type judges strictly: `"5"` is not a number and `1` is not text, as the Kubernetes API server sees it too.
"""

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from fleet_operator.api.rules import rules

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

    @model_validator(mode="before")
    @classmethod
    def _without_unset(cls, data: Any) -> Any:
        """A field without a value is as if it were not there; one that does not exist is not passed over so."""
        if not isinstance(data, Mapping):
            return data
        known = {field.alias or name for name, field in cls.model_fields.items()}
        return {key: value for key, value in data.items() if value is not None or key not in known}


def without_unset(value: Any) -> Any:
    """The same for a mapping of any keys."""
    return {key: each for key, each in value.items() if each is not None} if isinstance(value, Mapping) else value


def _text(pattern: str, rule: str, *, longest: int, least: int = 1) -> list[Any]:
    """Text of a form that `rule` says in words, as the pattern itself says it to nobody.

    In the schema it is a rule too: of a `pattern` the API server would show just the pattern.
    """

    def check(value: str) -> str:
        if not re.fullmatch(pattern, value, re.ASCII):
            raise ValueError(f"must be {rule}, got {json.dumps(value[:64], ensure_ascii=False)}")
        return value

    in_cel = rules((f"self.matches(r'{pattern}')", f"must be {rule}"))
    return [Field(min_length=least or None, max_length=longest, json_schema_extra=in_cel), AfterValidator(check)]


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
_DNS = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
_DNS_NAME = _text(rf"^{_DNS}$", "a name of lower-case letters, digits, dashes and dots", longest=253)
_KEY_PATTERN = rf"^({_DNS}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{{0,61}}[A-Za-z0-9])?$"
_KEY_FORM = "like node.kubernetes.io/instance-type, with at most 63 characters after the slash"
_KEY = _text(_KEY_PATTERN, _KEY_FORM, longest=317)
_ANNOTATION_KEY = _text(_KEY_PATTERN.replace("a-z0-9", "A-Za-z0-9"), _KEY_FORM, longest=317)
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
AnnotationKey = Annotated[str, *_ANNOTATION_KEY]
LabelValue = Annotated[str, *_LABEL_VALUE]
DataKey = Annotated[str, *_DATA_KEY]
InsidePath = Annotated[str, *_INSIDE]
Url = Annotated[str, *_URL]
Image = Annotated[str, *_IMAGE]

_KEYS = rules((f"self.all(key, key.size() <= 317 && key.matches(r'{_KEY_PATTERN}'))", f"each key must be {_KEY_FORM}"))

_KEYED = (Field(max_length=64, json_schema_extra=_KEYS), BeforeValidator(without_unset))

Labels = Annotated[dict[Key, LabelValue], *_KEYED]
Annotations = Annotated[dict[Key, Annotated[str, Field(max_length=4096)]], *_KEYED]
