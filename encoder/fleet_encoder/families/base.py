"""What a model family is: how its media are sampled, measured, prepared, encoded and described.

`docs/add-a-model-family.md` is the recipe. A family is one file beside this one and one line in
`families/__init__.py`. The pipeline knows families only by this interface.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import torch

from fleet_client.protocol import Meta, Modality, Sampling
from fleet_encoder.runner.weights import Loaded


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """An image's header. Width and height are those after its EXIF rotation, in pixels."""

    width: int
    height: int
    format: str


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """A video's header: what is known before a frame is decoded.

    Attributes:
        frames: In the stream, counted where the header does not say.
        fps: Average rate, frames / duration as Hugging Face's loaders see it.
        duration: Seconds.
        width: Pixels, after rotation.
        height: Pixels, after rotation.
        codec: As FFmpeg names it.
    """

    frames: int
    fps: float
    duration: float
    width: int
    height: int
    codec: str


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """An audio stream's header: duration in seconds, rate in Hz, channels, codec as FFmpeg names it."""

    duration: float
    rate: int
    channels: int
    codec: str


@dataclass(frozen=True, slots=True)
class Image:
    """A decoded image: uint8 [height, width, 3] RGB, C-contiguous."""

    pixels: np.ndarray[Any, Any]
    info: ImageInfo


@dataclass(frozen=True, slots=True)
class Video:
    """Decoded frames: uint8 [n, height, width, 3] RGB (NHWC), pinned where a GPU is, in the order of `indices`.

    `pts` are the presentation times in seconds as the file has them; `decoder` names the library.
    """

    frames: torch.Tensor
    indices: list[int]
    pts: list[float]
    info: VideoInfo
    decoder: str


@dataclass(frozen=True, slots=True)
class Audio:
    """Decoded mono audio: float32 [samples] at the family's rate."""

    samples: np.ndarray[Any, Any]
    rate: int
    info: AudioInfo
    decoder: str


Media = Image | Video | Audio
MediaInfo = ImageInfo | VideoInfo | AudioInfo


@dataclass(frozen=True, slots=True)
class Features:
    """One item, ready for the forward pass.

    Attributes:
        modality: Of the item.
        tensor: Rows for the tower; the layout is the family's own affair.
        patches: Cost of the forward pass: vision patches or audio frames.
        meta: What is told to the caller.
        extra: Whatever else `encode` needs.
    """

    modality: Modality
    tensor: torch.Tensor
    patches: int
    meta: Meta
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fit:
    """The size that frames enter the tower in, for decoders that bring them there at once.

    Attributes:
        width: Pixels.
        height: Pixels.
        resize: uint8 `[n, h, w, 3]`, width, height -> uint8 `[n, height, width, 3]`; the family's own, bit for bit.
    """

    width: int
    height: int
    resize: Callable[[torch.Tensor, int, int], torch.Tensor]


Passes = Generator[None, None, list[torch.Tensor]]
"""A batch on its way through a tower: yields between forward passes, returns the embeddings."""


class Preparation(Protocol):
    """How media become features: arithmetic on headers, and the work before the forward pass.

    A family is one. Another one may stand beside it that prepares some media as another program does; what comes out
    goes through the same tower.

    Attributes:
        audio_rate: Hz that audio is decoded to; 0 where there is no audio.
        differs: Modality -> name of this preparation, where it is not the family's own; goes into the cache key.
    """

    audio_rate: int
    differs: dict[Modality, str]

    # Arithmetic on headers: what an item will cost, before memory is spent on it.

    def sample(self, info: VideoInfo, sampling: Sampling | None) -> list[int]:
        """Frame numbers to decode, in order, each below `info.frames`, at least one."""
        ...

    def patches(self, info: MediaInfo, frames: int = 1) -> int:
        """Patches (or audio frames) that the item will cost; `frames` sampled frames for video.

        Raises:
            Invalid: The model cannot take media of that shape; says what it can.
        """
        ...

    def fit(self, info: VideoInfo, frames: int) -> Fit | None:
        """What decoders on the CPU shrink `frames` sampled frames to, so that they are never all held in full size.

        `preprocess` then finds them in the size that it wants. None: keep them as they are.
        """
        ...

    # Work.

    def preprocess(self, media: Media, device: torch.device) -> Features:
        """The model's own preparation. `device` is the runner's where it is a GPU, else the CPU.

        A family with a preprocessor of its own replaces just this step.
        """
        ...


class Family(Preparation, Protocol):
    """One model family over one model directory. Methods are called from worker threads, several at a time.

    Attributes:
        name: As in `encoderfleet model new --family`.
        architectures: Values of `architectures[0]` in config.json that this family serves.
        modalities: What it encodes.
        dim: Width of an embedding row.
        settings: Whatever of the processors' configuration changes an embedding; goes into the cache key.
        video_decode_threads: `video_decode_num_threads` of the model's config, which beats the environment.
        sglang_grid_seconds: Seconds of a grid step of video as SGLang's encoder tells it, where its language model
            wants to know; else None.
    """

    name: ClassVar[str]
    architectures: ClassVar[frozenset[str]]
    modalities: ClassVar[frozenset[Modality]]
    dim: int
    settings: dict[str, Any]
    video_decode_threads: int | None
    sglang_grid_seconds: float | None

    def __init__(self, directory: Path) -> None:
        """Read the configuration files in `directory`, no weights.

        Raises:
            Invalid: A file is missing or is not this family's; the message names it.
        """
        ...

    def as_sglang(self) -> Preparation:
        """Media as SGLang's own encoder prepares them, where that is not what Hugging Face's processors do."""
        ...

    def load(self, directory: Path, device: torch.device, dtype: torch.dtype) -> tuple[torch.nn.Module, Loaded]:
        """The tower in eval mode, and what was read for it: the vision or audio tensors only.

        Raises:
            Invalid: The checkpoint is not what config.json says; names the file.
        """
        ...

    def pass_share(self, item: Features, device: torch.device) -> float:
        """Part of a forward pass on `device` that the item fills: items of 1 together are one pass.

        Over 1: it takes several passes, or one that is larger than others.
        """
        ...

    def pass_count(self, item: Features, device: torch.device) -> int:
        """Forward passes that the item takes on `device` where it is a batch of its own."""
        ...

    def encode(self, tower: torch.nn.Module, batch: list[Features]) -> Passes:
        """Items of several requests, in forward passes of bounded size; a generator that yields between any two.

        Whoever drives it lets others compute in between, or gives the batch up.

        Returns:
            One `[tokens, dim]` tensor an item, on the tower's device, in its dtype.
        """
        ...

    def example(self, modality: Modality) -> Media:
        """Small made-up media, for warm-up."""
        ...

    @classmethod
    def create(cls, directory: Path, *, seed: int = 0) -> None:
        """Write a small model with random weights in Hugging Face layout: real config classes, real files."""
        ...
