"""Video of a Qwen vision model as SGLang's own encoder prepares it: `Preparation` beside the family's own."""

from typing import Protocol

import torch
from torch.nn import functional

from fleet_client.protocol import Modality, Sampling
from fleet_encoder.families import qwen_sglang
from fleet_encoder.families.base import Features, Fit, Media, MediaInfo, Video, VideoInfo
from fleet_encoder.families.qwen_patches import SLICE, to_device
from fleet_encoder.families.qwen_rules import Rules


class Vision(Protocol):
    """What is wanted of the family, which makes all but video: see `QwenVision`."""

    audio_rate: int
    rules: Rules

    def patches(self, info: MediaInfo, frames: int = 1) -> int:
        """Of an item as the family prepares it."""
        ...

    def grid_patches(self, width: int, height: int, frames: int) -> int:
        """Of a clip whose frames are of that size."""
        ...

    def preprocess(self, media: Media, device: torch.device) -> Features:
        """The family's own preparation."""
        ...

    def video_features(self, media: Video, frames: torch.Tensor, device: torch.device) -> Features:
        """The family's own, of frames that were resized already."""
        ...


def bilinear(frames: torch.Tensor, width: int, height: int) -> torch.Tensor:
    """Antialiased resize of uint8 `[n, h, w, 3]`, bit-equal to torchvision's `transforms.functional`.

    That one works with floats and rounds, also on a CPU, whose faster kernel for bytes is off by one here and there.
    """
    if frames.shape[1:3] == (height, width):
        return frames
    planes = frames.permute(0, 3, 1, 2).float()
    planes = functional.interpolate(planes, (height, width), mode="bilinear", align_corners=False, antialias=True)
    return planes.round_().to(torch.uint8).permute(0, 2, 3, 1).contiguous()


class SglangVideo:
    """See `Preparation`. All but video is the family's own."""

    def __init__(self, family: Vision) -> None:
        self.audio_rate = family.audio_rate
        self.differs: dict[Modality, str] = {"video": "sglang"}
        self._family = family
        temporal = family.rules.video_sizes.temporal
        self._sizes = qwen_sglang.sizes(temporal)
        self._frames = qwen_sglang.frame_rules(temporal)

    def sample(self, info: VideoInfo, sampling: Sampling | None) -> list[int]:
        """Frame numbers to decode."""
        return self._frames.numbers(info.frames, info.fps, sampling)

    def patches(self, info: MediaInfo, frames: int = 1) -> int:
        """Patches that the item will cost."""
        if not isinstance(info, VideoInfo):
            return self._family.patches(info, frames)
        width, height = self._sizes.target(info.width, info.height, frames)
        return self._family.grid_patches(width, height, frames)

    def fit(self, info: VideoInfo, frames: int) -> Fit | None:
        """SGLang's size, where that is the smaller one, and a second time leaves it as it is."""
        width, height = self._sizes.target(info.width, info.height, frames)
        smaller = width * height < info.width * info.height
        settled = smaller and self._sizes.target(width, height, frames) == (width, height)
        return Fit(width, height, bilinear) if settled else None

    def preprocess(self, media: Media, device: torch.device) -> Features:
        """SGLang's resize, then the family's own preparation."""
        if not isinstance(media, Video):
            return self._family.preprocess(media, device)
        count, height, width, _ = media.frames.shape
        wide, high = self._sizes.target(width, height, count)
        frames = media.frames
        if (wide, high) != (width, height):
            frames = torch.empty((count, high, wide, 3), dtype=torch.uint8, device=device)
            at_once = 1 if device.type == "cpu" else SLICE  # as floats they are four times as large
            for start in range(0, count, at_once):
                part = to_device(media.frames[start : start + at_once], device)
                frames[start : start + at_once] = bilinear(part, wide, high)
        return self._family.video_features(media, frames, device)
