"""Qwen2.5-VL: images and video, attention within windows but for a few full blocks."""

from pathlib import Path
from typing import Any, ClassVar

import torch
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VisionTransformerPretrainedModel
from transformers.vision_utils import get_vision_window_index

from fleet_encoder.families import small
from fleet_encoder.families.qwen_vision import QwenVision
from fleet_encoder.runner import attention


class Qwen25VL(QwenVision):
    """See `Family`."""

    name: ClassVar[str] = "qwen2_5_vl"
    architectures: ClassVar[frozenset[str]] = frozenset({"Qwen2_5_VLForConditionalGeneration"})
    config_class = Qwen2_5_VLConfig
    tower_class = Qwen2_5_VisionTransformerPretrainedModel
    tells_seconds: ClassVar[bool] = True

    @staticmethod
    def width(vision: Any) -> int:
        """Width of an embedding row."""
        return int(vision.out_hidden_size)

    def layout(self, grids: torch.Tensor) -> dict[str, Any]:
        """Index tensors of a pass, windows included."""
        vision = self.vision
        order, bounds = get_vision_window_index(grids, vision.spatial_merge_size, vision.window_size, vision.patch_size)
        return {
            **super().layout(grids),
            "window_index": order,
            "cu_window_seqlens": bounds,
            "max_window_seqlen": attention.longest(bounds),
        }

    @classmethod
    def create(cls, directory: Path, *, seed: int = 0) -> None:
        """Write a small model with random weights."""
        config = Qwen2_5_VLConfig(
            architectures=sorted(cls.architectures),
            vision_config={
                "depth": 4,
                "hidden_size": 256,
                "num_heads": 8,
                "intermediate_size": 684,
                "out_hidden_size": small.TEXT["hidden_size"],
                "fullatt_block_indexes": [1, 3],
            },
            text_config=small.VISION_TEXT,
            **small.VISION_TOKENS,
        )
        small.save_vision(directory, Qwen2_5_VLForConditionalGeneration, config, seed)
