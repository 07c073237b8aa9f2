"""Video of a Qwen vision model as SGLang's own encoder prepares it: `Preparation` beside the family's own."""

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from fleet_client.protocol import Modality, Sampling
from fleet_encoder.families import qwen_sglang
from fleet_encoder.families.base import Features, Fit, Media, MediaInfo, Video, VideoInfo
from fleet_encoder.families.qwen_patches import SLICE, to_device

if TYPE_CHECKING:
    from fleet_encoder.families.qwen_vision import QwenVision


def bilinear(frames: torch.Tensor, width: int, height: int) -> torch.Tensor:
    """Antialiased bilinear resize of uint8 `[n, h, w, 3]`, a few frames at a time.

    Bit-equal to `torchvision.transforms.functional.resize`, which computes in floating point, also on the CPU.
    """
    parts = []
    for part in frames.split(SLICE):
        planes = part.permute(0, 3, 1, 2).float()
        planes = functional.interpolate(planes, (height, width), mode="bilinear", align_corners=False, antialias=True)
        parts.append(planes.round_().to(torch.uint8).permute(0, 2, 3, 1).contiguous())
    return torch.cat(parts)


class SglangVideo:
    """See `Preparation`. All but video is the family's own."""

    def __init__(self, family: "QwenVision") -> None:
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
            frames = bilinear(to_device(frames, device), wide, high)
        return self._family.video_features(media, frames, device)
