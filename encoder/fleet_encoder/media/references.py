"""Which compressed frames no other frame refers to: those need not be decoded unless they are wanted.

In H.264 and HEVC streams as encoders make them today that is a third to a half of all frames, and leaving them out
changes no pixel of the rest. (A decoder's own `skip_frame=nonref` is no help: it would drop the wanted ones, too.)

Only for streams whose packets are whole frames with length-prefixed NAL units, as MP4 and Matroska store them. In a
transport stream a packet may be one field of a frame.
"""

from collections.abc import Callable, Iterator

Disposable = Callable[[bytes | memoryview], bool]
"""Tells of a packet whether no frame refers to it."""

DISPOSABLE_CODECS = ("h264", "hevc")
_H264_SLICES = range(1, 6)
_HEVC_SLICES = range(32)
_HEVC_SUB_LAYER_NON_REFERENCE = frozenset(range(0, 16, 2))


def disposable_test(codec: str, extradata: bytes | None) -> Disposable | None:
    """The test for a stream with that codec configuration (`avcC` or `hvcC`), None where there is none."""
    if not extradata or extradata[0] != 1:
        return None
    if codec == "h264" and len(extradata) > 4:
        length_bytes = (extradata[4] & 3) + 1
        return lambda packet: h264_disposable(packet, length_bytes)
    if codec == "hevc" and len(extradata) > 21:
        length_bytes, layers = (extradata[21] & 3) + 1, (extradata[21] >> 3) & 7
        return (lambda packet: hevc_disposable(packet, length_bytes, layers)) if layers else None
    return None


def h264_disposable(packet: bytes | memoryview, length_bytes: int) -> bool:
    """Every slice has `nal_ref_idc` 0, and there is one."""
    slices = [packet[at] for at in nal_units(packet, length_bytes) if packet[at] & 0x1F in _H264_SLICES]
    return bool(slices) and not any(header & 0x60 for header in slices)


def hevc_disposable(packet: bytes | memoryview, length_bytes: int, layers: int) -> bool:
    """Every slice is a sub-layer non-reference picture of the highest of `layers` temporal layers.

    In a lower layer such a picture may serve the layers above.
    """
    found = False
    for at in nal_units(packet, length_bytes):
        kind = packet[at] >> 1 & 0x3F
        if kind not in _HEVC_SLICES:
            continue
        found = True
        if kind not in _HEVC_SUB_LAYER_NON_REFERENCE or at + 1 >= len(packet) or (packet[at + 1] & 7) != layers:
            return False
    return found


def nal_units(packet: bytes | memoryview, length_bytes: int) -> Iterator[int]:
    """Positions of the first byte of each NAL unit; ends where a length makes no sense."""
    at = 0
    while at + length_bytes < len(packet):
        yield at + length_bytes
        at += length_bytes + int.from_bytes(packet[at : at + length_bytes], "big")
