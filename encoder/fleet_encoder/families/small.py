"""Small models with random weights in Hugging Face layout: for a first try, demos and tests.

The classes, files and layers are the real ones; only depth, width and vocabulary are small.
"""

from pathlib import Path
from typing import Any

import torch
from transformers import Qwen2VLImageProcessor, Qwen2VLVideoProcessor
from transformers.utils import logging

TEXT: dict[str, Any] = {
    "vocab_size": 1024,
    "hidden_size": 512,
    "intermediate_size": 1024,
    "num_hidden_layers": 2,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "max_position_embeddings": 32_768,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
"""A language model just large enough to take the embeddings; its width is theirs."""

VISION_TEXT: dict[str, Any] = {
    **TEXT,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1_000_000.0, "mrope_section": [8, 12, 12]},
}

VISION_TOKENS = {
    "vision_start_token_id": 3,
    "vision_end_token_id": 4,
    "image_token_id": 5,
    "video_token_id": 6,
}


def save(directory: Path, model_class: type[Any], config: Any, seed: int) -> None:
    """Write config.json and model.safetensors; the caller's random state is left alone."""
    logging.disable_progress_bar()
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = model_class(config)
        model.save_pretrained(directory)
        for path in directory.glob("*.safetensors"):  # written for the owner's eyes only, unlike all else
            path.chmod(0o644)
    finally:
        logging.enable_progress_bar()


def save_vision(directory: Path, model_class: type[Any], config: Any, seed: int) -> None:
    """As `save`, with the processors' files."""
    save(directory, model_class, config, seed)
    Qwen2VLImageProcessor().save_pretrained(directory)
    Qwen2VLVideoProcessor().save_pretrained(directory)
