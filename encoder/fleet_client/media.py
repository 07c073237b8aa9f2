"""The items that callers hand in: an image, a video or an audio clip, from bytes, a file or an URL."""

import operator
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from fleet_client.errors import Invalid
from fleet_client.protocol import Modality, Sampling

Buffer = bytes | bytearray | memoryview
Source = Buffer | Path | str

URL_SCHEMES = ("http", "https", "data", "file")
MAX_FRAMES = 2**31 - 1
MAX_URL_CHARACTERS = 1 << 19
"""URLs travel in the message's header, whose length is limited."""


@dataclass(frozen=True, slots=True)
class Media:
    """One item to encode; made by `image`, `video` and `audio`.

    Attributes:
        modality: What it is.
        source: The media file's bytes, the path of a file that the client reads, or an URL that the encoder fetches.
        sampling: Which frames of a video.
    """

    modality: Modality
    source: Source = field(repr=False)
    sampling: Sampling | None = None


def image(source: Source) -> Media:
    """An image: a JPEG, PNG, WebP, ... file.

    Args:
        source: The file's bytes, a `pathlib.Path` (read here and sent), or an URL as a string (fetched by the encoder).
            Bytes must not change until the item is done: they are sent without a copy.

    Raises:
        ValueError: A string is not an URL.
    """
    return Media("image", _checked(source))


def video(source: Source, *, fps: float | None = None, frames: int | None = None) -> Media:
    """A video file.

    Args:
        source: As for `image`.
        fps: Frames a second to sample.
        frames: Sample exactly this many, spread evenly. Without both, the model family's own default.

    Raises:
        ValueError: A string is not an URL, or both or senseless sampling is asked for.
        TypeError: `fps` or `frames` is no number, or no whole one.
    """
    if fps is not None and frames is not None:
        raise ValueError("give fps or frames, not both")
    if isinstance(frames, bool):
        raise TypeError(f"frames must be a whole number, got {frames}")
    fps = None if fps is None else float(fps)  # numpy's numbers, too
    frames = None if frames is None else operator.index(frames)
    if fps is not None and not 0 < fps < float("inf"):
        raise ValueError(f"fps must be over 0, got {fps}")
    if frames is not None and not 1 <= frames <= MAX_FRAMES:
        raise ValueError(f"frames must be 1 to {MAX_FRAMES}, got {frames}")
    asked = fps is not None or frames is not None
    return Media("video", _checked(source), Sampling(fps=fps, frames=frames) if asked else None)


def audio(source: Source) -> Media:
    """An audio file: WAV, MP3, FLAC, ... `source` as for `image`."""
    return Media("audio", _checked(source))


def size(media: Media) -> int:
    """Bytes that will be sent: 0 for an URL.

    Raises:
        Invalid: The file is not there, is not a regular file, or is empty.
    """
    match media.source:
        case str():
            return 0
        case Path() as path:
            try:
                found = path.stat().st_size if path.is_file() else None
            except OSError as error:
                raise _unreadable(path, error) from error
            if found is None:
                raise Invalid(f"cannot read {path}: {'not a regular file' if path.exists() else 'no such file'}")
            count = found
        case buffer:
            count = memoryview(buffer).nbytes
    if count == 0:
        raise Invalid(f"{media.source if isinstance(media.source, Path) else media.modality} is empty: 0 bytes")
    return count


def read(path: Path) -> bytes:
    """The file's bytes.

    Raises:
        Invalid: It cannot be read; says why.
    """
    try:
        # It may have become something else since it was looked at: opening a FIFO would wait for who writes to it.
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(number, "rb") as file:
            if not stat.S_ISREG(os.fstat(number).st_mode):
                raise Invalid(f"cannot read {path}: not a regular file")
            return file.read()
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> Invalid:
    return Invalid(f"cannot read {path}: {error.strerror or error}")


def _checked(source: Source) -> Source:
    if isinstance(source, str):
        if urlsplit(source).scheme.lower() not in URL_SCHEMES:
            raise ValueError(
                "a string must be an URL (https://, http://, data: or file:///): for a file of this machine give "
                "pathlib.Path(...), for its content give bytes"
            )
        if len(source) > MAX_URL_CHARACTERS:
            raise ValueError(f"an URL of {len(source)} characters is too long: give the content as bytes")
        if not source.isascii() and any("\ud800" <= character <= "\udfff" for character in source):
            raise ValueError("the URL has half a surrogate pair in it, which is no character: encode it anew")
    elif not isinstance(source, bytes | bytearray | memoryview | Path):
        raise TypeError(f"give bytes, a pathlib.Path or an URL string, not {type(source).__name__}")
    elif isinstance(source, memoryview) and not source.c_contiguous:
        raise ValueError("a memoryview must be contiguous: give bytes(view)")
    return source
