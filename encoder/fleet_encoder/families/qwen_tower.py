"""The vision tower of the Qwen families: transformers' own blocks behind a patch embedding that takes uint8."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional

CENTRE = 128
"""Subtracted from uint8 before the product: -128..127 is exact in bfloat16 and rounds less in float32."""


@dataclass(frozen=True, slots=True)
class Affine:
    """Normalisation of a pixel: `scale * pixel + offset`, a channel each."""

    scale: tuple[float, ...]
    offset: tuple[float, ...]


class PatchEmbedding(nn.Module):
    """The patch convolution as a matrix product over raw uint8 patches, with the normalisation folded into it.

    With `y = sum W (s x + o)`: the matrix is `W s`, and all else is a bias. An image is one frame shown `temporal`
    times, so its matrix is summed over time: half the work and half the bytes.

    Args:
        weight: Of the convolution, `[dim, 3, temporal, patch, patch]`.
        image: Normalisation of images.
        video: Normalisation of video frames.
    """

    def __init__(self, weight: torch.Tensor, image: Affine, video: Affine) -> None:
        super().__init__()
        exact = weight.detach().double().permute(0, 2, 3, 4, 1)  # the order of bytes in a patch row
        self.image_weight, self.image_bias = _fold(exact.sum(1, keepdim=True), image, weight.dtype)
        self.video_weight, self.video_bias = _fold(exact, video, weight.dtype)

    def forward(self, images: torch.Tensor | None, videos: torch.Tensor | None) -> torch.Tensor:
        """uint8 rows of images, then of videos, to `[rows, dim]` in that order."""
        parts = []
        if images is not None:
            parts.append(functional.linear(self._centred(images), self.image_weight, self.image_bias))
        if videos is not None:
            parts.append(functional.linear(self._centred(videos), self.video_weight, self.video_bias))
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _centred(self, rows: torch.Tensor) -> torch.Tensor:
        return rows.to(self.image_weight.dtype).sub_(CENTRE)


def _fold(weight: torch.Tensor, affine: Affine, dtype: torch.dtype) -> tuple[nn.Buffer, nn.Buffer]:
    scale = torch.tensor(affine.scale, dtype=torch.float64, device=weight.device)
    offset = torch.tensor(affine.offset, dtype=torch.float64, device=weight.device)
    bias = (weight * (CENTRE * scale + offset)).flatten(1).sum(1)
    return nn.Buffer((weight * scale).flatten(1).to(dtype)), nn.Buffer(bias.to(dtype))


class VisionTower(nn.Module):
    """Patch rows in, tokens out.

    Args:
        tower: transformers' vision tower; its own patch embedding is taken out.
        image: Normalisation of images.
        video: Normalisation of video frames.
    """

    def __init__(self, tower: nn.Module, image: Affine, video: Affine) -> None:
        super().__init__()
        self.embedding = PatchEmbedding(tower.patch_embed.proj.weight, image, video)  # type: ignore[union-attr,arg-type]
        tower.patch_embed = nn.Identity()
        self.tower = tower

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.embedding.image_weight.device

    def forward(
        self, images: torch.Tensor | None, videos: torch.Tensor | None, grids: torch.Tensor, layout: dict[str, Any]
    ) -> torch.Tensor:
        """One pass.

        Args:
            images: uint8 rows of all images, or None.
            videos: uint8 rows of all videos, or None.
            grids: int64 `[items, 3]`, images first.
            layout: Index tensors that the tower would else compute on its device, waiting for it each time.

        Returns:
            `[tokens, dim]`, images first.
        """
        tokens = self.tower(self.embedding(images, videos), grid_thw=grids, **layout).pooler_output
        assert isinstance(tokens, torch.Tensor)
        return tokens
