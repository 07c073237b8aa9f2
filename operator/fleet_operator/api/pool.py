"""The EncoderPool: what a person writes, on a laptop and in a cluster."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from fleet_operator.api.fields import ObjectName, Part
from fleet_operator.api.parts import (
    Admission,
    Batching,
    Cache,
    Lifecycle,
    Media,
    Modality,
    ModelSource,
    Resources,
    Threads,
)

API_VERSION = "encoderfleet.io/v1alpha1"
KIND = "EncoderPool"


class Metadata(Part):
    """Name and labels, as every Kubernetes object has them."""

    name: ObjectName
    """Name of the pool, unique in its namespace; replicas are called `<name>-0`, `<name>-1`, ..."""
    namespace: str | None = Field(default=None, max_length=63)
    """Namespace in a cluster; without effect on one machine."""
    labels: dict[str, str] = Field(default_factory=dict)
    """For selecting pools; without effect on one machine."""
    annotations: dict[str, str] = Field(default_factory=dict)
    """Notes of people and tools; without effect on one machine."""


class PoolSpec(Part):
    """What the pool shall be."""

    model: ModelSource
    """The model whose encoder is served: its directory, or its name."""
    modalities: Annotated[tuple[Modality, ...], Field(strict=False, max_length=3)] = ()
    """What is served. Empty: all that the model has."""
    replicas: int = Field(default=1, ge=0, le=100_000)
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
