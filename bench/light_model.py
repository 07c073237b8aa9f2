"""A model directory whose vision tower is so small that, on a CPU, it takes about as long as the real one on a GPU.

An encoder pool has its tower on a GPU, where Qwen2.5-VL-7B's takes some 5 ms for a 640x480 photo. On a CPU even four
narrow layers take twenty times as long, and then any two programs around them look alike. With this one a run measures
what the encoder itself does: load, decode, preprocess, schedule, deliver.
"""

import argparse
from pathlib import Path

from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

from fleet_encoder.families import small


def create(directory: Path) -> None:
    """Write it, in Hugging Face layout: the real classes and files, one layer, random weights."""
    directory.mkdir(parents=True, exist_ok=True)
    config = Qwen2_5_VLConfig(
        architectures=["Qwen2_5_VLForConditionalGeneration"],
        vision_config={
            "depth": 1,
            "hidden_size": 32,
            "num_heads": 1,
            "intermediate_size": 64,
            "out_hidden_size": small.TEXT["hidden_size"],
            "fullatt_block_indexes": [],
        },
        text_config=small.VISION_TEXT,
        **small.VISION_TOKENS,
    )
    small.save_vision(directory, Qwen2_5_VLForConditionalGeneration, config, seed=0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    create(parser.parse_args().directory)
