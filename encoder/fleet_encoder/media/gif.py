"""Where the first image of a GIF ends: what follows is not worth decoding, and can be thousands of times as large."""

from dataclasses import dataclass

from fleet_encoder.media.buffers import Data

EXTENSION = 0x21
IMAGE = 0x2C
TRAILER = b"\x3b"
_SCREEN_BYTES = 13  # signature and logical screen descriptor


@dataclass(frozen=True, slots=True)
class GifHeader:
    """Size in pixels of what a decoder paints, and the number of bytes up to the end of the first image."""

    width: int
    height: int
    end: int


def gif_header(data: Data) -> GifHeader:
    """Walk the blocks up to the first image.

    Raises:
        IndexError: The file ends before its first image does.
        ValueError: It has none.
    """
    screen_width, screen_height, at = _u16(data, 6), _u16(data, 8), _SCREEN_BYTES + _palette_bytes(data[10])
    while data[at] == EXTENSION:
        at = _skip_blocks(data, at + 2)
    if data[at] != IMAGE:
        raise ValueError("no image in the file")
    width, height = _u16(data, at + 5), _u16(data, at + 7)
    end = _skip_blocks(data, at + 10 + _palette_bytes(data[at + 9]) + 1)
    # An image larger than the screen stretches it: that is what browsers do, and torchcodec.
    return GifHeader(max(screen_width, width), max(screen_height, height), end)


def first_image(data: Data, header: GifHeader) -> bytes:
    """A GIF that has only the first image of `data`."""
    return bytes(data[: header.end]) + TRAILER


def _u16(data: Data, at: int) -> int:
    return data[at] | data[at + 1] << 8


def _palette_bytes(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _skip_blocks(data: Data, at: int) -> int:
    """Position behind a chain of data blocks: each begins with its length, the last one has none."""
    while length := data[at]:
        at += length + 1
    return at + 1
