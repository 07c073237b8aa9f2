"""Images: the header alone, and the pixels.

The pixels are those that a v5 processor of transformers makes of a path: EXIF orientation applied, alpha dropped,
colour profiles ignored, 16 bits scaled to 8. Of an animation the first frame is taken, where transformers makes one
image of each. Formats that it refuses (BMP, TIFF, ...) come through Pillow, under the same rules.

JPEG goes through simplejpeg, which gives what torchcodec gives (both are libjpeg-turbo) without its messages on stderr.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import simplejpeg
import torch
from PIL.ImageFile import ImageFile

from fleet_encoder.errors import Invalid, ItemError
from fleet_encoder.families.base import Image, ImageInfo
from fleet_encoder.media.buffers import Data, as_tensor, check_not_empty
from fleet_encoder.media.gif import first_image, gif_header
from fleet_encoder.media.image_header import check_scans, image_format, open_image, orientation
from fleet_encoder.media.png import critical_chunks
from fleet_encoder.media.shortage import check_shortage

try:
    from torchcodec.decoders import decode_avif, decode_gif, decode_png, decode_webp
except (ImportError, OSError, RuntimeError):  # not installed, or older than its image decoders
    _TORCHCODEC: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {}
else:
    _TORCHCODEC = {
        "PNG": decode_png,
        "WEBP": decode_webp,
        "AVIF": decode_avif,
        "GIF": decode_gif,
    }

Pixels = np.ndarray[Any, Any]
_SIMPLE_COLOURS = ("RGB", "YCbCr", "Gray")
_TURNED_TO_THE_SIDE = (5, 6, 7, 8)


def probe_image(data: Data) -> ImageInfo:
    """Format, and width and height after EXIF rotation, from the header.

    Raises:
        Invalid: Not an image, or its header is damaged.
        TooLarge: Beyond every limit.
    """
    check_not_empty(data)
    name = image_format(data)
    if name == "GIF":
        try:
            header = gif_header(data)
        except (IndexError, ValueError) as error:
            raise Invalid("the GIF image is damaged or cut off: send the whole file") from error
        if not header.width or not header.height:
            raise Invalid(f"the GIF image has no pixels: {header.width}x{header.height}")
        return ImageInfo(width=header.width, height=header.height, format=name)
    image = open_image(data, name)
    if name == "JPEG":
        check_scans(data)
    width, height = image.size
    if orientation(image) in _TURNED_TO_THE_SIDE:
        width, height = height, width
    return ImageInfo(width=width, height=height, format=name)


def decode_image(data: Data, info: ImageInfo) -> Image:
    """The pixels of the image that `info` was read from.

    Raises:
        Invalid: The file is damaged or cut off, or its samples are not colours.
    """
    try:
        pixels = _decode(data, info.format)
    except ItemError:
        raise
    except Exception as error:  # each library has its own; none has a text that is fit for a caller
        check_shortage(error)
        raise Invalid(
            f"the {info.format} image is damaged or cut off (its header says {info.width}x{info.height}): "
            "send the whole file"
        ) from error
    if pixels.shape != (info.height, info.width, 3):
        raise Invalid(
            f"the {info.format} image contradicts itself: {info.width}x{info.height} by its header, "
            f"{pixels.shape[1]}x{pixels.shape[0]} by its data"
        )
    return Image(pixels=np.ascontiguousarray(pixels), info=info)


def _decode(data: Data, name: str) -> Pixels:
    if name == "GIF" and name in _TORCHCODEC:
        return _decode_with_torchcodec(first_image(data, gif_header(data)), name)
    image = open_image(data, name)
    turn = orientation(image)
    if name == "JPEG" and simplejpeg.decode_jpeg_header(data, strict=False)[2] in _SIMPLE_COLOURS:
        try:
            return _turn(simplejpeg.decode_jpeg(data), turn)
        except ValueError:  # it is strict: what is a warning to libjpeg and what is fatal, Pillow tells apart
            pass
    elif name == "PNG" and name in _TORCHCODEC:
        return _turn(_decode_with_torchcodec(critical_chunks(data), name), turn)
    elif name in _TORCHCODEC and not getattr(image, "is_animated", False):
        return _decode_with_torchcodec(data, name)  # which turns it, and would decode every frame of an animation
    return _turn(_decode_with_pillow(image), turn)


def _decode_with_torchcodec(data: Data, name: str) -> Pixels:
    decoded = _TORCHCODEC[name](as_tensor(data))  # [3, h, w], in memory mostly [h, w, 3]
    pixels: Pixels = decoded.permute(1, 2, 0).numpy()
    return pixels


def _decode_with_pillow(image: ImageFile) -> Pixels:
    image.load()
    if image.mode == "F":
        raise Invalid(f"the {image.format} image has floating-point samples: send it with 8 or 16 bits a channel")
    if image.mode.startswith("I"):  # 16 bits, in 16 or in 32
        grey = np.asarray(image).astype(np.float32).clip(0, 65535)
        return np.repeat((grey / 257).round().astype(np.uint8)[..., None], 3, axis=2)
    return np.array(image.convert("RGB"))


def _turn(pixels: Pixels, orientation: int) -> Pixels:
    """Undo an EXIF orientation. Whole pixels are moved: three times as fast as numpy's way with single bytes."""
    if orientation == 1:
        return pixels
    whole = np.ascontiguousarray(pixels).view("V3")[..., 0]
    turned = {
        2: lambda: whole[:, ::-1],
        3: lambda: whole[::-1, ::-1],
        4: lambda: whole[::-1],
        5: lambda: whole.T,
        6: lambda: whole[::-1].T,
        7: lambda: whole[::-1, ::-1].T,
        8: lambda: whole.T[::-1],
    }[orientation]()
    return np.ascontiguousarray(turned).view(np.uint8).reshape(*turned.shape, 3)
