"""How SGLang's own encoder prepares video for the Qwen vision families; images it leaves to Hugging Face's processor.

It samples at two frames a second, evenly from the first frame to the last, and shrinks the frames by a bilinear filter
to limits of its own, before Hugging Face's video processor sees them. A language server that got other frames would
answer another prompt. Numbers in, numbers out. Source: SGLang 0.5.23, `srt/multimodal/processors/qwen_vl.py`.
"""

import math
import os
from dataclasses import dataclass

import numpy as np

from fleet_client.protocol import Sampling
from fleet_encoder.errors import Invalid
from fleet_encoder.families.qwen_sizes import FrameRules, Sizes

FPS = 2.0
"""Frames a second that are sampled. It tells its language models this rate for every clip, whatever came of it."""

MIN_FRAMES = 4
MAX_FRAMES = 768
STEP = 2
"""Frames that one grid step holds: counts are multiples of it."""

TOKEN_SIDE = 28
"""Pixels of a token's side that SGLang rounds to, whatever the model's patches."""

MIN_PIXELS = 128 * TOKEN_SIDE**2
MAX_PIXELS = 768 * TOKEN_SIDE**2

TOTAL_VARIABLE = "VIDEO_MAX_PIXELS"
TOTAL_PIXELS = int(128_000 * TOKEN_SIDE**2 * 0.9)
"""Of all frames of a clip together."""


@dataclass(frozen=True, slots=True)
class SglangSizes(Sizes):
    """`clip_pixels` is shared out to the last fraction of a pixel."""

    def _max_pixels(self, frames: int) -> float:
        assert self.clip_pixels is not None
        return max(min(self.max_pixels, self.clip_pixels / frames * STEP), int(self.min_pixels * 1.05))


def sizes(temporal: int) -> SglangSizes:
    """What frames are brought to before Hugging Face's processor; `temporal` frames in a grid step of the model.

    Raises:
        Invalid: The environment says something else than a number.
    """
    text = os.environ.get(TOTAL_VARIABLE, TOTAL_PIXELS)
    try:
        total = int(float(text))
    except (ValueError, OverflowError):
        raise Invalid(f"{TOTAL_VARIABLE} is {text!r}: give pixels of all frames of a clip, such as 90316800") from None
    return SglangSizes(
        patch=TOKEN_SIDE // 2, merge=2, temporal=temporal, min_pixels=MIN_PIXELS, max_pixels=MAX_PIXELS,
        clip_pixels=total,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class SglangFrames(FrameRules):
    """Evenly from the first frame to the last."""

    def numbers(self, total: int, rate: float, sampling: Sampling | None) -> list[int]:
        """Frame numbers to decode out of `total` at `rate` frames a second; a clip too short for two gives its first.

        Raises:
            Invalid: The clip is empty, or does not tell its rate.
        """
        if total < 1:
            raise Invalid("the video has no frames: send another file")
        if not 0 < rate < math.inf:
            raise Invalid("the file does not tell its frame rate, which SGLang's sampling needs: convert it")
        most = min(self.max_frames, total) // STEP * STEP
        count = int(min(max(total / rate * self.fps, self.min_frames), most, total)) // STEP * STEP
        if count < STEP:
            return [0]
        return [int(number) for number in np.unique(np.linspace(0, total - 1, num=count, dtype=np.int64))]


def frame_rules(temporal: int) -> SglangFrames:
    """SGLang's sampling for a model with `temporal` frames in a grid step."""
    return SglangFrames(fps=FPS, frames=None, min_frames=MIN_FRAMES, max_frames=MAX_FRAMES, temporal=temporal)
