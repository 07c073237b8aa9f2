"""Opening a media file with PyAV."""

from collections.abc import Iterator
from typing import Any

import av

from fleet_encoder.limits import check_packets
from fleet_encoder.media.buffers import Data, as_file

_OPTIONS = {"protocol_whitelist": ""}
"""A playlist is a video, too, to FFmpeg: it must not make this process read files or fetch addresses."""


_ODD_TITLES: dict[str, str] = {"metadata_errors": "ignore"} if int(av.__version__.partition(".")[0]) < 19 else {}
"""Titles in odd encodings are no matter: PyAV 19 has no choice there, and earlier ones raise if not told otherwise."""


def open_file(data: Data) -> Any:
    """The container, to be closed by the caller.

    Raises:
        av.FFmpegError: FFmpeg does not know what it is.
        ValueError: Likewise.
    """
    return av.open(as_file(data), options=_OPTIONS, **_ODD_TITLES)


def packets_to_index(packets: Iterator[Any]) -> Iterator[Any]:
    """The same packets, as long as they are not too many.

    Raises:
        TooLarge: They are.
    """
    for count, packet in enumerate(packets):  # the last one is empty
        check_packets(count)
        yield packet
