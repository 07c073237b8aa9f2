"""Settings of one encoder: flags and environment -> one frozen `Config`.

Precedence: flag > model configuration > environment > default. A number that somebody set by hand is honoured where a
computed one is capped: `fit_to_cpus` is told which of them were.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from fleet_client.protocol import Modality
from fleet_encoder.limits import MediaLimits

MAX_AUTOMATIC_DECODERS = 16
DEFAULT_PREPROCESS_WORKERS = 8


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that an encoder is told from outside. Bytes, seconds, and counts; see `docs/pool-file.md`.

    Attributes:
        model: Directory, or name on the hub.
        revision: Of a name on the hub: branch, tag or commit; empty for the default branch.
        cpus: CPU slots: what may compute at one moment.
        preprocess_workers: Threads of the preprocessing pool, a cap.
        video_decode_threads: Decoders over one video; 0 = automatic.
        ffmpeg_threads: Threads inside one decoder.
        intra_op_threads: torch threads of one preprocessing worker.
        forward_threads: torch threads of a forward pass on the CPU.
        sglang_http: Address of the wire that SGLang's language servers speak; empty: off.
        sglang_request_seconds: From such a request's arrival to its embedding.
        sglang_send_seconds: An embedding may take to leave.
        sglang_metrics: Whether metrics are also told under SGLang's names.
        register: Addresses of language servers that this encoder tells of itself.
        advertise: Its URL for them; empty: found out.
        warnings: What looks wrong about the settings, one line each.
    """

    model: Path
    bind: str = "tcp://0.0.0.0:5570"
    http: str = "0.0.0.0:8080"
    pool: str = "encoder"
    replica: str = "encoder-0"
    revision: str = ""
    dtype: str = "auto"
    device: str = "auto"
    modalities: tuple[Modality, ...] = ()
    cpus: int = 1
    preprocess_workers: int = DEFAULT_PREPROCESS_WORKERS
    video_decode_threads: int = 0
    ffmpeg_threads: int = 1
    intra_op_threads: int = 1
    forward_threads: int = 1
    batch_max_patches: int = 16384
    batch_max_wait: float = 0.005
    max_pending_patches: int = 262_144
    max_pending_bytes: int = 1 << 30
    media: MediaLimits = field(default_factory=MediaLimits)
    allowed_domains: tuple[str, ...] = ()
    allow_private_networks: bool = False
    local_root: Path | None = None
    cache_bytes: int = 1 << 30
    drain_seconds: float = 30.0
    log_format: Literal["text", "json"] = "text"
    sglang_http: str = ""
    sglang_request_seconds: float = 180.0
    sglang_send_seconds: float = 180.0
    sglang_metrics: bool = False
    register: tuple[str, ...] = ()
    advertise: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CpuUse:
    """How the thread settings fit the CPUs.

    Attributes:
        slots: Capacity of the limiter.
        decoders: Most decoders that one video may have.
        oversubscribed: Threads that hand-set values ask for, over CPUs; 1.0 or less is within the budget.
        warnings: One line for each hand-set value that is over the budget.
    """

    slots: int
    decoders: int
    oversubscribed: float
    warnings: tuple[str, ...]


def fit_to_cpus(config: Config, *, preprocess_set: bool, decoders_set: bool) -> CpuUse:
    """Caps for computed numbers, honour for hand-set ones.

    A default is silently held within the CPUs by the slots. A number that a person (or a plan) set is honoured: where
    it goes over the CPUs, the slots grow with it, and that is said in a warning and a metric.
    """
    wanted = config.cpus
    warnings: list[str] = []
    preprocess = config.preprocess_workers * config.intra_op_threads
    if preprocess_set and preprocess > config.cpus:
        wanted = max(wanted, preprocess)
        warnings.append(
            f"SGLANG_ENCODER_PREPROC_WORKERS={config.preprocess_workers} x {config.intra_op_threads} intra-op threads "
            f"is over the {config.cpus} CPUs: honoured, but expect throttling; unset it to follow the CPUs"
        )
    decode = config.video_decode_threads * max(1, config.ffmpeg_threads)
    if decoders_set and decode > config.cpus:
        wanted = max(wanted, decode)
        warnings.append(
            f"SGLANG_ENCODER_VIDEO_DECODE_NUM_THREADS={config.video_decode_threads} x {max(1, config.ffmpeg_threads)} "
            f"FFmpeg threads is over the {config.cpus} CPUs: honoured, but expect throttling; 0 follows the CPUs"
        )
    automatic = min(config.cpus // max(1, config.ffmpeg_threads), MAX_AUTOMATIC_DECODERS)
    decoders = config.video_decode_threads or max(1, automatic)
    return CpuUse(wanted, decoders, wanted / config.cpus, tuple(warnings))
