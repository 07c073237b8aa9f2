"""When each frame of a video is shown, and which of them are keyframes: read once, used by every decoder."""

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fleet_encoder.errors import Invalid
from fleet_encoder.families.base import VideoInfo

LONGEST_SECONDS = 1e9
Pixels = np.ndarray[Any, Any]
Work = Generator[None, None, None]
"""Decoding, which yields wherever it may be interrupted."""
Put = Callable[[int, Pixels], None]
"""Takes a frame's number and its pixels, uint8 [h, w, 3], turned upright."""
Check = Callable[[int, int], None]
"""Takes width and height from the header, and raises where they are too large: before any frame is decoded."""
Seconds = np.ndarray[Any, np.dtype[np.float64]]


class RefusedError(Exception):
    """A decoding library does not take this file; another one may. The text is fit for whoever sent it."""


def any_size(width: int, height: int) -> None:
    """The `Check` that passes everything."""


@dataclass(frozen=True, slots=True, eq=False)
class FrameIndex:
    """From the container's packets, nothing decoded.

    Attributes:
        pts: Float64 [frames], presentation times in seconds, ascending.
        keyframes: Frame numbers, ascending.
    """

    pts: Seconds
    keyframes: tuple[int, ...]

    def place(self, number: int) -> str:
        """Where a frame is, in words."""
        return f"frame {number} of {len(self.pts)}, at {self.pts[number]:.2f} s"


@dataclass(frozen=True, slots=True)
class ScannedVideo(VideoInfo):
    """A `VideoInfo` that carries what its frames were counted from."""

    index: FrameIndex = field(repr=False, compare=False)


def scanned_video(
    index: FrameIndex, *, end: float, header_fps: float | None, width: int, height: int, codec: str
) -> ScannedVideo:
    """Frame count, rate and duration as torchcodec's exact mode tells them, and so transformers' loader.

    Args:
        index: Of the stream.
        end: Seconds at which the last frame ends.
        header_fps: For a stream whose frames take no time.
        width: Pixels, after rotation.
        height: Pixels, after rotation.
        codec: As FFmpeg names it.

    Raises:
        Invalid: There is no frame, no size or no time.
    """
    frames = len(index.pts)
    if not frames or width < 1 or height < 1:
        raise Invalid(f"the video holds {frames} frames of {width}x{height} pixels: nothing to decode")
    duration = end - float(index.pts[0])
    if duration > LONGEST_SECONDS:  # FFmpeg's mark for a frame without a time is the smallest number there is
        raise Invalid("the video's frames carry no times: put them into an MP4 or Matroska file")
    fps = frames / duration if duration else header_fps or 1.0
    return ScannedVideo(frames=frames, fps=fps, duration=duration, width=width, height=height, codec=codec, index=index)
