"""Undoing a content coding that a host used although it was asked not to. Runs in a worker thread."""

import zlib
from collections.abc import Callable

from fleet_encoder.errors import Invalid, TooLarge

CODINGS = frozenset({"gzip", "x-gzip", "deflate"})

STEP = 1 << 18
"""Bytes decoded at once, at most: what a bomb costs before it is noticed."""


def inflate(body: bytearray | memoryview, max_bytes: int, cover: Callable[[int], None], shown: str) -> bytearray:
    """The decoded body.

    Args:
        body: As it came, one gzip or zlib stream.
        max_bytes: Of the decoded body.
        cover: Called with the bytes that are held so far, before more are; raises to refuse.
        shown: The URL as messages show it.

    Raises:
        Invalid: It is no such stream, or is cut off.
        TooLarge: It decodes to more than `max_bytes`.
    """
    decoder = zlib.decompressobj(zlib.MAX_WBITS | 32)  # finds out which of the two it is
    decoded = bytearray()
    try:
        for at in range(0, len(body), STEP):
            rest = bytes(body[at : at + STEP])
            while rest and not decoder.eof:
                decoded += decoder.decompress(rest, STEP)
                rest = decoder.unconsumed_tail
                if len(decoded) > max_bytes:
                    raise TooLarge(
                        f"{shown}: over {max_bytes} bytes once decompressed, which is the pool's limit "
                        "(spec.media.maxBytes)"
                    )
                cover(len(body) + len(decoded))
    except zlib.error:
        raise Invalid(f"{shown}: its body is not what its Content-Encoding says: serve it without one") from None
    if not decoder.eof:
        raise Invalid(f"{shown}: its compressed body is cut off: serve it without Content-Encoding")
    return decoded
