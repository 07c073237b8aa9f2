"""A frame of the wire as an array, without a copy where that is possible."""

import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fleet_client.protocol import Tensor

if TYPE_CHECKING:
    import torch

Framework = Literal["numpy", "torch"]

_NUMPY: dict[str, np.dtype[Any]] = {"float32": np.dtype("<f4"), "float16": np.dtype("<f2"), "bfloat16": np.dtype("<u2")}
"""How each dtype of the wire lies in memory; numpy has no bfloat16, so its bits are read as integers."""


def check(tensor: Tensor, frame_bytes: int) -> None:
    """Refuse a tensor whose frame does not fit its shape.

    Raises:
        ValueError: Says what does not fit.
    """
    if tensor.dtype not in _NUMPY:
        raise ValueError(f"tensor of unknown dtype {tensor.dtype!r}, known are {', '.join(_NUMPY)}")
    if len(tensor.shape) != 2 or min(tensor.shape) < 0:
        raise ValueError(f"tensor of shape {tensor.shape}, expected [tokens, dim]")
    expected = math.prod(tensor.shape) * _NUMPY[tensor.dtype].itemsize
    if frame_bytes != expected:
        raise ValueError(f"tensor of shape {tensor.shape} {tensor.dtype} in {frame_bytes} bytes, expected {expected}")


def read(tensor: Tensor, frame: Any, framework: Framework) -> Any:
    """The embedding in `frame`, a buffer that `check` has accepted.

    Returns:
        A numpy array (bfloat16 widened to float32) or a torch tensor in the wire's dtype, `[tokens, dim]`. It
        shares the frame's memory, except where it had to be widened or was not aligned.
    """
    dtype = _NUMPY[tensor.dtype]
    raw = np.frombuffer(frame, dtype=dtype).reshape(tensor.shape)
    if not raw.flags.aligned:  # a small message lies anywhere in the receive buffer
        raw = raw.copy()
    if framework == "torch":
        return _to_torch(raw, tensor.dtype)
    return widen(raw) if tensor.dtype == "bfloat16" else raw


def widen(bits: "np.ndarray[Any, np.dtype[np.uint16]]") -> "np.ndarray[Any, np.dtype[np.float32]]":
    """float32 of bfloat16 bits, exactly: bfloat16 is the upper half of a float32."""
    wide = bits.astype(np.uint32)
    wide <<= 16
    return wide.view(np.float32)


def require(framework: str) -> Framework:
    """Check that `framework` is there; importing torch takes seconds, so it happens before the first answer.

    Raises:
        ValueError: It is neither numpy nor torch.
        ModuleNotFoundError: torch is not installed; says what to do.
    """
    if framework == "torch":
        try:
            import torch  # noqa: F401
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError("framework='torch' needs PyTorch: pip install torch", name="torch") from error
        return "torch"
    if framework == "numpy":
        return "numpy"
    raise ValueError(f"framework must be 'numpy' or 'torch', got {framework!r}")


def _to_torch(raw: "np.ndarray[Any, Any]", dtype: str) -> "torch.Tensor":
    import torch  # `require` did the slow part

    if raw.size == 0:  # torch.frombuffer refuses an empty buffer
        return torch.empty(raw.shape, dtype=getattr(torch, dtype))
    return torch.frombuffer(raw.reshape(-1), dtype=getattr(torch, dtype)).reshape(raw.shape)
