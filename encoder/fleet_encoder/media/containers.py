"""Is a media file whole? Read off the outermost boxes of MP4, QuickTime and Matroska; other formats do not tell."""

from fleet_encoder.errors import Invalid
from fleet_encoder.media.buffers import Data, check_not_empty

_ISO_FIRST_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide")
_ISO_BOXES = (*_ISO_FIRST_BOXES, b"moof", b"mfra", b"sidx", b"ssix", b"styp", b"emsg", b"udta", b"uuid", b"meta")
_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"


def check_whole(data: Data) -> None:
    """Refuse a file that is empty or cut off.

    Raises:
        Invalid: Says how many bytes there are, and how many there should be.
    """
    check_not_empty(data)
    claimed = claimed_bytes(memoryview(data))
    if claimed > len(data):
        raise Invalid(f"the file is cut off: {len(data)} bytes of {claimed}; send it whole")


def claimed_bytes(data: memoryview) -> int:
    """Bytes that the file should have by its own account; 0 where it gives none."""
    if bytes(data[4:8]) in _ISO_FIRST_BOXES:
        return _iso_bytes(data)
    if bytes(data[:4]) == _EBML:
        return _matroska_bytes(data)
    return 0


def _iso_bytes(data: memoryview) -> int:
    """End of the last box that is one of the known; what else may follow is padding."""
    at = 0
    while at + 8 <= len(data):
        size, kind = int.from_bytes(data[at : at + 4], "big"), bytes(data[at + 4 : at + 8])
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        if size < 8 or kind not in _ISO_BOXES:  # size 0: up to the end of the file, wherever that is
            return at
        at += size
    return at


def _matroska_bytes(data: memoryview) -> int:
    """End of the segment, 0 where it is of unknown size: a live recording."""
    length, size = _vint(data, 4)
    at = 4 + length + size
    if bytes(data[at : at + 4]) != _SEGMENT:
        return 0
    length, size = _vint(data, at + 4)
    unknown = (1 << 7 * length) - 1
    return 0 if size == unknown else at + 4 + length + size


def _vint(data: memoryview, at: int) -> tuple[int, int]:
    """Length in bytes and value of an EBML number."""
    first = data[at] if at < len(data) else 0
    length = 9 - first.bit_length()
    return length, int.from_bytes(data[at : at + length], "big") & ((1 << 7 * length) - 1)
