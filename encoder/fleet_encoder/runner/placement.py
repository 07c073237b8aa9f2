"""Where a tower runs, and in which numbers: settings and what is there -> device and dtype."""

from collections.abc import Set
from pathlib import Path

import torch

from fleet_encoder.errors import Invalid
from fleet_encoder.families.model_files import read_config

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def dtype_name(dtype: torch.dtype) -> str:
    """Such as `bfloat16`: what the wires, logs and metrics say."""
    return str(dtype).removeprefix("torch.")


def choose_device(setting: str) -> torch.device:
    """`auto` is a GPU where there is one.

    Raises:
        Invalid: `cuda` was asked for and is not there.
    """
    if setting == "cuda" and not torch.cuda.is_available():
        built = f"is built for CUDA {torch.version.cuda}" if torch.version.cuda else "is built for CPUs alone"
        raise Invalid(
            f"--device cuda: PyTorch {torch.__version__}, which {built}, finds no GPU; check that the driver is one "
            "for it (nvidia-smi prints the newest CUDA that it takes), or leave the device at auto"
        )
    if setting == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", torch.cuda.current_device())


def choose_dtype(setting: str, directory: Path) -> torch.dtype:
    """`auto` is what config.json says the checkpoint was stored in; float32 where it says nothing known."""
    if setting != "auto":
        return DTYPES[setting]
    config = read_config(directory)
    stored = config.get("dtype") or config.get("torch_dtype")
    return DTYPES.get(str(stored).removeprefix("torch."), torch.float32)


_AT_SPEED = {
    torch.bfloat16: frozenset({"avx512_bf16", "amx_bf16", "bf16", "svebf16"}),
    torch.float16: frozenset({"avx512_fp16", "amx_fp16", "asimdhp"}),
}
"""CPU features, of x86 and ARM, by one of which the half formats are as fast as float32 at least."""


def choose_compute_dtype(dtype: torch.dtype, device: torch.device, features: Set[str]) -> torch.dtype:
    """What to compute embeddings of `dtype` in.

    A CPU without instructions for a half format emulates it, at a quarter of float32's speed. So there it is computed
    in float32, and the result is rounded: that is closer to the exact embedding, too.

    Args:
        dtype: Of the embeddings.
        device: Of the tower.
        features: Of the CPU, see `fleet_machine.cpu_features`.
    """
    emulated = device.type == "cpu" and dtype in _AT_SPEED and not features & _AT_SPEED[dtype]
    return torch.float32 if emulated else dtype
