"""What an encoder is told through its environment: the pool's settings as variables.

The names and their meaning are a contract with `fleet_encoder`; `docs/pool-file.md` lists them.
"""

from dataclasses import dataclass

from fleet_operator.api import EncoderPool
from fleet_operator.api.model import ModelSource


@dataclass(frozen=True, slots=True)
class EnvVar:
    """One variable, and why it has its value."""

    name: str
    value: str
    reason: str


MODEL_VOLUME = "/var/lib/encoderfleet/model"
"""Where a pod has the volume of `spec.model.pvc`."""


def model_source(model: ModelSource) -> tuple[str, str]:
    """Which field of `spec.model` names the model, and what an encoder is told for it."""
    if model.path is not None:
        return "path", model.path
    if model.pvc is not None:
        return "pvc", "/".join(filter(None, (MODEL_VOLUME, model.pvc.path)))
    return "name", model.name or ""


def settings(pool: EncoderPool, *, gpus: int) -> tuple[EnvVar, ...]:
    """Variables that do not depend on CPUs. Bytes are plain integers; an empty value means unset. Pure.

    Args:
        pool: Whose settings.
        gpus: GPUs of a replica.
    """
    spec = pool.spec
    model, media = spec.model, spec.media
    source = model_source(model)
    device = ("cuda", "the replica has a GPU") if gpus else ("cpu", "the replica has no GPU")
    return (
        EnvVar("ENCODERFLEET_POOL", pool.metadata.name, "metadata.name"),
        EnvVar("ENCODERFLEET_MODEL", source[1], f"spec.model.{source[0]}"),
        EnvVar("ENCODERFLEET_MODEL_REVISION", model.revision or "", "spec.model.revision"),
        EnvVar("ENCODERFLEET_DTYPE", model.dtype, "spec.model.dtype"),
        EnvVar(
            "ENCODERFLEET_MODALITIES",
            ",".join(spec.modalities),
            "spec.modalities" if spec.modalities else "spec.modalities: all of the model's",
        ),
        EnvVar("ENCODERFLEET_DEVICE", *device),
        EnvVar("ENCODERFLEET_BATCH_MAX_PATCHES", str(spec.batching.max_patches), "spec.batching.maxPatches"),
        EnvVar(
            "ENCODERFLEET_BATCH_MAX_WAIT_MS",
            str(spec.batching.max_wait_milliseconds),
            "spec.batching.maxWaitMilliseconds",
        ),
        EnvVar(
            "ENCODERFLEET_MAX_PENDING_PATCHES",
            str(spec.admission.max_pending_patches),
            "spec.admission.maxPendingPatches",
        ),
        EnvVar(
            "ENCODERFLEET_MAX_PENDING_BYTES", str(spec.admission.max_pending_bytes), "spec.admission.maxPendingBytes"
        ),
        EnvVar("ENCODERFLEET_MAX_BYTES", str(media.max_bytes), "spec.media.maxBytes"),
        EnvVar("ENCODERFLEET_MAX_PIXELS", str(media.max_pixels), "spec.media.maxPixels"),
        EnvVar("ENCODERFLEET_MAX_VIDEO_SECONDS", str(media.max_video_seconds), "spec.media.maxVideoSeconds"),
        EnvVar("ENCODERFLEET_MAX_FRAMES", str(media.max_frames), "spec.media.maxFrames"),
        EnvVar(
            "ENCODERFLEET_ALLOWED_DOMAINS",
            ",".join(media.allowed_domains),
            "spec.media.allowedDomains" if media.allowed_domains else "spec.media.allowedDomains: any host",
        ),
        EnvVar(
            "ENCODERFLEET_ALLOW_PRIVATE_NETWORKS",
            str(media.allow_private_networks).lower(),
            "spec.media.allowPrivateNetworks",
        ),
        EnvVar(
            "ENCODERFLEET_LOCAL_ROOT",
            media.local_root or "",
            "spec.media.localRoot" if media.local_root else "spec.media.localRoot: no local files",
        ),
        EnvVar("ENCODERFLEET_CACHE_BYTES", str(spec.cache.size), "spec.cache.size"),
        EnvVar("ENCODERFLEET_DRAIN_SECONDS", str(spec.lifecycle.drain_seconds), "spec.lifecycle.drainSeconds"),
    )
