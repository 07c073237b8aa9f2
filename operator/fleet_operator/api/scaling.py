"""How many replicas a pool has, where load decides it."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, ValidationInfo, field_validator

from fleet_operator.api.fields import MAX_REPLICAS, Part, Url
from fleet_operator.api.rules import rules


class ScalingPolicy(Part):
    """How far one step may go."""

    type: Literal["Pods", "Percent"]
    """Unit of `value`: replicas, or a percentage of those there are."""
    value: int = Field(ge=1, le=MAX_REPLICAS)
    """How many may be added or removed within the period."""
    period_seconds: int = Field(ge=1, le=1800)
    """Length of the period."""


class ScalingRules(Part):
    """How fast one direction may go, as in a HorizontalPodAutoscaler."""

    stabilization_window_seconds: int | None = Field(default=None, ge=0, le=3600)
    """The most cautious of the recommendations of so many seconds counts. Unset: 0 upwards, 300 downwards."""
    select_policy: Literal["Max", "Min", "Disabled"] = "Max"
    """Of several policies: the one that lets the most change, the least, or none at all."""
    policies: Annotated[tuple[ScalingPolicy, ...], Field(strict=False, max_length=16)] = ()
    """What one period may change. Empty: upwards 4 replicas or 100 percent in 15 seconds, downwards 100 percent."""


class ScalingBehavior(Part):
    """How fast replicas follow the load."""

    scale_up: ScalingRules = Field(default_factory=ScalingRules)
    """Upwards."""
    scale_down: ScalingRules = Field(default_factory=ScalingRules)
    """Downwards."""


class ScalingTargets(Part):
    """What a replica shall be loaded with."""

    utilization_percent: int = Field(default=75, ge=1, le=100)
    """Patches per second asked for, the refused included, over what the replicas can encode."""
    backlog_seconds: int = Field(default=10, ge=1, le=3600)
    """Time within which what waits beyond the work of one second shall be done."""


class ScalingFallback(Part):
    """What happens where no replica tells its load."""

    after_seconds: int = Field(default=300, ge=0, le=86_400)
    """So long the number of replicas is held."""
    replicas: int | None = Field(default=None, ge=1, le=MAX_REPLICAS)
    """After that the pool has so many, or more where it has more. Unset: it is held for good."""


class Autoscaling(Part):
    """Who sets `spec.replicas`."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            ("self.minReplicas <= self.maxReplicas", "must not be below minReplicas", "maxReplicas"),
            (
                "self.backend != 'KEDA' || self.mode != 'Auto' || has(self.prometheusAddress)",
                "is needed by backend: KEDA: the address of the Prometheus that scrapes the operator",
                "prometheusAddress",
            ),
        )
    )

    mode: Literal["Off", "Advise", "Auto"] = "Advise"
    """`"Off"`, with quotes: you. `Advise`: you; status and metrics say what would be right. `Auto`: the backend."""
    backend: Literal["Builtin", "HPA", "KEDA"] = "Builtin"
    """Who scales under `Auto`: the operator, a HorizontalPodAutoscaler or a ScaledObject that it makes."""
    min_replicas: int = Field(default=1, ge=1, le=MAX_REPLICAS)
    """Never fewer."""
    max_replicas: int = Field(default=10, ge=1, le=MAX_REPLICAS, validate_default=True)
    """Never more."""
    targets: ScalingTargets = Field(default_factory=ScalingTargets)
    """What a replica shall be loaded with."""
    behavior: ScalingBehavior = Field(default_factory=ScalingBehavior)
    """How fast replicas follow the load."""
    fallback: ScalingFallback = Field(default_factory=ScalingFallback)
    """What happens where no replica tells its load."""
    prometheus_address: Url | None = Field(default=None, validate_default=True)
    """For `KEDA`: the Prometheus that scrapes the operator, like `http://prometheus.monitoring:9090`."""

    @field_validator("max_replicas")
    @classmethod
    def _ordered(cls, most: int, info: ValidationInfo) -> int:
        if most < info.data.get("min_replicas", 0):
            raise ValueError(f"must not be below minReplicas, {info.data['min_replicas']}")
        return most

    @field_validator("prometheus_address")
    @classmethod
    def _address_for_keda(cls, address: str | None, info: ValidationInfo) -> str | None:
        if address is None and info.data.get("backend") == "KEDA" and info.data.get("mode") == "Auto":
            raise ValueError("is needed by backend: KEDA: the address of the Prometheus that scrapes the operator")
        return address
