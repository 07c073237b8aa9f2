"""The one function of vLLM that SGLang calls where there is no CUDA."""

import torch


def rotary_embedding(
    positions: torch.Tensor,
    query: torch.Tensor,
    key: torch.Tensor,
    head_size: int,
    cos_sin_cache: torch.Tensor,
    is_neox: bool,
) -> None:
    """Rotate `query` and `key`, `[tokens, heads * head_size]`, in place; the cache's rows are cosines, then sines."""
    cos, sin = cos_sin_cache[positions.flatten()].unsqueeze(1).chunk(2, dim=-1)
    rotated = 2 * cos.shape[-1]
    for rows in (query, key):
        part = rows.view(cos.shape[0], -1, head_size)[..., :rotated]
        # Pairs are the two halves (GPT-NeoX), or neighbours (GPT-J).
        first, second = part.chunk(2, dim=-1) if is_neox else (part[..., ::2], part[..., 1::2])
        turned = first * cos - second * sin, second * cos + first * sin
        first.copy_(turned[0])
        second.copy_(turned[1])
