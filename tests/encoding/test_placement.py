"""What embeddings of a number format are computed in."""

import pytest
import torch

from fleet_encoder.runner.placement import choose_compute_dtype

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(
    ("dtype", "device", "features", "expected"),
    [
        (torch.float32, CPU, {"avx2"}, torch.float32),
        (torch.bfloat16, CPU, {"avx2"}, torch.float32),
        (torch.bfloat16, CPU, set(), torch.float32),
        (torch.bfloat16, CPU, {"avx512f", "avx512_bf16"}, torch.bfloat16),
        (torch.bfloat16, CPU, {"amx_bf16"}, torch.bfloat16),
        (torch.bfloat16, CPU, {"asimdhp"}, torch.float32),
        (torch.bfloat16, CPU, {"bf16"}, torch.bfloat16),
        (torch.float16, CPU, {"avx512_bf16"}, torch.float32),
        (torch.float16, CPU, {"avx512_fp16"}, torch.float16),
        (torch.float16, CPU, {"asimdhp"}, torch.float16),
        (torch.bfloat16, CUDA, set(), torch.bfloat16),
    ],
)
def test_compute_dtype(dtype: torch.dtype, device: torch.device, features: set[str], expected: torch.dtype) -> None:
    assert choose_compute_dtype(dtype, device, features) is expected
