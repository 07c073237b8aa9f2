"""`data:` URIs: strict base64, or percent-encoded bytes.

The decoders of the standard library hold the interpreter's lock for as long as one call takes, 150 ms for 100 MB. So
the text is worked off in small pieces, with the lock let go between them: other threads, the event loop's above all,
run in between.
"""

import binascii
import re
import time
from collections.abc import Callable, Iterator
from urllib.parse import unquote_to_bytes

import numpy as np

from fleet_encoder.errors import Invalid, TooLarge
from fleet_encoder.sources.urls import redacted

MAX_HEADER = 1024
"""Characters before the comma."""

PIECE = 1 << 17
"""Characters of base64 in one piece: a quarter of a millisecond."""

PERCENT_PIECE = 1 << 14
"""Characters in one piece where there are percent signs, as these cost far more."""

_BAD_ESCAPE = re.compile("%(?![0-9A-Fa-f]{2})")


def decode(text: str, max_bytes: int, cover: Callable[[int], None]) -> memoryview:
    """The bytes that the URI `text` holds. Runs in a worker thread where the text is long.

    Args:
        text: The whole URI.
        max_bytes: Of the decoded media.
        cover: Called with the number of bytes that will be allocated, before they are; raises to refuse.

    Raises:
        Invalid: It is not a `data:` URI, or its content is not what its header says.
        TooLarge: Judged from the text's length, before anything is decoded.
    """
    comma = text.find(",", 0, MAX_HEADER)
    if comma < 0:
        raise Invalid(f"a data: URI needs a comma within its first {MAX_HEADER} characters: data:image/png;base64,...")
    if not text.isascii():
        raise Invalid("a data: URI holds ASCII characters only: encode the bytes as base64")
    start = comma + 1
    is_base64 = text[:comma].lower().replace(" ", "").endswith(";base64")
    escapes = sum(text.count("%", at, at + PIECE) for at in range(start, len(text), PIECE))
    symbols = len(text) - start - 2 * escapes
    size = symbols // 4 * 3 if is_base64 else symbols
    if size - 2 * is_base64 > max_bytes:  # two of the last three bytes may be padding
        raise _too_large(text, size, max_bytes)
    cover(max(size, 0))
    pieces = _unescaped(text, start) if escapes else _plain(text, start)
    return _gather(_base64(pieces) if is_base64 else pieces, max(size, 0), text, max_bytes)


def _gather(pieces: Iterator[bytes], size: int, text: str, max_bytes: int) -> memoryview:
    """Put `pieces` one behind another, into memory that is not cleared first."""
    buffer = np.empty(size, np.uint8).data
    end = 0
    for piece in pieces:
        buffer[end : end + len(piece)] = piece
        end += len(piece)
        time.sleep(0)  # lets go of the interpreter's lock
    if end > max_bytes:
        raise _too_large(text, end, max_bytes)
    return buffer[:end]


def _plain(text: str, start: int) -> Iterator[bytes]:
    for at in range(start, len(text), PIECE):
        yield text[at : at + PIECE].encode("ascii")


def _unescaped(text: str, start: int) -> Iterator[bytes]:
    """Resolve %XX, piece by piece, none of which ends inside an escape."""
    while start < len(text):
        end = start + PERCENT_PIECE
        if end < len(text):
            cut = text.find("%", end - 2, end)
            end = end if cut < 0 else cut
        piece = text[start:end]
        if _BAD_ESCAPE.search(piece):
            raise Invalid("a data: URI has a % that is not followed by two hexadecimal digits: write it as %25")
        yield unquote_to_bytes(piece)
        start = end


def _base64(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Decode pieces of any length as one base64 text."""
    rest = b""
    ended = False
    for piece in pieces:
        symbols = rest + piece
        whole = len(symbols) // 4 * 4
        rest = symbols[whole:]
        if not whole:
            continue
        try:
            decoded = binascii.a2b_base64(symbols[:whole], strict_mode=True)
        except binascii.Error:
            raise _not_base64() from None
        padding = whole // 4 * 3 - len(decoded)
        if ended or padding > 2:
            raise _not_base64()
        ended = padding > 0  # nothing may follow
        yield decoded
    if rest:
        raise _not_base64()


def _not_base64() -> Invalid:
    return Invalid(
        "the content of a data: URI is not base64: use the standard alphabet (+ and /), with = padding, no line breaks"
    )


def _too_large(text: str, size: int, limit: int) -> TooLarge:
    return TooLarge(
        f"{redacted(text)}: {size} bytes, the pool's limit is {limit} (spec.media.maxBytes): send it smaller"
    )
