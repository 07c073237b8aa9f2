"""Packed attention is attention sequence by sequence."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import scaled_dot_product_attention

from fleet_encoder.runner import attention

HEADS, DIM = 3, 16


def one_by_one(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, lengths: list[int], scaling: float | None
) -> torch.Tensor:
    parts = zip(*(tensor.split(lengths, dim=2) for tensor in (query, key, value)), strict=True)
    return torch.cat([scaled_dot_product_attention(*part, scale=scaling).transpose(1, 2) for part in parts], dim=1)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=12), st.sampled_from([None, 1.0, 0.3]))
def test_grouped(lengths: list[int], scaling: float | None) -> None:
    generator = torch.Generator().manual_seed(len(lengths))
    # As towers hand it over: tokens outermost in memory.
    query, key, value = torch.randn(3, sum(lengths), HEADS, DIM, generator=generator).transpose(1, 2)[:, None]
    bounds = torch.tensor([0, *lengths]).cumsum(0).int()
    ours, weights = attention.grouped(
        torch.nn.Identity(), query, key, value, None, scaling=scaling, cu_seq_lens_q=bounds, is_causal=False
    )
    assert weights is None
    torch.testing.assert_close(ours, one_by_one(query, key, value, lengths, scaling), rtol=1e-5, atol=1e-5)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=12))
def test_grouped_makes_one_call_a_length(lengths: list[int]) -> None:
    calls = []
    query = torch.randn(1, HEADS, sum(lengths), DIM)
    with pytest.MonkeyPatch.context() as patch:
        original = attention.scaled_dot_product_attention
        patch.setattr(
            attention,
            "scaled_dot_product_attention",
            lambda *args, **kwargs: calls.append(1) or original(*args, **kwargs),
        )
        bounds = torch.tensor([0, *lengths]).cumsum(0).int()
        attention.grouped(torch.nn.Identity(), query, query, query, None, cu_seq_lens_q=bounds)
    assert len(calls) == len(set(lengths))


def test_longest() -> None:
    assert attention.longest(torch.tensor([0, 3, 10, 12])) == 7


def test_the_cpu_and_float32_take_the_grouped_one() -> None:
    for device, dtype in (("cpu", torch.float32), ("cpu", torch.bfloat16), ("cuda", torch.float32)):
        assert attention.choose(torch.device(device), dtype) == attention.GROUPED


@pytest.mark.gpu
@pytest.mark.parametrize("lengths", [[64] * 5, [64, 16, 64, 8], [1, 300]])
def test_varlen(lengths: list[int]) -> None:
    query, key, value = torch.randn(3, sum(lengths), HEADS, DIM, device="cuda").bfloat16().transpose(1, 2)[:, None]
    bounds = torch.tensor([0, *lengths]).cumsum(0).int().cuda()
    ours, _ = attention.varlen(
        torch.nn.Identity(), query, key, value, None, scaling=1.0, cu_seq_lens_q=bounds, max_length_q=max(lengths)
    )
    torch.testing.assert_close(ours, one_by_one(query, key, value, lengths, 1.0), rtol=2e-2, atol=2e-2)
