"""SGLang's settings that an encoder may find in its environment: honoured, mapped, or named in a warning. Pure.

`docs/sglang.md` has the same table.
"""

from collections.abc import Mapping
from typing import Literal

Fate = Literal["honoured", "mapped", "not needed", "not served"]

VARIABLES: dict[str, tuple[Fate, str]] = {
    "SGLANG_ENCODER_PREPROC_WORKERS": ("honoured", "threads that preprocess; a pool's plan sets it (spec.threads)"),
    "SGLANG_ENCODER_VIDEO_DECODE_NUM_THREADS": ("honoured", "decoders over one video; likewise"),
    "SGLANG_ENCODER_REQ_TIMEOUT": ("honoured", "seconds until a request is answered 504; 180"),
    "SGLANG_ENCODER_SEND_TIMEOUT": ("honoured", "seconds that an embedding may take to leave; 180"),
    "SGLANG_HOST_IP": ("honoured", "the address that language servers are told, where --advertise is not given"),
    "VIDEO_MAX_PIXELS": ("honoured", "pixels of all frames of a clip together"),
    "OMP_NUM_THREADS": ("honoured", "threads of a forward pass on the CPU; a pool's plan sets it"),
    "SGLANG_VLM_CACHE_SIZE_MB": ("mapped", "set ENCODERFLEET_CACHE_BYTES, or spec.cache.size of the pool"),
    "SGLANG_ENCODER_MAX_BATCH_SIZE": (
        "not needed",
        "batches are filled by patches: ENCODERFLEET_BATCH_MAX_PATCHES, or spec.batching.maxPatches of the pool",
    ),
    "SGLANG_ENCODER_MM_LOAD_WORKERS": ("not needed", "downloads hold no threads here, and decoding follows the CPUs"),
    "SGLANG_ENCODER_DP_WORKER_MAX_INFLIGHT": (
        "not needed",
        "raise replicas of the pool instead of --dp-size; ENCODERFLEET_MAX_PENDING_PATCHES bounds what waits",
    ),
    "SGLANG_ENCODER_IMAGE_PROCESSOR_USE_GPU": ("not needed", "a GPU preprocesses wherever there is one"),
    "REQUEST_TIMEOUT": ("not needed", "a slow download delays nobody: SGLANG_ENCODER_REQ_TIMEOUT ends it"),
    "SGLANG_ENCODER_GRPC_TIMEOUT_SECS": ("not served", "there is no gRPC here: use http:// encoder URLs"),
    "SGLANG_ENCODER_MM_RECEIVER_MODE": ("not served", "there is no gRPC here: leave it at http on language servers"),
    "SGLANG_RESIZE_RESAMPLE": ("not served", "frames are resized as by default, bilinear"),
}
"""Name -> what becomes of it, and what to know."""


def warnings(environment: Mapping[str, str]) -> list[str]:
    """One line for each variable that is set and has no effect."""
    return [
        f"{name} has no effect here: {text}"
        for name, (fate, text) in VARIABLES.items()
        if fate != "honoured" and environment.get(name)
    ]
