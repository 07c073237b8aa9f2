"""The audio tower of Qwen2-Audio on packed positions: transformers' own layers without their padding.

transformers runs every clip as 30 seconds. What a position becomes depends on its own window only, and on two mel
frames behind it: so the convolutions run on padded windows, and the layers, which are the work, on valid positions
packed one behind the other.
"""

from itertools import accumulate

import torch
from torch import nn
from torch.nn import functional
from transformers import Qwen2AudioConfig
from transformers.models.qwen2_audio.modeling_qwen2_audio import Qwen2AudioEncoder, Qwen2AudioMultiModalProjector

from fleet_encoder.families.audio_windows import Window


class AudioTower(nn.Module):
    """Mel frames in, tokens out.

    Args:
        config: Of the model; the parts get its audio config.
    """

    def __init__(self, config: Qwen2AudioConfig) -> None:
        super().__init__()
        self.audio_tower = Qwen2AudioEncoder(config.audio_config)
        self.multi_modal_projector = Qwen2AudioMultiModalProjector(config)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        device: torch.device = self.audio_tower.conv1.weight.device
        return device

    def forward(self, mels: list[torch.Tensor], windows: list[Window]) -> torch.Tensor:
        """One pass over windows of several clips.

        Args:
            mels: `[bins, frames]` a window, the two frames behind its last one included.
            windows: Of the same order.

        Returns:
            `[tokens, dim]`, all windows in order.
        """
        tower = self.audio_tower
        weight = tower.conv1.weight
        padded = torch.zeros(
            (len(mels), mels[0].shape[0], max(mel.shape[1] for mel in mels)), dtype=weight.dtype, device=weight.device
        )
        for row, mel in zip(padded, mels, strict=True):
            row[:, : mel.shape[1]].copy_(mel, non_blocking=True)
        hidden = functional.gelu(tower.conv2(functional.gelu(tower.conv1(padded)))).transpose(1, 2)
        hidden = hidden + tower.embed_positions.weight[: hidden.shape[1]]
        lengths = [window.positions for window in windows]
        packed = torch.cat([row[:length] for row, length in zip(hidden, lengths, strict=True)])[None]
        bounds = torch.tensor([0, *accumulate(lengths)], dtype=torch.int32).to(weight.device, non_blocking=True)
        for layer in tower.layers:
            packed = layer(
                packed,
                None,
                cu_seq_lens_q=bounds,
                cu_seq_lens_k=bounds,
                max_length_q=max(lengths),
                max_length_k=max(lengths),
            )
        parts = zip(packed[0].split(lengths), windows, strict=True)
        pairs = torch.cat([part[: window.tokens * 2] for part, window in parts]).unflatten(0, (-1, 2))
        tokens = self.multi_modal_projector(tower.layer_norm(pairs.mean(1)))
        assert isinstance(tokens, torch.Tensor)
        return tokens
