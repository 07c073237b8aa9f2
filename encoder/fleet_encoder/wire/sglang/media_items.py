"""How a language server names media: one of a request's `mm_items` -> where its bytes are. Pure."""

import re
from dataclasses import dataclass
from typing import Any

from fleet_encoder.errors import Invalid
from fleet_encoder.job import Source
from fleet_encoder.wire.sglang.showing import kind, shown

_HASH = re.compile(r"(?:sha256:)?([0-9a-fA-F]{64})")


@dataclass(frozen=True, slots=True)
class Item:
    """One of the part's media.

    Attributes:
        source: Where they are.
        sha256: Of the file, in hexadecimal, where the caller knows it.
    """

    source: Source
    sha256: str | None = None


def item(given: Any) -> Item:
    """One of the list.

    Raises:
        Invalid: Says what it should be.
    """
    if isinstance(given, str):
        return Item(source(given))
    if not isinstance(given, dict) or not isinstance(given.get("url"), str):
        raise Invalid(f"an item of mm_items is {kind(given)}: give a string, or an object with `url`, a string")
    content = given.get("content_hash")
    if content is None:
        return Item(source(given["url"]))
    match = _HASH.fullmatch(content) if isinstance(content, str) else None
    if match is None:
        raise Invalid(f"content_hash is {shown(content)}: give sha256: and 64 hexadecimal digits")
    return Item(source(given["url"]), match[1].lower())


def source(text: str) -> Source:
    """Where an item's media are: an http, https, file or data URL, a path, or bare base64.

    Raises:
        Invalid: It is empty.
    """
    if not text:
        raise Invalid("an item of mm_items is empty: give an URL, or base64")
    if text.startswith("data:"):
        return Source(url=text, size=len(text) * 3 // 4)
    if text.startswith(("http://", "https://", "file:")):
        return Source(url=text)
    if text.startswith("/") and _is_path(text):
        return Source(url="file://" + _quoted(text))
    return Source(url="data:;base64," + text, size=len(text) * 3 // 4)


def _is_path(text: str) -> bool:
    """Base64 may start with a slash, too: of a JPEG it does. A path is short, and has a dot or is no base64."""
    return len(text) < 4096 and not (len(text) % 4 == 0 and len(text) > 256 and "." not in text)


def _quoted(path: str) -> str:
    return "".join(f"%{ord(each):02X}" if each in "%?# " else each for each in path)
