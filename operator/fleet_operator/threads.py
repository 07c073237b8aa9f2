"""CPUs and GPUs of a replica -> how many threads each part of its encoder has. Pure.

Worker counts are caps. What runs at one moment is held within the CPUs by the encoder's CPU slots, so images alone may
use every CPU, and decoders and preprocessing need no fixed shares. What is left to choose:

* preprocessing workers x torch threads in each, and decoders of one video x FFmpeg threads in each, stay within the
  CPUs. Workers side by side beat threads inside one, hence 1 inside.
* more than 16 decoders of one video cost more in seeking than they bring.
* on the CPU a forward pass takes all CPUs; on a GPU it needs one thread to launch kernels.
"""

from dataclasses import dataclass

from fleet_operator.api import Threads
from fleet_operator.environment import EnvVar
from fleet_operator.wording import counted

MAX_DECODERS = 16


@dataclass(frozen=True, slots=True)
class ThreadBudget:
    """Threads of one replica.

    Attributes:
        cpus: CPU slots: what may compute at one moment.
        preprocess_workers: Preprocessing threads, a cap.
        video_decode_threads: Decoders that share one video, a cap.
        ffmpeg_threads: Threads inside one decoder.
        intra_op_threads: torch threads of one preprocessing worker.
        forward_threads: torch threads of a forward pass.
        reasons: Why, by the names above.
    """

    cpus: int
    preprocess_workers: int
    video_decode_threads: int
    ffmpeg_threads: int
    intra_op_threads: int
    forward_threads: int
    reasons: dict[str, str]

    def env(self) -> tuple[EnvVar, ...]:
        """The variables that carry it to the encoder and to the libraries in it."""

        def variable(name: str, field: str) -> EnvVar:
            return EnvVar(name, str(getattr(self, field)), self.reasons[field])

        return (
            variable("ENCODERFLEET_CPUS", "cpus"),
            variable("SGLANG_ENCODER_PREPROC_WORKERS", "preprocess_workers"),
            variable("SGLANG_ENCODER_VIDEO_DECODE_NUM_THREADS", "video_decode_threads"),
            variable("ENCODERFLEET_FFMPEG_THREADS", "ffmpeg_threads"),
            variable("ENCODERFLEET_INTRA_OP_THREADS", "intra_op_threads"),
            variable("OMP_NUM_THREADS", "forward_threads"),
            variable("MKL_NUM_THREADS", "forward_threads"),
            variable("OPENBLAS_NUM_THREADS", "forward_threads"),
            EnvVar("OMP_WAIT_POLICY", "PASSIVE", "idle threads sleep, none spins"),
        )

    def warnings(self) -> tuple[str, ...]:
        """One line for each product of numbers set by hand that is over the CPUs."""
        pairs = (
            ("preprocessWorkers", self.preprocess_workers, "intraOpThreads", self.intra_op_threads),
            ("videoDecodeThreads", self.video_decode_threads, "ffmpegThreads", self.ffmpeg_threads),
        )
        return tuple(
            f"spec.threads: {outer} {count} x {inner} {each} = {count * each} threads on {counted(self.cpus, 'CPU')}: "
            "honoured, but they will hold each other up; lower one of them, or use policy: Auto"
            for outer, count, inner, each in pairs
            if count * each > self.cpus
        )


def budget(cpus: int, gpus: int, threads: Threads) -> ThreadBudget:
    """Threads for a replica.

    Args:
        cpus: Of the replica, at least 1.
        gpus: Of the replica.
        threads: The pool's wish. A number set there stands; the others are fitted around it.
    """
    if cpus < 1:
        raise ValueError(f"a replica needs a CPU, got {cpus}")
    reasons = {"cpus": "what may compute at one moment"}

    def choose(name: str, wish: int | None, automatic: int, reason: str) -> int:
        by_hand = f"spec.threads.{Threads.model_fields[name].alias}"
        reasons[name] = reason if wish is None else by_hand
        return automatic if wish is None else wish

    ffmpeg = choose("ffmpeg_threads", threads.ffmpeg_threads, 1, "side by side beats threads inside")
    intra_op = choose("intra_op_threads", threads.intra_op_threads, 1, "side by side beats threads inside")
    workers = choose(
        "preprocess_workers",
        threads.preprocess_workers,
        max(1, cpus // intra_op),
        f"{_share(cpus, intra_op, 'intra-op')}; a cap",
    )
    decoders = choose(
        "video_decode_threads",
        threads.video_decode_threads or None,
        max(1, min(cpus // ffmpeg, MAX_DECODERS)),
        f"{_share(cpus, ffmpeg, 'FFmpeg')}, at most {MAX_DECODERS}; a cap",
    )
    reasons["forward_threads"] = "the GPU computes, the CPU launches" if gpus else "forward pass on the CPU: all CPUs"
    return ThreadBudget(
        cpus=cpus,
        preprocess_workers=workers,
        video_decode_threads=decoders,
        ffmpeg_threads=ffmpeg,
        intra_op_threads=intra_op,
        forward_threads=1 if gpus else cpus,
        reasons=reasons,
    )


def _share(cpus: int, inside: int, kind: str) -> str:
    return "one a CPU" if inside == 1 else f"{counted(cpus, 'CPU')} / {inside} {kind} threads"
