"""Qwen2-VL: images and video, full attention within every grid step."""

from pathlib import Path
from typing import Any, ClassVar

from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration
from transformers.models.qwen2_vl.modeling_qwen2_vl import Qwen2VisionTransformerPretrainedModel

from fleet_encoder.families import small
from fleet_encoder.families.qwen_vision import QwenVision


class Qwen2VL(QwenVision):
    """See `Family`."""

    name: ClassVar[str] = "qwen2_vl"
    architectures: ClassVar[frozenset[str]] = frozenset({"Qwen2VLForConditionalGeneration"})
    config_class = Qwen2VLConfig
    tower_class = Qwen2VisionTransformerPretrainedModel

    @staticmethod
    def width(vision: Any) -> int:
        """Width of an embedding row."""
        return int(vision.hidden_size)

    @classmethod
    def create(cls, directory: Path, *, seed: int = 0) -> None:
        """Write a small model with random weights."""
        config = Qwen2VLConfig(
            architectures=sorted(cls.architectures),
            vision_config={
                "depth": 4,
                "embed_dim": 256,
                "num_heads": 8,
                "mlp_ratio": 4,
                "hidden_size": small.TEXT["hidden_size"],
            },
            text_config=small.VISION_TEXT,
            **small.VISION_TOKENS,
        )
        small.save_vision(directory, Qwen2VLForConditionalGeneration, config, seed)
