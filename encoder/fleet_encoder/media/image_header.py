"""What an image's header says, read by Pillow; no pixel is decoded.

Pillow's plugins are called one by one, not through `PIL.Image.open`: that would try formats that no caller means
(EPS starts a Ghostscript), and refuse large images by a rule of its own before the pool's limit could be named.

What costs much more than its pixels is refused here too: formats whose decoder is written in Python (QOI, plain and
odd PPM, run-length BMP: seconds a megapixel), JPEG 2000, whose decoder holds the interpreter for the whole image, and
JPEGs that say the same pixels again and again.
"""

import warnings

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)
from PIL.ImageFile import ImageFile

from fleet_encoder.errors import Invalid, TooLarge
from fleet_encoder.media.buffers import Data, as_file
from fleet_encoder.media.shortage import check_shortage

# Odd metadata in a caller's file is no news for the operator of a pool.
warnings.filterwarnings("ignore", module=r"PIL\.")

ORIENTATION_TAG = 0x0112
MAX_SCANS = 100
"""Of a JPEG; a progressive one has about ten. Each costs a pass over all pixels, however few bytes it has."""
_SIGNATURE_BYTES = 32
_PLUGINS: dict[str, type[ImageFile]] = {
    "JPEG": JpegImagePlugin.JpegImageFile,
    "PNG": PngImagePlugin.PngImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
    "AVIF": AvifImagePlugin.AvifImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "PPM": PpmImagePlugin.PpmImageFile,
}
_SCAN = b"\xff\xda"
_PIECE = 1 << 20
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx")


def image_format(data: Data) -> str:
    """The format's name, from the signature.

    Raises:
        Invalid: It is none of those that are read.
    """
    start = bytes(data[:_SIGNATURE_BYTES])
    if start[4:8] == b"ftyp" and any(brand in start[8:] for brand in _HEIC_BRANDS):
        raise Invalid("HEIC images are not read here: send it as JPEG, PNG or WebP")
    for name in _PLUGINS:
        accepts = Image.OPEN[name][1]
        if accepts is not None and accepts(start) is True:
            return name
    names = ", ".join(sorted(_PLUGINS))
    raise Invalid(f"not an image in a format that is read here ({names}), or its first bytes are damaged")


def open_image(data: Data, name: str) -> ImageFile:
    """Read the header of an image in the format `name`.

    Raises:
        Invalid: The header is damaged or cut off.
        TooLarge: It is so large that Pillow does not look further.
    """
    try:
        image = _PLUGINS[name](as_file(data))  # type: ignore[arg-type]
    except Image.DecompressionBombError as error:
        raise TooLarge("the image is too large by any measure (spec.media.maxPixels): send it smaller") from error
    except Exception as error:  # whatever a damaged header makes a plugin stumble over
        check_shortage(error)
        raise Invalid(f"the header of the {name} image is damaged or cut off: send the whole file") from error
    if min(image.size) < 1:
        raise Invalid(f"the {name} image has no pixels: {image.size[0]}x{image.size[1]}")
    if any(tile.codec_name in Image.DECODERS for tile in image.tile):  # where Pillow registers decoders in Python
        raise Invalid(f"this kind of {name} is not read here, as it takes minutes: send it as PNG")
    return image


def check_scans(data: Data) -> None:
    """Refuse a JPEG that goes over its pixels too often.

    Raises:
        Invalid: It does.
    """
    count = 0
    for start in range(0, len(data), _PIECE):  # in pieces, as other threads get no turn within one
        count += bytes(data[start : start + _PIECE + 1]).count(_SCAN)
        if count > MAX_SCANS:
            raise Invalid(f"the JPEG image has over {MAX_SCANS} scans: save it anew")


def orientation(image: ImageFile) -> int:
    """How the pixels must be turned, 1 to 8 as EXIF numbers it; 1 where nothing is to do.

    Read from the EXIF block alone: `Image.getexif` would decode a PNG and look into XMP, which torchcodec does not.
    """
    block = image.info.get("exif")
    if not block:  # Pillow turns a TIFF itself, and reports its size as turned
        return 1
    exif = Image.Exif()
    try:
        exif.load(block)
        value = exif.get(ORIENTATION_TAG, 1)
    except Exception:  # a damaged block is no block
        return 1
    return value if value in range(1, 9) else 1
