"""What Qwen2-VL and Qwen2.5-VL have in common: all but the tower's class and its windows."""

import copy
import dataclasses
import math
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn
from transformers.vision_utils import get_vision_cu_seqlens, get_vision_position_ids

from fleet_client.protocol import Meta, Modality, Sampling
from fleet_encoder.errors import Incompatible
from fleet_encoder.families import model_files, qwen_sglang
from fleet_encoder.families.base import (
    Audio,
    AudioInfo,
    Features,
    Fit,
    Image,
    ImageInfo,
    Media,
    MediaInfo,
    Passes,
    Preparation,
    Video,
    VideoInfo,
)
from fleet_encoder.families.passes import Piece, passes
from fleet_encoder.families.qwen_patches import patch_rows, resize
from fleet_encoder.families.qwen_rules import read_rules
from fleet_encoder.families.qwen_tower import VisionTower
from fleet_encoder.families.qwen_video_sglang import SglangVideo
from fleet_encoder.runner import attention, weights

PASS_PATCHES = 16_384
"""Patches in one forward pass at most: what lies over it is computed in parts, cut between grid steps."""

CPU_PASS_PATCHES = 4_096
"""The same where a CPU computes: a pass holds its CPUs until it ends, and larger ones are no faster there."""

_NO_AUDIO = "this model encodes images and video, not audio: send audio to an audio model's pool"


