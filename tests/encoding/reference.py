"""transformers' own model, processor and loaders: the truth that families are held to."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torchcodec.decoders import AudioDecoder, VideoDecoder
from transformers import (
    AutoModelForImageTextToText,
    Qwen2AudioForConditionalGeneration,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
    WhisperFeatureExtractor,
)
from transformers.image_utils import load_image

from fleet_encoder.families import family_for
from fleet_encoder.families.base import Audio, AudioInfo, Family, Features, Image, ImageInfo, Media, Video, VideoInfo
from fleet_encoder.families.passes import run_all

CPU = torch.device("cpu")
TOLERANCE = 1e-5


def relative(ours: torch.Tensor, truth: torch.Tensor) -> float:
    """Relative error, also of the worst row."""
    assert ours.shape == truth.shape
    whole = (ours.double() - truth.double()).norm() / truth.double().norm()
    rows = (ours.double() - truth.double()).norm(dim=1) / truth.double().norm(dim=1)
    return max(float(whole), float(rows.max()) / 4)  # a row has less to average over


# Ours.


@lru_cache
def loaded(directory: Path) -> tuple[Family, nn.Module]:
    """The family of a model directory, and its tower in float32."""
    family = family_for(directory)(directory)
    tower, _ = family.load(directory, CPU, torch.float32)
    return family, tower


def prepared(directory: Path, media: Media) -> Features:
    return loaded(directory)[0].preprocess(media, CPU)


@torch.inference_mode()
def encoded(directory: Path, *items: Features) -> list[torch.Tensor]:
    family, tower = loaded(directory)
    return run_all(family.encode(tower, list(items)))


def picture(path: Path) -> Image:
    pixels = np.array(load_image(str(path)))
    return Image(pixels, ImageInfo(pixels.shape[1], pixels.shape[0], path.suffix[1:]))


def header(path: Path) -> VideoInfo:
    found = VideoDecoder(str(path)).metadata
    assert found.num_frames
    assert found.average_fps
    assert found.width
    assert found.height
    return VideoInfo(
        found.num_frames, found.average_fps, found.duration_seconds or 0.0, found.width, found.height, "h264"
    )


def clip(path: Path, indices: list[int]) -> Video:
    frames = VideoDecoder(str(path), dimension_order="NHWC").get_frames_at(indices)
    return Video(frames.data, indices, frames.pts_seconds.tolist(), header(path), "torchcodec")


def sound(samples: np.ndarray[Any, Any]) -> Audio:
    return Audio(samples, 16_000, AudioInfo(len(samples) / 16_000, 16_000, 1, "pcm"), "torchcodec")


def spoken(path: Path) -> np.ndarray[Any, Any]:
    """Mono samples at 16 kHz."""
    samples: np.ndarray[Any, Any] = (
        AudioDecoder(str(path), sample_rate=16_000, num_channels=1).get_all_samples().data[0].numpy()
    )
    return samples


# Theirs.


@lru_cache
def vision_model(directory: Path) -> Any:
    return AutoModelForImageTextToText.from_pretrained(directory).eval()


@lru_cache
def audio_model(directory: Path) -> Any:
    return Qwen2AudioForConditionalGeneration.from_pretrained(directory).eval()


@torch.inference_mode()
def image_truth(directory: Path, path: Path) -> tuple[torch.Tensor, list[int]]:
    """Embedding and grid of an image file."""
    inputs = Qwen2VLImageProcessor.from_pretrained(directory)(images=str(path), return_tensors="pt")
    tokens: torch.Tensor = vision_model(directory).get_image_features(**inputs).pooler_output[0]
    return tokens, inputs["image_grid_thw"][0].tolist()


@torch.inference_mode()
def video_truth(directory: Path, path: Path, **sampling: float) -> tuple[torch.Tensor, list[int], Any]:
    """Embedding, grid and metadata of a video file."""
    processor = Qwen2VLVideoProcessor.from_pretrained(directory)
    inputs = processor(videos=str(path), do_sample_frames=True, return_metadata=True, return_tensors="pt", **sampling)
    metadata = inputs.pop("video_metadata")[0]
    tokens: torch.Tensor = vision_model(directory).get_video_features(**inputs).pooler_output[0]
    return tokens, inputs["video_grid_thw"][0].tolist(), metadata


@torch.inference_mode()
def audio_truth(directory: Path, clips: list[np.ndarray[Any, Any]]) -> list[torch.Tensor]:
    """What the forward of the whole model puts in the place of each clip's audio tokens."""
    extractor = WhisperFeatureExtractor.from_pretrained(directory)
    inputs = extractor(clips, sampling_rate=16_000, return_attention_mask=True, return_tensors="pt")
    counts = [((int(frames) - 1) // 2 + 1) // 2 for frames in inputs["attention_mask"].sum(-1)]
    model, seen = audio_model(directory), {}
    # One row of text with all clips in it, an ordinary token behind each.
    ids = torch.tensor([[token for count in counts for token in [model.config.audio_token_id] * count + [9]]])
    hook = model.model.language_model.register_forward_pre_hook(
        lambda _module, _args, kwargs: seen.update(kwargs), with_kwargs=True
    )
    try:
        model.model(
            input_ids=ids,
            input_features=inputs["input_features"],
            feature_attention_mask=inputs["attention_mask"],
            attention_mask=torch.ones_like(ids),
        )
    finally:
        hook.remove()
    rows = seen["inputs_embeds"][0]
    return [part[:-1] for part in rows.split([count + 1 for count in counts])]
