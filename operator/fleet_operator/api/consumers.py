"""Who uses a pool: SGLang language servers, each told of the pool's encoders by the operator.

None of it has an effect on one machine.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from fleet_operator.api.fields import DnsName, Labels, Part
from fleet_operator.api.model import WHOLE_SECTION
from fleet_operator.api.rules import rules

BOOTSTRAP_PORT = 8997
"""Where a language server keeps its list of encoders, unless `--encoder-bootstrap-port` says another one."""
API_PORT = 30000
"""Where a language server serves its API, unless `--port` says another one."""

Port = Annotated[int, Field(ge=1, le=65535)]
Backend = Literal["auto", "zmq_to_scheduler", "zmq_to_tokenizer", "mooncake"]

_SOME_LABEL = "needs at least one label, else every pod of the namespace would be taken for a language server"
_ONE_OF_BOTH = "exactly one of service (a Service) and selector (labels of pods) is needed"
_NAMESPACE = "belongs to selector: of a Service it is service.namespace"


def _some(labels: dict[str, str]) -> dict[str, str]:
    if not labels:
        raise ValueError(_SOME_LABEL)
    return labels


class ConsumerService(Part):
    """A Service whose pods are language servers."""

    name: DnsName
    """Name of the Service. It must have a selector."""
    namespace: DnsName | None = None
    """Namespace of the Service. Unset: the pool's own. Pods of others must have `encoderfleet.io/encoders-from`."""


class ConsumerSelector(Part):
    """Pods that are language servers."""

    model_config = ConfigDict(
        json_schema_extra=rules(("self.matchLabels.size() > 0", _SOME_LABEL, "matchLabels")),
    )

    match_labels: Annotated[Labels, AfterValidator(_some)]
    """Labels that a pod must have, at least one."""


class Consumer(Part):
    """Language servers that are told of the pool's encoders: those behind a Service, or those with some labels."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            ("has(self.service) != has(self.selector)", _ONE_OF_BOTH),
            ("has(self.selector) || !has(self.__namespace__)", _NAMESPACE, "namespace"),
        )
    )

    service: ConsumerService | None = None
    """The Service of the language servers. A NetworkPolicy knows no Services, and lets its whole namespace in."""
    selector: Annotated[ConsumerSelector | None, Field(validate_default=True)] = None
    """Labels of the language servers' pods, in place of `service`."""
    namespace: DnsName | None = None
    """Namespace of the pods of `selector`. Unset: the pool's own. Others must have `encoderfleet.io/encoders-from`."""
    bootstrap_port: Port = BOOTSTRAP_PORT
    """Port where a language server keeps its list of encoders: its flag `--encoder-bootstrap-port`."""
    port: Port = API_PORT
    """Port of the language server's API, which is asked whether its model is that of the encoders: its `--port`."""

    @field_validator("selector")
    @classmethod
    def _one_of_both(cls, selector: ConsumerSelector | None, info: ValidationInfo) -> ConsumerSelector | None:
        if "service" in info.data and (info.data["service"] is None) == (selector is None):
            raise PydanticCustomError(WHOLE_SECTION, _ONE_OF_BOTH)
        return selector

    @field_validator("namespace")
    @classmethod
    def _of_a_selector(cls, namespace: str | None, info: ValidationInfo) -> str | None:
        if namespace is not None and info.data.get("service") is not None:
            raise ValueError(_NAMESPACE)
        return namespace


class Sglang(Part):
    """What only SGLang's own encoder is told; of no effect on `runtime: Native`."""

    transfer_backend: Backend = "auto"
    """SGLang's `--encoder-transfer-backend`: the language servers must have the same. Native ones take both of ZMQ."""
