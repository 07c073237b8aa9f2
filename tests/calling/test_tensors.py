"""Frames become arrays: exact, and without a copy where that is possible."""

import struct

import numpy as np
import pytest

from fleet_client import tensors
from fleet_client.protocol import Tensor

ALL_BFLOAT16 = np.arange(1 << 16, dtype=np.uint16)


def test_float32_shares_the_frame() -> None:
    frame = bytearray(np.arange(6, dtype=np.float32).tobytes())
    array = tensors.read(Tensor(frame=0, dtype="float32", shape=[2, 3]), memoryview(frame), "numpy")
    assert array.tolist() == [[0, 1, 2], [3, 4, 5]]
    frame[:4] = struct.pack("<f", 9.0)
    assert array[0, 0] == 9.0


def test_every_bfloat16_is_widened_exactly() -> None:
    wide = tensors.read(Tensor(frame=0, dtype="bfloat16", shape=[256, 256]), ALL_BFLOAT16.tobytes(), "numpy")
    assert wide.dtype == np.float32
    torch = pytest.importorskip("torch")
    expected = torch.frombuffer(bytearray(ALL_BFLOAT16.tobytes()), dtype=torch.bfloat16).to(torch.float32).numpy()
    # As bits: NaNs are not equal to themselves.
    assert (wide.view(np.uint32).ravel() == expected.view(np.uint32)).all()


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_torch_gets_the_dtype_of_the_wire_and_the_frame_itself(dtype: str) -> None:
    torch = pytest.importorskip("torch")
    values = torch.arange(8, dtype=getattr(torch, dtype)).reshape(2, 4)
    frame = bytearray(values.view(torch.uint8).numpy().tobytes())
    tensor = tensors.read(Tensor(frame=0, dtype=dtype, shape=[2, 4]), memoryview(frame), "torch")
    assert tensor.dtype is getattr(torch, dtype)
    assert torch.equal(tensor, values)
    frame[:] = bytes(len(frame))
    assert not tensor.any()


def test_no_tokens_is_an_empty_tensor() -> None:
    torch = pytest.importorskip("torch")
    shape = Tensor(frame=0, dtype="float32", shape=[0, 8])
    assert tensors.read(shape, b"", "numpy").shape == (0, 8)
    assert tensors.read(shape, b"", "torch").shape == torch.Size([0, 8])


def test_a_frame_that_is_not_aligned_is_copied() -> None:
    buffer = memoryview(bytearray(33))
    offset = next(n for n in range(1, 4) if np.frombuffer(buffer[n : n + 4], np.uint8).ctypes.data % 4)
    array = tensors.read(Tensor(frame=0, dtype="float32", shape=[1, 4]), buffer[offset : offset + 16], "numpy")
    assert array.flags.aligned


@pytest.mark.parametrize(
    ("dtype", "shape", "size", "text"),
    [
        ("int64", [1, 1], 8, "unknown dtype 'int64'"),
        ("float32", [4], 16, r"expected \[tokens, dim\]"),
        ("float32", [-1, -4], 16, r"expected \[tokens, dim\]"),
        ("float32", [2, 2], 12, "in 12 bytes, expected 16"),
        ("float16", [2, 2], 16, "in 16 bytes, expected 8"),
    ],
)
def test_what_does_not_fit_is_refused(dtype: str, shape: list[int], size: int, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        tensors.check(Tensor(frame=0, dtype=dtype, shape=shape), size)


def test_an_unknown_framework_is_refused() -> None:
    with pytest.raises(ValueError, match="'numpy' or 'torch'"):
        tensors.require("jax")
