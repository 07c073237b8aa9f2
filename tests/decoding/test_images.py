"""Pixels equal to what transformers makes of a path, bit for bit, from any kind of buffer."""

import io
import resource
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from transformers.image_utils import load_image_as_tensor

from fleet_encoder.media.gif import gif_header
from fleet_encoder.media.image import decode_image, probe_image

RANDOM = np.random.default_rng(7)
NOISE = RANDOM.integers(0, 256, (60, 80, 3), dtype=np.uint8)
ALPHA = RANDOM.integers(0, 256, (60, 80), dtype=np.uint8)
DEEP = RANDOM.integers(0, 65536, (60, 80)).astype(np.uint16)
ORIENTATION = 0x0112

rgb = Image.fromarray(NOISE)
rgba = rgb.copy()
rgba.putalpha(Image.fromarray(ALPHA))
palette = rgb.quantize(16)


def encoded(image: Image.Image, name: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, name, **options)
    return file.getvalue()


def exif(orientation: int) -> Image.Exif:
    block = Image.Exif()
    block[ORIENTATION] = orientation
    return block


STILLS: dict[str, Callable[[], bytes]] = {
    "jpeg 4:4:4": lambda: encoded(rgb, "JPEG", subsampling=0, quality=95),
    "jpeg 4:2:0": lambda: encoded(rgb, "JPEG", subsampling=2, quality=50),
    "jpeg progressive": lambda: encoded(rgb, "JPEG", progressive=True),
    "jpeg grey": lambda: encoded(rgb.convert("L"), "JPEG"),
    "jpeg cmyk": lambda: encoded(rgb.convert("CMYK"), "JPEG"),
    "jpeg with a stray byte": lambda: encoded(rgb, "JPEG").replace(b"\xff\xda", b"\x00\xff\xda", 1),
    "png": lambda: encoded(rgb, "PNG"),
    "png alpha": lambda: encoded(rgba, "PNG"),
    "png palette, transparent": lambda: encoded(palette, "PNG", transparency=3),
    "png grey and alpha": lambda: encoded(rgba.convert("LA"), "PNG"),
    "png one bit": lambda: encoded(rgb.convert("1"), "PNG"),
    "png grey, 16 bits": lambda: encoded(Image.fromarray(DEEP), "PNG"),
    "webp": lambda: encoded(rgb, "WEBP"),
    "webp lossless, alpha": lambda: encoded(rgba, "WEBP", lossless=True),
    "avif": lambda: encoded(rgb, "AVIF"),
    "avif alpha": lambda: encoded(rgba, "AVIF"),
    "gif": lambda: encoded(rgb, "GIF"),
    "gif transparent": lambda: encoded(palette, "GIF", transparency=3),
}


def as_transformers(data: bytes, folder: Path) -> np.ndarray:
    path = folder / "image"
    path.write_bytes(data)
    frames = load_image_as_tensor(str(path))
    return (frames if frames.ndim == 3 else frames[0]).permute(1, 2, 0).numpy()


def decoded(data: bytes | bytearray | memoryview) -> np.ndarray:
    info = probe_image(data)
    image = decode_image(data, info)
    assert image.info is info
    assert image.pixels.shape == (info.height, info.width, 3)
    assert image.pixels.dtype == np.uint8
    assert image.pixels.flags.c_contiguous
    assert image.pixels.flags.writeable
    return image.pixels


@pytest.mark.parametrize("kind", STILLS)
def test_as_the_path_loader(kind: str, tmp_path: Path) -> None:
    data = STILLS[kind]()
    assert np.array_equal(decoded(data), as_transformers(data, tmp_path))


@pytest.mark.parametrize("name", ["rocket.jpg", "retina.jpg", "hubble_deep_field.jpg", "coffee.png", "horse.png"])
def test_real_photos(name: str, photos: Path) -> None:
    data = (photos / name).read_bytes()
    assert np.array_equal(decoded(data), load_image_as_tensor(str(photos / name)).permute(1, 2, 0).numpy())


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_turned_as_its_exif_says(name: str, orientation: int, tmp_path: Path) -> None:
    data = encoded(rgb, name, exif=exif(orientation))
    info = probe_image(data)
    assert (info.width, info.height) == ((60, 80) if orientation >= 5 else (80, 60))
    assert np.array_equal(decoded(data), as_transformers(data, tmp_path))


