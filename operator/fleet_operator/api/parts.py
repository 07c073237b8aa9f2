"""The sections of an EncoderPool's spec.

The text under a field is its reference: `docs/pool-file.md` and the cluster's schema say the same.
"""

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from fleet_operator.api.fields import MAX_COUNT, Bytes, Cpus, Domain, FilePath, HubName, Part, Revision

Modality = Literal["image", "video", "audio"]
Dtype = Literal["auto", "float32", "bfloat16", "float16"]
ThreadPolicy = Literal["Auto", "Manual"]

MAX_THREADS = 1024
WHOLE_SECTION = "whole_section"
"""Type of an error that is about the section, not about the field that found it."""


class ModelSource(Part):
    """The model whose encoder is served: a directory or a name."""

    path: FilePath | None = None
    """Model directory in Hugging Face layout. A relative path starts at the folder of the pool file."""
    name: Annotated[HubName | None, Field(validate_default=True)] = None
    """Name of the model on the Hugging Face hub, in place of `path`."""
    revision: Revision | None = None
    """Branch, tag or commit of `name`. Without it the hub's default branch."""
    dtype: Dtype = "auto"
    """Number format of the encoder's weights and embeddings. `auto` is what the checkpoint has."""

    @field_validator("name")
    @classmethod
    def _one_source(cls, name: str | None, info: ValidationInfo) -> str | None:
        if "path" not in info.data:
            return name
        if name is not None and info.data["path"] is not None:
            raise PydanticCustomError(WHOLE_SECTION, "has both path and name: remove one of them")
        if name is None and info.data["path"] is None:
            raise PydanticCustomError(WHOLE_SECTION, "needs path (a model directory) or name (of the Hugging Face hub)")
        return name

    @field_validator("revision")
    @classmethod
    def _revision_of_a_name(cls, revision: str | None, info: ValidationInfo) -> str | None:
        if revision is not None and info.data.get("path") is not None:
            raise ValueError("belongs to model.name: a directory has no revisions, remove it")
        return revision


class Resources(Part):
    """What one replica may use."""

    gpus: int | None = Field(default=None, ge=0, le=16)
    """GPUs of a replica. Without it 1 where there are enough, else none; 0 keeps it on the CPU."""
    cpus: Cpus | None = None
    """CPUs of a replica, at most; whole ones are used. Without it a replica's equal share of the machine."""
    memory: Bytes | None = None
    """Memory of a replica. A cluster enforces it; on one machine it has no effect."""

    @field_validator("memory")
    @classmethod
    def _some_memory(cls, memory: int | None) -> int | None:
        return None if memory is None else _at_least(memory, 1)


class Threads(Part):
    """How many threads a replica computes with."""

    policy: ThreadPolicy = "Auto"
    """`Auto` derives all numbers from CPUs and GPUs. `Manual` takes those that are set here and derives the others."""
    preprocess_workers: int | None = Field(default=None, ge=1, le=MAX_THREADS)
    """Preprocessing threads, a cap. Derived: one a CPU."""
    video_decode_threads: int | None = Field(default=None, ge=0, le=MAX_THREADS)
    """Decoders that share one video. Derived, and for 0: one a CPU, at most 16."""
    ffmpeg_threads: int | None = Field(default=None, ge=1, le=MAX_THREADS)
    """FFmpeg threads inside one decoder. Derived: 1."""
    intra_op_threads: int | None = Field(default=None, ge=1, le=MAX_THREADS)
    """torch threads of one preprocessing worker. Derived: 1."""

    @field_validator("preprocess_workers", "video_decode_threads", "ffmpeg_threads", "intra_op_threads")
    @classmethod
    def _only_when_manual(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value is not None and info.data.get("policy") == "Auto":
            raise ValueError("is ignored under policy: Auto: set spec.threads.policy: Manual, or remove it")
        return value


class Batching(Part):
    """How items of several requests share a forward pass."""

    max_patches: int = Field(default=16384, ge=1, le=MAX_COUNT)
    """Patches (audio: frames) of one forward pass. A larger item gets a pass of its own."""
    max_wait_milliseconds: int = Field(default=5, ge=0, le=10_000)
    """How long a batch waits for items that are about to be ready. A lone request never waits."""


class Admission(Part):
    """What a replica takes in before it answers BUSY."""

    max_pending_patches: int = Field(default=262_144, ge=1, le=MAX_COUNT)
    """Patches (audio: frames) that are taken in and not yet answered."""
    max_pending_bytes: Bytes = 1 << 30
    """Media bytes that are taken in and not yet answered."""

    @field_validator("max_pending_bytes")
    @classmethod
    def _some_bytes(cls, value: int) -> int:
        return _at_least(value, 1)


class Media(Part):
    """What media are accepted, and from where."""

    max_bytes: Bytes = 256 << 20
    """Size of one media file."""
    max_pixels: int = Field(default=50_000_000, ge=1, le=MAX_COUNT)
    """Width times height of an image, or of one frame of a video."""
    max_video_seconds: int = Field(default=3600, ge=1, le=MAX_COUNT)
    """Duration of a video or audio clip."""
    max_frames: int = Field(default=768, ge=1, le=MAX_COUNT)
    """Frames sampled from one video."""
    allowed_domains: Annotated[tuple[Domain, ...], Field(strict=False, max_length=256)] = ()
    """Hosts that URLs may name: `media.example.com`, or `*.example.com` for all below it. Empty: any public host."""
    allow_private_networks: bool = False
    """Whether URLs may lead to private and loopback addresses. Link-local and metadata addresses never are allowed."""
    local_root: FilePath | None = None
    """Folder whose files `file:` URLs may name. A relative path starts at the folder of the pool file. Unset: none."""

    @field_validator("max_bytes")
    @classmethod
    def _some_bytes(cls, value: int) -> int:
        return _at_least(value, 1)


class Cache(Part):
    """Embeddings that are kept, so that the same media are encoded once."""

    size: Bytes = 1 << 30
    """Bytes of embeddings that a replica keeps. 0 turns the cache off."""

    @field_validator("size")
    @classmethod
    def _not_negative(cls, value: int) -> int:
        return _at_least(value, 0)


class Lifecycle(Part):
    """How a replica ends."""

    drain_seconds: int = Field(default=30, ge=0, le=86_400)
    """Time to finish what was taken in, after the replica was told to stop."""


def _at_least(value: int, least: int) -> int:
    if value < least:
        raise ValueError(f"must be at least {least}, got {value}")
    return value
