"""A PNG without its ancillary chunks: they change no pixel, and libpng reports the odd ones among them on stderr."""

from fleet_encoder.media.buffers import Data

_SIGNATURE_BYTES = 8
_FRAME_BYTES = 12  # of a chunk: length, name and checksum
_ANCILLARY = 0x20  # in the name's first letter


def critical_chunks(data: Data) -> bytes:
    """Signature, header, palette and image data; up to where the file ends, if it is cut off."""
    view = memoryview(data)
    parts, at = [view[:_SIGNATURE_BYTES]], _SIGNATURE_BYTES
    while at + _FRAME_BYTES <= len(view):
        end = at + _FRAME_BYTES + int.from_bytes(view[at : at + 4], "big")
        if not view[at + 4] & _ANCILLARY:
            parts.append(view[at:end])
        at = end
    return b"".join(parts)
