"""A whole small Qwen2.5-VL with random weights: one directory for our encoder, SGLang's, and its language server.

`encoderfleet model new` makes what an encoder needs; here a tokenizer and a chat template come on top. Text is
tokenized byte by byte, so that nothing has to be trained or fetched.
"""

from pathlib import Path
from typing import Any

import torch
from tokenizers.pre_tokenizers import ByteLevel
from transformers import (
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2Tokenizer,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
)

from fleet_encoder.families import small

HIDDEN = 64
CONTEXT = 32_768

SPECIAL = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
)

CHAT_TEMPLATE = """\
{%- for message in messages -%}
<|im_start|>{{ message.role }}
{% if message.content is string -%}
{{ message.content }}
{%- else -%}
{%- for part in message.content -%}
{%- if part.type in ('image', 'image_url') -%}
<|vision_start|><|image_pad|><|vision_end|>
{%- elif part.type in ('video', 'video_url') -%}
<|vision_start|><|video_pad|><|vision_end|>
{%- else -%}
{{ part.text }}
{%- endif -%}
{%- endfor -%}
{%- endif -%}
<|im_end|>
{% endfor -%}
{%- if add_generation_prompt -%}
<|im_start|>assistant
{% endif -%}
"""


def create(directory: Path, *, seed: int = 0) -> Path:
    """Write the model into `directory`, which may not exist yet; the same seed writes the same weights."""
    directory.mkdir(parents=True, exist_ok=True)
    tokenizer = _tokenizer()
    small.save(directory, _in_bfloat16, _config(tokenizer), seed)
    images, videos = Qwen2VLImageProcessor(), Qwen2VLVideoProcessor()
    processor = Qwen2_5_VLProcessor(images, tokenizer, videos, chat_template=CHAT_TEMPLATE)
    processor.save_pretrained(directory)
    # Also as files of their own: published checkpoints have them, and our encoder reads them there.
    images.save_pretrained(directory)
    videos.save_pretrained(directory)
    return directory


def _in_bfloat16(config: Qwen2_5_VLConfig) -> Any:
    # What published checkpoints are in. From float32, SGLang would go to float16 by itself.
    return Qwen2_5_VLForConditionalGeneration(config).to(torch.bfloat16)


def _tokenizer() -> Qwen2Tokenizer:
    letters = sorted(ByteLevel.alphabet())
    return Qwen2Tokenizer(
        vocab={letter: number for number, letter in enumerate(letters)},
        merges=[],
        unk_token=None,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        extra_special_tokens=list(SPECIAL),
        model_max_length=CONTEXT,
    )


def _config(tokenizer: Qwen2Tokenizer) -> Qwen2_5_VLConfig:
    number = tokenizer.convert_tokens_to_ids
    return Qwen2_5_VLConfig(
        architectures=["Qwen2_5_VLForConditionalGeneration"],
        vision_config={
            "depth": 2,
            "hidden_size": HIDDEN,
            "num_heads": 4,
            "intermediate_size": 2 * HIDDEN,
            "out_hidden_size": HIDDEN,
            "fullatt_block_indexes": [1],
        },
        text_config={
            "vocab_size": -(-len(tokenizer) // 64) * 64,
            "hidden_size": HIDDEN,
            "intermediate_size": 2 * HIDDEN,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": CONTEXT,
            "bos_token_id": number("<|endoftext|>"),
            "eos_token_id": number("<|im_end|>"),
            "rope_parameters": {"rope_type": "default", "rope_theta": 1_000_000.0, "mrope_section": [2, 3, 3]},
        },
        vision_start_token_id=number("<|vision_start|>"),
        vision_end_token_id=number("<|vision_end|>"),
        vision_token_id=number("<|vision_pad|>"),
        image_token_id=number("<|image_pad|>"),
        video_token_id=number("<|video_pad|>"),
    )
