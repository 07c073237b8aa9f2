"""Files that are no images, or no longer: one clear line for the sender, nothing on stderr, no memory spent."""

import io
import re
import resource
import struct
import warnings
import zlib
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fleet_encoder.errors import Internal, Invalid, ItemError, TooLarge
from fleet_encoder.limits import MediaLimits
from fleet_encoder.media.image import decode_image, probe_image
from fleet_encoder.media.shortage import check_shortage

NOISE = Image.fromarray(np.random.default_rng(3).integers(0, 256, (90, 120, 3), dtype=np.uint8))
pytestmark = pytest.mark.filterwarnings(r"ignore::UserWarning:PIL\..*")  # as image_header.py has it in a process
FORMATS = ["JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF", "PPM"]


def encoded(name: str, image: Image.Image = NOISE) -> bytes:
    file = io.BytesIO()
    image.save(file, name)
    return file.getvalue()


def refusal(data: bytes) -> str:
    with pytest.raises(ItemError) as caught:
        decode_image(data, probe_image(data))
    message = str(caught.value)
    assert isinstance(caught.value, Invalid)
    assert message
    assert "\n" not in message
    assert len(message) < 250
    return message


@pytest.fixture(autouse=True)
def quiet(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    yield
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("kept", [0.02, 0.5, 0.95])
def test_cut_off(name: str, kept: float) -> None:
    data = encoded(name)
    message = refusal(data[: int(len(data) * kept)])
    assert "damaged or cut off" in message or "first bytes are damaged" in message
    assert name in message


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"<html><body>404 Not Found</body></html>", "not an image"),
        (b"\0" * 4096, "not an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "not an image"),
        (b"\0\0\0\x1cftypheic\0\0\0\0mif1heic" + bytes(64), "HEIC"),
        (b"\xff\xd8\xff", "JPEG"),
        (b"GIF89a\0\0\0\0\0\0\0\x2c\0\0\0\0\0\0\0\0\0\2\0;", "no pixels"),
        (b"GIF89a\1\0\1\0\0\0\0;", "damaged or cut off"),
    ],
)
def test_what_is_no_image(data: bytes, words: str) -> None:
    assert words in refusal(data)


def png(width: int, height: int) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


def bmp(width: int, height: int) -> bytes:
    return b"BM" + struct.pack("<IIIIiiHHIIIIII", 1000, 0, 54, 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0) + bytes(1000)


def webp(width: int, height: int) -> bytes:
    size = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    chunk = b"VP8X" + struct.pack("<I", 10) + bytes(4) + size
    return b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk


@pytest.mark.parametrize(("width", "height"), [(50_000, 50_000), (12_000, 9_000), (1_000_000, 51)])
@pytest.mark.parametrize("make", [png, bmp])
def test_a_bomb_is_known_by_its_header(make: object, width: int, height: int) -> None:
    """Also those that Pillow would warn of, or refuse by a rule of its own."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        info = probe_image(make(width, height))  # type: ignore[operator]
    assert (info.width, info.height) == (width, height)
    with pytest.raises(TooLarge, match=f"{width}x{height}.*spec.media.maxPixels"):
        MediaLimits().check_pixels(info.width, info.height)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000


def test_a_bomb_whose_header_takes_memory_to_read() -> None:
    with pytest.raises(TooLarge, match="spec.media.maxPixels"):
        probe_image(webp(16_000, 16_000))


def test_an_image_without_pixels() -> None:
    assert "no pixels" in refusal(png(0, 10)) or "damaged" in refusal(png(0, 10))


def test_floating_point_pixels_are_no_colours() -> None:
    data = encoded("TIFF", Image.fromarray(np.ones((4, 4), np.float32)))
    assert "floating-point" in refusal(data)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (encoded("JPEG2000"), "not an image in a format"),
        (encoded("QOI"), "not an image in a format"),
        (b"P3 2 1 255\n1 2 3 4 5 6\n", "PPM is not read here.*send it as PNG"),
        (b"P6 2 1 100\n" + bytes(6), "PPM is not read here.*send it as PNG"),
        (bmp(4, 4)[:30] + struct.pack("<I", 1) + bmp(4, 4)[34:], "BMP"),
    ],
    ids=["JPEG 2000", "QOI", "plain PPM", "PPM of 100 levels", "run-length BMP"],
)
def test_what_takes_seconds_a_megapixel(data: bytes, words: str) -> None:
    """Decoders written in Python, and one that lets no other thread run."""
    assert re.search(words, refusal(data))


def test_a_jpeg_that_says_the_same_again_and_again() -> None:
    file = io.BytesIO()
    NOISE.save(file, "JPEG", progressive=True)
    data = file.getvalue()
    last = data.rindex(b"\xff\xda")
    again = data[:-2] + data[last:-2] * 95 + data[-2:]
    assert "over 100 scans" in refusal(again)
    few = data[:-2] + data[last:-2] * 5 + data[-2:]
    assert decode_image(few, probe_image(few)).pixels.shape == (90, 120, 3)


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("[enforce] DefaultCPUAllocator: can't allocate memory")])
def test_no_memory_left_is_not_the_files_fault(error: Exception) -> None:
    check_shortage(ValueError("damaged"))
    with pytest.raises(Internal, match="no memory"):
        check_shortage(error)


def test_a_damaged_exif_block_turns_nothing() -> None:
    file = io.BytesIO()
    NOISE.save(file, "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff" + b"\xff" * 40)
    info = probe_image(file.getvalue())
    assert decode_image(file.getvalue(), info).pixels.shape == (90, 120, 3)


@settings(max_examples=300, deadline=None)
@given(name=st.sampled_from(FORMATS), data=st.data())
def test_bytes_changed_at_random_give_an_image_or_a_refusal(name: str, data: st.DataObject) -> None:
    damaged = bytearray(encoded(name))
    for _ in range(data.draw(st.integers(1, 8))):
        near_the_header = data.draw(st.booleans())
        at = data.draw(st.integers(0, min(200, len(damaged) - 1) if near_the_header else len(damaged) - 1))
        damaged[at] = data.draw(st.integers(0, 255))
    try:
        info = probe_image(damaged)
        MediaLimits(max_pixels=1_000_000).check_pixels(info.width, info.height)
        pixels = decode_image(damaged, info).pixels
    except (Invalid, TooLarge):
        pass
    else:
        assert pixels.shape == (info.height, info.width, 3)
