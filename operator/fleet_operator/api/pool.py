"""The EncoderPool: what a person writes, on a laptop and in a cluster."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator

from fleet_operator.api.consumers import Consumer, Sglang
from fleet_operator.api.fields import (
    MAX_REPLICAS,
    AnnotationKey,
    Image,
    Key,
    LabelValue,
    ObjectName,
    Part,
    without_unset,
)
from fleet_operator.api.model import ModelSource
from fleet_operator.api.parts import (
    Admission,
    Batching,
    Cache,
    Lifecycle,
    Media,
    Modality,
    Resources,
    Threads,
)
from fleet_operator.api.pods import Monitoring, NetworkPolicy, PodTemplate, Rollout, Scheduling
from fleet_operator.api.rules import A_SET
from fleet_operator.api.scaling import Autoscaling

GROUP = "encoderfleet.io"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "EncoderPool"


class Metadata(Part):
    """Name and labels, as every Kubernetes object has them."""

    name: ObjectName
    """Name of the pool, unique in its namespace; replicas are called `<name>-0`, `<name>-1`, ..."""
    namespace: str | None = Field(default=None, max_length=63)
    """Namespace in a cluster; without effect on one machine."""
    labels: Annotated[dict[Key, LabelValue], BeforeValidator(without_unset)] = Field(default_factory=dict)
    """For selecting pools; without effect on one machine."""
    annotations: Annotated[dict[AnnotationKey, str], BeforeValidator(without_unset)] = Field(default_factory=dict)
    """Notes of people and tools; without effect on one machine."""


class PoolSpec(Part):
    """What the pool shall be."""

    model: ModelSource
    """The model whose encoder is served: its directory, or its name."""
    runtime: Literal["Native", "SGLang"] = "Native"
    """What runs in a pod: `Native`, the encoder of encoderfleet, or `SGLang`, SGLang's own; only in a cluster."""
    image: Image | None = None
    """Container image. Unset: the one that the operator was installed with for this runtime."""
    modalities: Annotated[tuple[Modality, ...], Field(strict=False, max_length=3, json_schema_extra=A_SET)] = ()
    """What is served. Empty: all that the model has."""
    replicas: int = Field(default=1, ge=0, le=MAX_REPLICAS)
    """Encoders of the pool. 0 keeps the pool and stops its encoders."""
    resources: Resources = Field(default_factory=Resources)
    """What one replica may use."""
    threads: Threads = Field(default_factory=Threads)
    """How many threads a replica computes with."""
    batching: Batching = Field(default_factory=Batching)
    """How items of several requests share a forward pass."""
    admission: Admission = Field(default_factory=Admission)
    """What a replica takes in before it answers BUSY."""
    media: Media = Field(default_factory=Media)
    """What media are accepted, and from where."""
    cache: Cache = Field(default_factory=Cache)
    """Embeddings that are kept, so that the same media are encoded once."""
    lifecycle: Lifecycle = Field(default_factory=Lifecycle)
    """How a replica ends."""
    rollout: Rollout = Field(default_factory=Rollout)
    """How new pods take the place of old ones."""
    autoscaling: Autoscaling = Field(default_factory=Autoscaling)
    """Who sets `spec.replicas`."""
    scheduling: Scheduling = Field(default_factory=Scheduling)
    """On which nodes the replicas run."""
    consumers: Annotated[tuple[Consumer, ...], Field(strict=False, max_length=16)] = ()
    """SGLang language servers that the operator tells of encoders; only in a cluster. Opens Native pods' port 30000."""
    sglang: Sglang = Field(default_factory=Sglang)
    """What only SGLang's own encoder is told; of no effect on `runtime: Native`."""
    network_policy: NetworkPolicy = Field(default_factory=NetworkPolicy)
    """Who may connect to the encoders."""
    monitoring: Monitoring = Field(default_factory=Monitoring)
    """How Prometheus finds the encoders."""
    pod_template: PodTemplate = Field(default_factory=PodTemplate)
    """What is added to the pods and to their container `main`."""
    paused: bool = False
    """Whether the operator leaves the pool as it is: nothing of it is written, but for its status."""

    @field_validator("modalities")
    @classmethod
    def _each_once(cls, modalities: tuple[Modality, ...]) -> tuple[Modality, ...]:
        for modality in modalities:
            if modalities.count(modality) > 1:
                raise ValueError(f"names {modality} twice: remove one")
        return modalities


class EncoderPool(Part):
    """Encoders of one model, alike, that share their work."""

    api_version: Literal["encoderfleet.io/v1alpha1"]
    """Version of this schema: `encoderfleet.io/v1alpha1`."""
    kind: Literal["EncoderPool"]
    """Kind of the object: `EncoderPool`."""
    metadata: Metadata
    """Its name, and what else Kubernetes keeps of every object."""
    spec: PoolSpec
    """What the pool shall be."""
