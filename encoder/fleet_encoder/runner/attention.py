"""Attention over many sequences packed one behind the other, without a loop over them.

transformers hands packed sequences to an attention function whose name contains "flash", and loops in Python over
all windows for any other. Two such functions are registered here: PyTorch's own variable-length kernel for half
precision on CUDA, and one for everything else, which computes all sequences of equal length in one call. Both are
used by a tower whose `config._attn_implementation` is the name that `choose` gives.
"""

import inspect
import itertools
from functools import lru_cache
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

try:
    from torch.nn.attention.varlen import varlen_attn
except ImportError:  # before PyTorch 2.10
    varlen_attn = None  # type: ignore[assignment]

VARLEN = "fleet_flash_varlen"
GROUPED = "fleet_flash_grouped"


def choose(device: torch.device, dtype: torch.dtype) -> str:
    """Name of the attention function for a tower on `device` in `dtype`."""
    if device.type != "cuda" or dtype not in (torch.float16, torch.bfloat16) or varlen_attn is None:
        return GROUPED
    if torch.cuda.get_device_capability(device) < (8, 0):  # the kernel needs Ampere
        return GROUPED
    return VARLEN if "scale" in inspect.signature(varlen_attn).parameters else GROUPED


def longest(bounds: torch.Tensor) -> int:
    """Length of the longest sequence between cumulative `bounds` `[sequences + 1]`."""
    return int(bounds.diff().max())


def varlen(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: None,
    *,
    scaling: float | None = None,
    cu_seq_lens_q: torch.Tensor,
    max_length_q: int,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """PyTorch's kernel for packed sequences. Shapes as for `grouped`."""
    q, k, v = (tensor[0].transpose(0, 1) for tensor in (query, key, value))
    packed = varlen_attn(q, k, v, cu_seq_lens_q, cu_seq_lens_q, max_length_q, max_length_q, scale=scaling)
    assert isinstance(packed, torch.Tensor)
    return packed[None], None


def grouped(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: None,
    *,
    scaling: float | None = None,
    cu_seq_lens_q: torch.Tensor,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """One call for all sequences of equal length.

    Args:
        module: Not used.
        query: `[1, heads, tokens, head_dim]`; `key` and `value` alike.
        key: See `query`.
        value: See `query`.
        attention_mask: None: the bounds say it all.
        scaling: Of the products; 1 / sqrt(head_dim) where None.
        cu_seq_lens_q: Bounds of the sequences, `[sequences + 1]`.

    Returns:
        `[1, tokens, heads, head_dim]`, and no weights.
    """
    q, k, v = (tensor[0].transpose(0, 1) for tensor in (query, key, value))  # [tokens, heads, head_dim]
    groups = _groups(tuple(cu_seq_lens_q.tolist()), query.device)
    if len(groups) == 1:
        length, _index = groups[0]
        return _attend(q, k, v, length, scaling)[None], None
    result = torch.empty_like(q, memory_format=torch.contiguous_format)
    for length, index in groups:
        part = _attend(q.index_select(0, index), k.index_select(0, index), v.index_select(0, index), length, scaling)
        result.index_copy_(0, index, part)
    return result[None], None


def _attend(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, length: int, scaling: float | None
) -> torch.Tensor:
    """Attention within consecutive runs of `length` tokens of `[tokens, heads, head_dim]`."""
    q, k, v = (tensor.unflatten(0, (-1, length)).transpose(1, 2) for tensor in (query, key, value))
    return scaled_dot_product_attention(q, k, v, scale=scaling).transpose(1, 2).flatten(0, 1)


@lru_cache(maxsize=16)
def _groups(bounds: tuple[int, ...], device: torch.device) -> list[tuple[int, torch.Tensor]]:
    """Sequences by length: (length, their tokens' numbers). Every layer of a tower asks for the same."""
    starts: dict[int, list[int]] = {}
    for start, stop in itertools.pairwise(bounds):
        starts.setdefault(stop - start, []).append(start)
    return [
        (length, (torch.tensor(first)[:, None] + torch.arange(length)).flatten().to(device))
        for length, first in starts.items()
        if length
    ]


if varlen_attn is not None:
    AttentionInterface.register(VARLEN, varlen)
AttentionInterface.register(GROUPED, grouped)
