"""The sections of an EncoderPool's spec.

The text under a field is its reference: `docs/pool-file.md` and the cluster's schema say the same.
"""

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, ValidationInfo, field_validator

from fleet_operator.api.amounts import Bytes, Cpus, PositiveBytes, PositiveCpus
from fleet_operator.api.fields import MAX_COUNT, Domain, FilePath, Key, Part
from fleet_operator.api.rules import rules

Modality = Literal["image", "video", "audio"]
ThreadPolicy = Literal["Auto", "Manual"]

MAX_THREADS = 1024


class Resources(Part):
    """What one replica may use."""

    gpus: int | None = Field(default=None, ge=0, le=16)
    """GPUs of a replica. Without it 1 where there are enough, else none; 0 keeps it on the CPU."""
    cpus: PositiveCpus | None = None
    """CPUs of a replica, at most; whole ones are used. Without it a replica's equal share of the machine."""
    memory: PositiveBytes | None = None
    """Memory of a replica. A cluster enforces it; on one machine it has no effect."""
    gpu_resource: Key = "nvidia.com/gpu"
    """What a cluster calls a GPU."""
    reserved_cpus: Cpus = Decimal(1)
    """CPUs of each node of a cluster that are left to what is not planned: they are not shared out."""


class Threads(Part):
    """How many threads a replica computes with."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            *(
                (
                    f"self.policy == 'Manual' || !has(self.{name})",
                    "is ignored under policy: Auto: set spec.threads.policy: Manual, or remove it",
                    name,
                )
                for name in ("preprocessWorkers", "videoDecodeThreads", "ffmpegThreads", "intraOpThreads")
            )
        )
    )

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
    max_pending_bytes: PositiveBytes = 1 << 30
    """Media bytes that are taken in and not yet answered."""


class Media(Part):
    """What media are accepted, and from where."""

    max_bytes: PositiveBytes = 256 << 20
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


class Cache(Part):
    """Embeddings that are kept, so that the same media are encoded once."""

    size: Bytes = 1 << 30
    """Bytes of embeddings that a replica keeps. 0 turns the cache off."""


_KILLED = (
    "must be at least preStopSeconds + drainSeconds, else pods are killed while they finish their work: raise it, or "
    "remove it"
)


class Lifecycle(Part):
    """How a replica ends."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "!has(self.terminationGracePeriodSeconds) "
                "|| self.terminationGracePeriodSeconds >= self.preStopSeconds + self.drainSeconds",
                _KILLED,
                "terminationGracePeriodSeconds",
            )
        )
    )

    drain_seconds: int = Field(default=30, ge=0, le=86_400)
    """Time to finish what was taken in, after the replica was told to stop."""
    pre_stop_seconds: int = Field(default=5, ge=0, le=3600)
    """In a cluster: how long a pod still takes work after its end was announced, until all callers know."""
    termination_grace_period_seconds: int | None = Field(default=None, ge=1, le=100_000)
    """In a cluster: after so long a pod is killed. Unset: preStopSeconds + drainSeconds + 15."""

    @field_validator("termination_grace_period_seconds")
    @classmethod
    def _time_to_drain(cls, value: int | None, info: ValidationInfo) -> int | None:
        needed = info.data.get("pre_stop_seconds", 0) + info.data.get("drain_seconds", 0)
        if value is not None and value < needed:
            raise ValueError(_KILLED)
        return value