class QwenVision:
    """Base of the Qwen vision families; implements the `Family` protocol but for `name`, `architectures`, `create`."""

    modalities: ClassVar[frozenset[Modality]] = frozenset({"image", "video"})
    config_class: ClassVar[type[Any]]
    tower_class: ClassVar[type[Any]]
    tells_seconds: ClassVar[bool] = False
    """Whether the language model wants to know the seconds of a grid step."""

    def __init__(self, directory: Path) -> None:
        raw = model_files.read_config(directory)
        self.vision = model_files.from_directory(self.config_class, directory).vision_config
        self.rules = read_rules(directory, self.vision)
        self.audio_rate = 0
        self.differs: dict[Modality, str] = {}
        self.sglang_grid_seconds = self.rules.video_sizes.temporal / qwen_sglang.FPS if self.tells_seconds else None
        self.dim = self.width(self.vision)
        self.video_decode_threads = model_files.decode_threads(raw)
        self.settings: dict[str, Any] = {"vision": raw.get("vision_config"), "rules": dataclasses.asdict(self.rules)}

    def as_sglang(self) -> Preparation:
        """Video with SGLang's sampling and sizes."""
        return SglangVideo(self)

    @staticmethod
    def width(vision: Any) -> int:
        """Width of an embedding row, from the vision config."""
        raise NotImplementedError

    def layout(self, grids: torch.Tensor) -> dict[str, Any]:
        """Index tensors of a pass over `grids` `[items, 3]`, on the CPU."""
        bounds = get_vision_cu_seqlens(grids)
        return {
            "position_ids": get_vision_position_ids(grids, self.vision.spatial_merge_size),
            "cu_seqlens": bounds,
            "max_seqlen": attention.longest(bounds),
        }

    def sample(self, info: VideoInfo, sampling: Sampling | None) -> list[int]:
        """Frame numbers to decode, in order, each below `info.frames`, at least one."""
        return self.rules.frames.numbers(info.frames, info.fps, sampling)

    def patches(self, info: MediaInfo, frames: int = 1) -> int:
        """Patches that the item will cost; `frames` sampled frames for video."""
        if isinstance(info, AudioInfo):
            raise Incompatible(_NO_AUDIO)
        if isinstance(info, ImageInfo):
            return math.prod(self.rules.image_sizes.grid(info.width, info.height))
        return self.grid_patches(info.width, info.height, frames)

    def grid_patches(self, width: int, height: int, frames: int) -> int:
        """Patches of a clip of so many frames of that size."""
        return math.prod(self.rules.video_sizes.grid(width, height, frames))

    def fit(self, info: VideoInfo, frames: int) -> Fit | None:
        """The tower's size, where that is the smaller one, and `preprocess` will take it as it is.

        Of a long and thin frame the processors' arithmetic makes another size once more, from its own result.
        """
        sizes = self.rules.video_sizes
        width, height = sizes.target(info.width, info.height, frames)
        smaller = width * height < info.width * info.height
        settled = smaller and sizes.target(width, height, frames) == (width, height)
        return Fit(width, height, resize) if settled else None

    def preprocess(self, media: Media, device: torch.device) -> Features:
        """Resize and cut into uint8 patches."""
        if isinstance(media, Audio):
            raise Incompatible(_NO_AUDIO)
        if isinstance(media, Video):
            return self.video_features(media, media.frames, device)
        # torch warns of arrays that it could write to and must not.
        pixels = media.pixels if media.pixels.flags.writeable else media.pixels.copy()
        rows, grid = patch_rows(torch.from_numpy(pixels)[None], self.rules.image_sizes, device)
        meta = Meta(
            tokens=self._tokens(grid),
            patches=len(rows),
            grid=grid,
            original_size=(media.info.width, media.info.height),
        )
        return Features("image", rows, len(rows), meta)

    def video_features(self, media: Video, frames: torch.Tensor, device: torch.device) -> Features:
        """Features of a clip whose decoded, maybe resized frames are `frames`, uint8 `[n, h, w, 3]`."""
        info = media.info
        rows, grid = patch_rows(frames, self.rules.video_sizes, device)
        # A file that tells no rate has only its presentation times.
        fps = len(media.frames) / info.frames * info.fps if info.fps > 0 else None
        meta = Meta(
            tokens=self._tokens(grid),
            patches=len(rows),
            grid=grid,
            original_size=(info.width, info.height),
            fps=fps,
            source_fps=info.fps if fps else None,
            frame_indices=media.indices,
            timestamps=[index / info.fps for index in media.indices] if fps else media.pts,
            pts=media.pts,
            second_per_grid=self.rules.video_sizes.temporal / fps if self.tells_seconds and fps else None,
            duration=info.duration,
            decoder=media.decoder,
        )
        return Features("video", rows, len(rows), meta)

    def _tokens(self, grid: tuple[int, int, int]) -> int:
        return math.prod(grid) // self.rules.image_sizes.merge**2

    def load(self, directory: Path, device: torch.device, dtype: torch.dtype) -> tuple[nn.Module, weights.Loaded]:
        """The tower in eval mode, and what was read for it."""
        vision = copy.deepcopy(self.vision)
        with torch.device("meta"):
            tower = self.tower_class(vision)
        # Computed, not stored: made anew off the meta device.
        tower.rotary_pos_emb = type(tower.rotary_pos_emb)(vision).to(device)
        loaded = weights.load(tower, directory, {"": ("visual.", "model.visual.")}, device, dtype)
        vision._attn_implementation = attention.choose(device, dtype)
        return VisionTower(tower, self.rules.image_affine, self.rules.video_affine).eval(), loaded

    def pass_share(self, item: Features, device: torch.device) -> float:
        """By its patches."""
        return item.patches / _limit(device)

    def pass_count(self, item: Features, device: torch.device) -> int:
        """One for every image, however large."""
        return len(passes([_grid_steps(item)], _limit(device)))

    def encode(self, tower: nn.Module, batch: list[Features]) -> Passes:
        """Images and videos of several requests, in passes where they are too many for one."""
        assert isinstance(tower, VisionTower)
        parts: list[list[torch.Tensor]] = [[] for _ in batch]
        for number, plan in enumerate(passes([_grid_steps(item) for item in batch], _limit(tower.device))):
            if number:
                yield
            pieces = sorted(plan, key=lambda piece: batch[piece.item].modality)  # images first
            for piece, tokens in zip(pieces, self._forward(tower, batch, pieces), strict=True):
                parts[piece.item].append(tokens)
        return [part[0] if len(part) == 1 else torch.cat(part) for part in parts]

    def _forward(self, tower: VisionTower, batch: list[Features], pieces: list[Piece]) -> tuple[torch.Tensor, ...]:
        rows: dict[str, list[torch.Tensor]] = {"image": [], "video": []}
        grids = []
        for piece in pieces:
            item = batch[piece.item]
            _, h, w = _grid(item)
            grids.append((piece.stop - piece.start, h, w))
            part = item.tensor[piece.start * h * w : piece.stop * h * w]
            rows[item.modality].append(part.to(tower.device, non_blocking=True))
        table = torch.tensor(grids)
        layout = {
            key: value.to(tower.device, non_blocking=True) if isinstance(value, torch.Tensor) else value
            for key, value in self.layout(table).items()
        }
        tokens = tower(_joined(rows["image"]), _joined(rows["video"]), table, layout)
        return torch.split(tokens, [self._tokens(grid) for grid in grids])

    def example(self, modality: Modality) -> Media:
        """A grey image, or a clip of four grey frames in two seconds."""
        side = 8 * self.rules.image_sizes.patch * self.rules.image_sizes.merge
        frame = np.full((side, side, 3), 128, np.uint8)
        if modality == "image":
            return Image(frame, ImageInfo(side, side, "raw"))
        if modality == "video":
            info = VideoInfo(4, 2.0, 2.0, side, side, "raw")
            return Video(torch.from_numpy(np.stack([frame] * 4)), [0, 1, 2, 3], [0.0, 0.5, 1.0, 1.5], info, "none")
        raise Incompatible(f"this model has no {modality}")


def _limit(device: torch.device) -> int:
    return CPU_PASS_PATCHES if device.type == "cpu" else PASS_PATCHES


def _grid_steps(item: Features) -> tuple[int, int]:
    """Their number, and the patches of each: what may go into a pass by itself."""
    t, h, w = _grid(item)
    return t, h * w


def _grid(item: Features) -> tuple[int, int, int]:
    assert item.meta.grid is not None
    return item.meta.grid


def _joined(rows: list[torch.Tensor]) -> torch.Tensor | None:
    if not rows:
        return None
    return rows[0] if len(rows) == 1 else torch.cat(rows)