@pytest.mark.parametrize("orientation", [0, 9, 77])
def test_an_orientation_that_does_not_exist_turns_nothing(orientation: int, tmp_path: Path) -> None:
    data = encoded(rgb, "JPEG", exif=exif(orientation))
    assert np.array_equal(decoded(data), as_transformers(data, tmp_path))


def test_a_cmyk_photo_lying_on_its_side(tmp_path: Path) -> None:
    """simplejpeg would take it, and give other colours: it must not be asked."""
    data = encoded(rgb.convert("CMYK"), "JPEG", exif=exif(6))
    assert np.array_equal(decoded(data), as_transformers(data, tmp_path))


@pytest.mark.parametrize("name", ["GIF", "WEBP", "AVIF", "PNG"])
def test_the_first_frame_of_an_animation(name: str, tmp_path: Path) -> None:
    frames = [Image.fromarray(np.roll(NOISE, 9 * number, axis=1)) for number in range(4)]
    data = encoded(frames[0], name, save_all=True, append_images=frames[1:])
    assert np.array_equal(decoded(data), as_transformers(data, tmp_path))


def test_the_first_frame_of_a_real_animation(photos: Path, tmp_path: Path) -> None:
    data = (photos / "no_time_for_that_tiny.gif").read_bytes()
    assert np.array_equal(decoded(data), as_transformers(data, tmp_path))


def test_an_animation_costs_the_memory_of_one_frame() -> None:
    """300 frames of 4 megapixels: 3.6 GB for whoever decodes them all."""
    still = encoded(Image.new("L", (2000, 2000)), "GIF")
    end = gif_header(still).end
    frame = still[still.index(b"\x2c\0\0\0\0") : end]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert decoded(still[:end] + 299 * frame + b";").shape == (2000, 2000, 3)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


@pytest.mark.parametrize(
    ("name", "options"),
    [("BMP", {}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"}), ("PPM", {})],
)
def test_formats_that_only_pillow_reads(name: str, options: dict[str, str]) -> None:
    assert np.array_equal(decoded(encoded(rgb, name, **options)), NOISE)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_tiff_is_turned_once(orientation: int) -> None:
    turned = decoded(encoded(rgb, "TIFF", exif=exif(orientation)))
    assert np.array_equal(turned, decoded(encoded(rgb, "PNG", exif=exif(orientation))))


@pytest.mark.parametrize("name", ["TIFF", "PPM"])
def test_16_bits_of_grey_are_scaled_in_every_format(name: str) -> None:
    expected = decoded(encoded(Image.fromarray(DEEP), "PNG"))
    assert np.array_equal(decoded(encoded(Image.fromarray(DEEP), name)), expected)


def test_alpha_is_dropped_in_every_format() -> None:
    assert np.array_equal(decoded(encoded(rgba, "TIFF")), NOISE)


@pytest.mark.parametrize("kind", ["jpeg 4:2:0", "png", "webp", "avif", "gif"])
def test_any_buffer_will_do(kind: str) -> None:
    data = STILLS[kind]()
    expected = decoded(data)
    assert np.array_equal(decoded(bytearray(data)), expected)
    assert np.array_equal(decoded(memoryview(b"before" + data + b"behind")[6:-6]), expected)
    assert np.array_equal(decoded(memoryview(bytearray(data)).toreadonly()), expected)


def test_the_header_alone_is_read(photos: Path) -> None:
    """All that follows the header may be missing."""
    whole = (photos / "rocket.jpg").read_bytes()
    info = probe_image(whole[: whole.index(b"\xff\xda")])
    assert (info.width, info.height, info.format) == (640, 427, "JPEG")


def test_pixels_outlive_the_file() -> None:
    data = bytearray(encoded(rgb, "PNG"))
    pixels = decoded(data)
    data[:] = bytes(len(data))
    assert np.array_equal(pixels, NOISE)
