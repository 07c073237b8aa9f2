"""The pool's limits on one piece of media, checked on headers: before memory is spent."""

from dataclasses import dataclass

from fleet_encoder.errors import TooLarge

MAX_PACKETS = 4_000_000
"""Of one video or sound: 37 hours at 30 frames/s. Each takes memory in the index, however few bytes it has."""


def check_packets(count: int) -> None:
    """Refuse a stream of `count` packets that is over what is indexed.

    Raises:
        TooLarge: It is.
    """
    if count > MAX_PACKETS:
        raise TooLarge(f"more than {MAX_PACKETS} packets in one stream: cut it into parts, or re-encode it")


@dataclass(frozen=True, slots=True)
class MediaLimits:
    """Limits of `spec.media`; each check raises `TooLarge` with the field to raise.

    Attributes:
        max_bytes: Of one media file, downloaded or sent.
        max_pixels: Width times height of an image, or of one video frame.
        max_video_seconds: Duration of video and of audio.
        max_frames: Sampled frames of one video.
    """

    max_bytes: int = 256 << 20
    max_pixels: int = 50_000_000
    max_video_seconds: int = 3600
    max_frames: int = 768

    def check_bytes(self, count: int) -> None:
        """Refuse a file of `count` bytes that is over the limit."""
        if count > self.max_bytes:
            raise TooLarge(f"{count} bytes, the pool's limit is {self.max_bytes} (spec.media.maxBytes)")

    def check_pixels(self, width: int, height: int) -> None:
        """Refuse an image or frame of `width` x `height` that is over the limit."""
        if width * height > self.max_pixels:
            raise TooLarge(
                f"{width}x{height} is {width * height} pixels, the pool's limit is {self.max_pixels} "
                "(spec.media.maxPixels): send it smaller"
            )

    def check_seconds(self, seconds: float) -> None:
        """Refuse video or audio of `seconds` that is over the limit."""
        if seconds > self.max_video_seconds:
            raise TooLarge(
                f"{seconds:.1f} s long, the pool's limit is {self.max_video_seconds} s (spec.media.maxVideoSeconds): "
                "cut it into parts"
            )

    def check_frames(self, count: int) -> None:
        """Refuse a sampling of `count` frames that is over the limit."""
        if count > self.max_frames:
            raise TooLarge(
                f"{count} frames sampled, the pool's limit is {self.max_frames} (spec.media.maxFrames): "
                "ask for fewer with sampling.fps or sampling.frames"
            )
