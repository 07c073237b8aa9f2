"""Sizes and frame numbers of the Qwen vision families: numbers in, numbers out.

The arithmetic is that of the families' Hugging Face processors, to the last rounding: a grid that differs by one
patch is a different prompt for the language model.
"""

import math
from dataclasses import dataclass

import torch

from fleet_client.protocol import Sampling
from fleet_encoder.errors import Invalid

MAX_ASPECT = 200
"""Longer side over shorter side; the processors refuse more."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large an image or a frame enters the tower.

    Attributes:
        patch: Side of a patch in pixels.
        merge: Patches along each side that the merger makes one token of.
        temporal: Frames in one grid step.
        min_pixels: Area that smaller media are enlarged to.
        max_pixels: Area that larger media are shrunk to.
        clip_pixels: Area of all frames of a clip together, per grid step of one frame; None for no such bound.
    """

    patch: int
    merge: int
    temporal: int
    min_pixels: int
    max_pixels: int
    clip_pixels: int | None = None

    def target(self, width: int, height: int, frames: int = 1) -> tuple[int, int]:
        """(width, height) in pixels that media of this size are resized to: whole tokens, about the same aspect.

        Raises:
            Invalid: Too long and thin.
        """
        if max(width, height) > MAX_ASPECT * min(width, height):
            raise Invalid(
                f"{width}x{height}: one side is over {MAX_ASPECT} times the other; crop it or cut it in parts"
            )
        side = self.patch * self.merge
        most = self._max_pixels(frames)
        # Python's round() goes to the even neighbour, as the processors' does.
        wide, high = round(width / side) * side, round(height / side) * side
        if wide * high > most:
            shrink = math.sqrt(height * width / most)
            return _floor(width / shrink / side, side), _floor(height / shrink / side, side)
        if wide * high < self.min_pixels:
            enlarge = math.sqrt(self.min_pixels / (height * width))
            return math.ceil(width * enlarge / side) * side, math.ceil(height * enlarge / side) * side
        return wide, high

    def grid(self, width: int, height: int, frames: int = 1) -> tuple[int, int, int]:
        """(t, h, w) in patches, before merging. An incomplete last grid step counts as a whole one."""
        wide, high = self.target(width, height, frames)
        return -(-frames // self.temporal), high // self.patch, wide // self.patch

    def _max_pixels(self, frames: int) -> float:
        if self.clip_pixels is None:
            return self.max_pixels
        share = self.clip_pixels * self.temporal // frames
        return max(min(self.max_pixels, share), int(self.min_pixels * 1.05))


def _floor(tokens: float, side: int) -> int:
    return max(side, math.floor(tokens) * side)


@dataclass(frozen=True, slots=True)
class FrameRules:
    """A family's own sampling.

    Attributes:
        fps: Frames a second to sample where nobody says otherwise.
        frames: This many frames where nobody says otherwise; goes before `fps`.
        min_frames: Sampled at least, where the clip has them.
        max_frames: Sampled at most, by fps.
        temporal: The count is a multiple of this.
    """

    fps: float
    frames: int | None
    min_frames: int
    max_frames: int
    temporal: int

    def numbers(self, total: int, rate: float, sampling: Sampling | None) -> list[int]:
        """Frame numbers to decode out of `total` at `rate` frames a second, ascending, each below `total`.

        A clip shorter than one grid step gives its first frame alone, which preprocessing then repeats.

        Raises:
            Invalid: The sampling asks for something impossible, or the clip is empty.
        """
        if total < 1:
            raise Invalid("the video has no frames: send another file")
        count = self._count(total, rate, sampling or Sampling())
        if count < self.temporal:
            return [0]
        # torch.arange, because its float32 rounding decides which frame is taken in clips of an hour. It may end
        # with one element too many, whose number is `total`.
        steps = torch.arange(0, total, total / count)[:count].int().clamp(max=total - 1)
        return [int(number) for number in steps.tolist()]

    def _count(self, total: int, rate: float, sampling: Sampling) -> int:
        if sampling.fps is not None and sampling.frames is not None:
            raise Invalid("sampling.fps and sampling.frames exclude each other: give one")
        whole = total // self.temporal * self.temporal
        frames = sampling.frames
        if frames is None and sampling.fps is None:
            frames = self.frames
        if frames is not None:
            if frames < 1:
                raise Invalid(f"sampling.frames is {frames}: give at least 1")
            return min(-(-frames // self.temporal) * self.temporal, whole)
        fps = self.fps if sampling.fps is None else sampling.fps
        if not 0 < fps < math.inf:
            raise Invalid(f"sampling.fps is {fps:g}: give a number over 0")
        if not 0 < rate < math.inf:
            raise Invalid("the file does not tell its frame rate: ask for a number of frames with sampling.frames")
        most = min(self.max_frames // self.temporal * self.temporal, whole)
        return int(min(max(total / rate * fps, self.min_frames), most)) // self.temporal * self.temporal
