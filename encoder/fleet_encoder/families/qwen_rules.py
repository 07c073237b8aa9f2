"""What the processors' files of a Qwen vision model say, read by transformers' own processor classes."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import Qwen2VLImageProcessor, Qwen2VLVideoProcessor

from fleet_encoder.errors import Invalid
from fleet_encoder.families import model_files
from fleet_encoder.families.qwen_sizes import FrameRules, Sizes
from fleet_encoder.families.qwen_tower import Affine

DEFAULT_FPS = 2.0
"""What the model cards sample with; the processors have no default of their own."""

BICUBIC = 3
"""PIL's number, which the processors' files use."""


@dataclass(frozen=True, slots=True)
class Rules:
    """All of preprocessing that a model's files decide.

    Attributes:
        image_sizes: Of an image: to preprocessing, a clip of one frame with grid steps of one frame.
        video_sizes: Of frames.
        frames: Which frames are sampled.
        image_affine: Normalisation of images.
        video_affine: Normalisation of frames.
    """

    image_sizes: Sizes
    video_sizes: Sizes
    frames: FrameRules
    image_affine: Affine
    video_affine: Affine


def read_rules(directory: Path, vision: Any) -> Rules:
    """Read the image and the video processor of the model whose vision config is `vision`.

    Without a `video_preprocessor_config.json`, transformers takes the image processor's limits for video; so does this.

    Raises:
        Invalid: A file is missing, of another model, or asks for what this code does not do.
    """
    image = model_files.from_directory(
        Qwen2VLImageProcessor, directory, "preprocessor_config.json", "processor_config.json"
    )
    video = model_files.from_directory(Qwen2VLVideoProcessor, directory)
    for processor in (image, video):
        _check(processor, vision, directory)
    return Rules(
        image_sizes=dataclasses.replace(_sizes(image), temporal=1),
        video_sizes=_sizes(video),
        frames=FrameRules(
            fps=float(getattr(video, "fps", None) or DEFAULT_FPS),
            frames=getattr(video, "num_frames", None),
            min_frames=video.min_frames,
            max_frames=video.max_frames,
            temporal=video.temporal_patch_size,
        ),
        image_affine=_affine(image),
        video_affine=_affine(video),
    )


def _check(processor: Any, vision: Any, directory: Path) -> None:
    """Refuse settings that are not implemented, rather than encode something else."""
    name = type(processor).__name__
    if not processor.do_resize or processor.resample != BICUBIC:
        raise Invalid(f"{directory}: {name} with do_resize false or resample other than bicubic (3) is not served")
    for ours, theirs in (
        ("patch_size", "patch_size"),
        ("temporal_patch_size", "temporal_patch_size"),
        ("merge_size", "spatial_merge_size"),
    ):
        if getattr(processor, ours) != getattr(vision, theirs):
            raise Invalid(
                f"{directory}: {ours} of {name} is {getattr(processor, ours)}, but {theirs} of config.json's "
                f"vision_config is {getattr(vision, theirs)}: the files are of different models"
            )


def _sizes(processor: Any) -> Sizes:
    side = processor.patch_size * processor.merge_size
    clip = None
    if getattr(processor, "cap_pixels_per_frame", None):
        clip = int(processor.max_video_tokens * side * side * 0.9)  # the processor's share of the context
    return Sizes(
        patch=processor.patch_size,
        merge=processor.merge_size,
        temporal=processor.temporal_patch_size,
        min_pixels=processor.size["shortest_edge"],
        max_pixels=processor.size["longest_edge"],
        clip_pixels=clip,
    )


def _affine(processor: Any) -> Affine:
    scale = float(processor.rescale_factor) if processor.do_rescale else 1.0
    if not processor.do_normalize:
        return Affine((scale,) * 3, (0.0,) * 3)
    mean, std = processor.image_mean, processor.image_std
    return Affine(
        tuple(scale / deviation for deviation in std),
        tuple(-average / deviation for average, deviation in zip(mean, std, strict=True)),
    )
