"""The command line of one encoder: every setting as a flag and as an environment variable."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

_F = TypeVar("_F", bound=Callable[..., Any])


class CommaList(click.ParamType[tuple[str, ...]]):
    """`a,b,c`, blanks ignored."""

    name = "a,b,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """Split; a tuple passes."""
        if isinstance(value, tuple):
            return value
        return tuple(part.strip() for part in str(value).split(",") if part.strip())


_OPTIONS: tuple[tuple[str, str, Any, Any, str], ...] = (
    ("--model", "ENCODERFLEET_MODEL", None, str, "Model directory in Hugging Face layout, or a name of the hub."),
    ("--revision", "ENCODERFLEET_MODEL_REVISION", "", str, "Of a name: branch, tag or commit."),
    ("--dtype", "ENCODERFLEET_DTYPE", "auto", click.Choice(["auto", "float32", "bfloat16", "float16"]),
     "Of the tower; auto is what the checkpoint has."),
    ("--device", "ENCODERFLEET_DEVICE", "auto", click.Choice(["auto", "cpu", "cuda"]), "Where the tower runs."),
    ("--modalities", "ENCODERFLEET_MODALITIES", "", CommaList(), "What to serve; all that the model has."),
    ("--pool", "ENCODERFLEET_POOL", "encoder", str, "Name of the pool, for logs and metrics."),
    ("--replica", "ENCODERFLEET_REPLICA", "encoder-0", str, "Name of this encoder, for logs and metrics."),
    ("--bind", "ENCODERFLEET_BIND", "tcp://0.0.0.0:5570", str,
     "ZMQ address; host * is all of IPv4 and IPv6, port 0 picks a free one."),
    ("--http", "ENCODERFLEET_HTTP", "0.0.0.0:8080", str, "Address of /metrics, /healthz and /readyz, likewise."),
    ("--sglang-http", "ENCODERFLEET_SGLANG_HTTP", "", str,
     "Address for SGLang's language servers (their --encoder-urls), likewise; empty = off."),
    ("--register", "ENCODERFLEET_REGISTER", "", CommaList(),
     "Language servers to tell of this encoder: http://host:30000 (their --port, or --encoder-bootstrap-port)."),
    ("--advertise", "ENCODERFLEET_ADVERTISE", "", str,
     "URL of --sglang-http for them; empty = this machine's address."),
    ("--sglang-metrics", "ENCODERFLEET_SGLANG_METRICS", False, bool,
     "Tell metrics under SGLang's names too, sglang:encoder_*."),
    ("--request-seconds", "SGLANG_ENCODER_REQ_TIMEOUT", 180.0, click.FloatRange(min=0, min_open=True),
     "A language server's request may take, then 504."),
    ("--send-seconds", "SGLANG_ENCODER_SEND_TIMEOUT", 180.0, click.FloatRange(min=0, min_open=True),
     "An embedding may take to leave for a language server."),
    ("--cpus", "ENCODERFLEET_CPUS", 0, click.IntRange(min=0), "CPUs to use; 0 = affinity and cgroup quota."),
    ("--preprocess-workers", "SGLANG_ENCODER_PREPROC_WORKERS", 8, click.IntRange(min=1), "Preprocessing threads."),
    ("--video-decode-threads", "SGLANG_ENCODER_VIDEO_DECODE_NUM_THREADS", 0, click.IntRange(min=0),
     "Decoders over one video; 0 = automatic, at most 16 and the CPUs."),
    ("--ffmpeg-threads", "ENCODERFLEET_FFMPEG_THREADS", 1, click.IntRange(min=1), "Threads inside one decoder."),
    ("--intra-op-threads", "ENCODERFLEET_INTRA_OP_THREADS", 1, click.IntRange(min=1),
     "torch threads of one preprocessing worker."),
    ("--forward-threads", "OMP_NUM_THREADS", 0, click.IntRange(min=0),
     "torch threads of a forward pass on the CPU; 0 = the CPUs."),
    ("--batch-max-patches", "ENCODERFLEET_BATCH_MAX_PATCHES", 16384, click.IntRange(min=1), "Patches of one batch."),
    ("--batch-max-wait-ms", "ENCODERFLEET_BATCH_MAX_WAIT_MS", 5, click.IntRange(min=0),
     "Wait for more where some are close; a lone item never waits."),
    ("--max-pending-patches", "ENCODERFLEET_MAX_PENDING_PATCHES", 262_144, click.IntRange(min=1),
     "Admission: BUSY beyond this."),
    ("--max-pending-bytes", "ENCODERFLEET_MAX_PENDING_BYTES", 1 << 30, click.IntRange(min=1),
     "Admission: BUSY beyond this."),
    ("--max-bytes", "ENCODERFLEET_MAX_BYTES", 256 << 20, click.IntRange(min=1), "Of one media file."),
    ("--max-pixels", "ENCODERFLEET_MAX_PIXELS", 50_000_000, click.IntRange(min=1), "Of an image or frame."),
    ("--max-video-seconds", "ENCODERFLEET_MAX_VIDEO_SECONDS", 3600, click.IntRange(min=1), "Of video and audio."),
    ("--max-frames", "ENCODERFLEET_MAX_FRAMES", 768, click.IntRange(min=1), "Sampled frames of one video."),
    ("--allowed-domains", "ENCODERFLEET_ALLOWED_DOMAINS", "", CommaList(), "Hosts of URLs; empty = any public one."),
    ("--allow-private-networks", "ENCODERFLEET_ALLOW_PRIVATE_NETWORKS", False, bool,
     "URLs may name private and loopback addresses; link-local ones never."),
    ("--local-root", "ENCODERFLEET_LOCAL_ROOT", None, str, "file:// URLs below this folder are read."),
    ("--cache-bytes", "ENCODERFLEET_CACHE_BYTES", 1 << 30, click.IntRange(min=0), "Embeddings kept; 0 = none."),
    ("--drain-seconds", "ENCODERFLEET_DRAIN_SECONDS", 30, click.IntRange(min=0), "To finish after SIGTERM."),
    ("--log-format", "ENCODERFLEET_LOG_FORMAT", "text", click.Choice(["text", "json"]), "Form of log lines."),
)  # fmt: skip
"""Flag, variable, default, type and help of every setting."""


def encoder_options(function: _F) -> _F:
    """Give `function` all of them, in the order above."""
    for flag, variable, default, kind, text in reversed(_OPTIONS):
        # A required option must not be given a default at all: None would count as one.
        value = (
            {"required": True} if flag == "--model" else {"default": default, "show_default": default not in ("", None)}
        )
        function = click.option(flag, envvar=variable, type=kind, help=text, show_envvar=True, **value)(function)
    return function
