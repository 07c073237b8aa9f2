"""What `encoderfleet encode` is given: files and URLs, what they are, and how they may be shown. Pure but for names."""

import mimetypes
import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from fleet_client import Media, audio, image, video
from fleet_client.protocol import Modality

MORE_TYPES = {
    "image/avif": (".avif",),
    "image/heic": (".heic", ".heif"),
    "image/jxl": (".jxl",),
    "image/webp": (".webp",),
    "video/mp2t": (".ts", ".mts", ".m2ts"),
    "video/mp4": (".m4v",),
    "video/ogg": (".ogv",),
    "video/x-matroska": (".mkv",),
    "video/x-flv": (".flv",),
    "audio/aac": (".aac",),
    "audio/flac": (".flac",),
    "audio/mp4": (".m4a", ".m4b"),
    "audio/ogg": (".ogg", ".oga", ".opus"),
    "audio/x-ms-wma": (".wma",),
}
"""What the standard library's table lacks, in one Python version or another."""

FETCHED = ("http", "https", "file", "data")
"""Schemes of URLs that encoders fetch."""

_LIKE_AN_URL = re.compile(r"([a-z][a-z0-9+.-]*)(?::/|:.*[,;@?])|(https?|ftp|file)\W*//|(?=//)", re.IGNORECASE)
"""What somebody meant as an URL, and so may have a secret in it. A path with a doubled slash, or a colon, is none."""

_types = mimetypes.MimeTypes()  # its own table: that of the machine differs from one to the next
for _type, _extensions in MORE_TYPES.items():
    for _extension in _extensions:
        _types.add_type(_type, _extension)


@dataclass(frozen=True, slots=True)
class Source:
    """One argument, understood.

    Attributes:
        name: To show: an URL without its query and credentials.
        modality: What it is.
        media: What the client is given.
    """

    name: str
    modality: Modality
    media: Media


def understand(text: str, modality: Modality | None, fps: float | None, frames: int | None) -> Source:
    """The item that the argument `text` stands for.

    Raises:
        ValueError: What it is cannot be told from its name, or nobody fetches such an URL; says what to do.
    """
    name, fetched = shown(text), is_url(text)
    if not fetched and name != text:
        raise ValueError(
            f"not an URL that is fetched: give a file, or an URL of {', '.join(FETCHED)}, as https://host/path"
        )
    kind = modality or guess(text)
    if kind is None:
        raise ValueError("is it an image, a video or audio? The name does not tell: say so with --modality")
    source = text if fetched else Path(text)
    match kind:
        case "image":
            return Source(name, kind, image(source))
        case "audio":
            return Source(name, kind, audio(source))
        case "video":
            return Source(name, kind, video(source, fps=fps, frames=frames))


def is_url(text: str) -> bool:
    """Whether the encoder is to fetch it."""
    return _url(text) is not None


def _url(text: str) -> SplitResult | None:
    """The parts of an URL that encoders fetch; None for a file, or what cannot be taken apart."""
    if os.path.exists(text):
        return None
    try:
        parts = urlsplit(text)
    except ValueError:
        return None
    scheme = parts.scheme.lower()
    return parts if scheme in FETCHED and (parts.netloc or scheme in ("data", "file")) else None


def guess(text: str) -> Modality | None:
    """What a file or an URL is, by its extension; None where that does not tell."""
    if is_url(text) and not text.lower().startswith("data:"):
        text = urlsplit(text).path
    found, compressed = _types.guess_type(text)
    kind = None if found is None or compressed else found.partition("/")[0]
    match kind:
        case "image" | "video" | "audio":
            return kind
        case _:
            return None


def shown(text: str) -> str:
    """A name for tables and logs: no query, no credentials, no content; of a misspelt URL nothing but its scheme."""
    parts = _url(text)
    if parts is None:
        misspelt = _LIKE_AN_URL.match(text)
        return text if misspelt is None or os.path.exists(text) else f"{misspelt[1] or misspelt[2] or ''}..."
    if parts.scheme.lower() == "data":
        return f"data:{parts.path.partition(',')[0].partition(';')[0]} ({len(text)} characters)"
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"
