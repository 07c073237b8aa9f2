"""What today's encoder does in its threads: load, decode, run Hugging Face's processors. See `today.py` beside it."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
import torch
from PIL import Image
from torchcodec.decoders import VideoDecoder
from transformers import AutoImageProcessor, AutoModelForImageTextToText, AutoVideoProcessor
from transformers.image_utils import load_image
from transformers.video_utils import VideoMetadata

from fleet_client.protocol import Item, Meta, Sampling

IMAGE_TIMEOUT_SECONDS = 3
VIDEO_TIMEOUT_SECONDS = 10
MAX_DECODERS = 16
DEFAULT_VIDEO_FPS = 2.0


@dataclass(frozen=True, slots=True)
class Prepared:
    """Media ready for the tower: `pixels` [patches, patch_dim], `grid` [items, 3] and one `Meta` an item."""

    pixels: torch.Tensor
    grid: torch.Tensor
    metas: list[Meta]


class Model:
    """Processors and tower as `transformers` gives them, in the dtype that the checkpoint is stored in.

    Args:
        directory: A Hugging Face model directory.
        dtype: `auto`, or a torch dtype's name.
    """

    def __init__(self, directory: Path, dtype: str = "auto") -> None:
        self.name = directory.name
        self.images = AutoImageProcessor.from_pretrained(directory)
        self.videos = AutoVideoProcessor.from_pretrained(directory)
        self.tower = AutoModelForImageTextToText.from_pretrained(
            directory, dtype=dtype if dtype == "auto" else getattr(torch, dtype)
        ).eval()
        self.dtype = self.tower.dtype
        self.dim = int(
            self.tower.config.vision_config.to_dict().get("out_hidden_size")
            or self.tower.config.vision_config.hidden_size
        )

    def prepare_images(self, images: list[Image.Image]) -> Prepared:
        """Hugging Face's image processor over all images of a request."""
        done = self.images(images=images, return_tensors="pt")
        metas = [
            _meta(grid, self.images.merge_size, original_size=image.size, decoder="pillow")
            for grid, image in zip(done["image_grid_thw"].tolist(), images, strict=True)
        ]
        return Prepared(done["pixel_values"], done["image_grid_thw"], metas)

    def prepare_video(self, data: bytes, sampling: Sampling | None) -> Prepared:
        """Decode the wanted frames over several decoders, then Hugging Face's video processor."""
        header = VideoDecoder(data).metadata
        indices = self._sample(header.num_frames, header.average_fps, sampling)
        frames = decode_frames(data, indices)
        done = self.videos(videos=[frames.permute(0, 3, 1, 2)], do_sample_frames=False, return_tensors="pt")
        meta = _meta(
            done["video_grid_thw"][0].tolist(),
            self.videos.merge_size,
            original_size=(header.width, header.height),
            source_fps=header.average_fps,
            frame_indices=indices,
            timestamps=[index / header.average_fps for index in indices],
            decoder="torchcodec",
        )
        return Prepared(done["pixel_values_videos"], done["video_grid_thw"], [meta])

    @torch.inference_mode()
    def forward(self, modality: str, prepared: Prepared) -> list[torch.Tensor]:
        """One forward of transformers' own tower: `[tokens, dim]` for each item."""
        if modality == "image":
            out = self.tower.get_image_features(prepared.pixels, image_grid_thw=prepared.grid)
        else:
            out = self.tower.get_video_features(prepared.pixels, video_grid_thw=prepared.grid)
        return list(out.pooler_output)

    def _sample(self, frames: int, rate: float, sampling: Sampling | None) -> list[int]:
        wanted: dict[str, Any] = {"fps": DEFAULT_VIDEO_FPS}
        if sampling is not None and sampling.frames is not None:
            wanted = {"num_frames": sampling.frames}
        elif sampling is not None and sampling.fps is not None:
            wanted = {"fps": sampling.fps}
        chosen = self.videos.sample_frames(VideoMetadata(total_num_frames=frames, fps=rate), **wanted)
        # torch.arange rounds up to one index past the end for ordinary lengths.
        return [int(index) for index in chosen.clamp(max=frames - 1)]


def decode_frames(data: bytes, indices: list[int]) -> torch.Tensor:
    """uint8 [n, height, width, 3]: `np.array_split` of the indices, a decoder and a thread for each part."""
    decoders = min(os.cpu_count() or 1, MAX_DECODERS, len(indices))
    parts = [part.tolist() for part in np.array_split(np.asarray(indices), decoders)]

    def decode(part: list[int]) -> torch.Tensor:
        frames: torch.Tensor = VideoDecoder(data, dimension_order="NHWC").get_frames_at(part).data
        return frames

    if len(parts) == 1:
        return decode(parts[0])
    with ThreadPoolExecutor(decoders) as pool:
        return torch.cat(list(pool.map(decode, parts)))


def load_bytes(item: Item, frames: list[bytes]) -> bytes:
    """The media file: from the message, or downloaded while the calling thread waits."""
    if item.frame is not None:
        return frames[item.frame]
    timeout = VIDEO_TIMEOUT_SECONDS if item.modality == "video" else IMAGE_TIMEOUT_SECONDS
    with urlopen(item.url or "", timeout=timeout) as reply:
        body: bytes = reply.read()
    return body


def load_picture(item: Item, frames: list[bytes]) -> Image.Image:
    """Download and decode with Pillow: RGB, its EXIF rotation applied."""
    picture: Image.Image = load_image(Image.open(BytesIO(load_bytes(item, frames))))
    return picture


def _meta(grid: list[int], merge: int, **more: Any) -> Meta:
    t, h, w = grid
    return Meta(tokens=t * h * w // merge**2, patches=t * h * w, grid=(t, h, w), **more)
