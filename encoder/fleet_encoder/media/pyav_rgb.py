"""Decoded frames of PyAV to upright RGB, bit-equal to torchcodec's."""

from typing import Any

import av
import numpy as np

from fleet_encoder.media.frame_index import RefusedError


def quarter_turns(frame: "av.VideoFrame") -> int:
    """Turns by 90 degrees, counter-clockwise, that make the frame upright."""
    turns: int = round(frame.rotation / 90) % 4
    return turns


class RgbConverter:
    """Converts the frames of one stream.

    Not `VideoFrame.to_ndarray`: it scales interlaced frames by field and 10-bit ones with another filter. A filter
    graph does what torchcodec does, on one thread.
    """

    def __init__(self, stream: "av.VideoStream") -> None:
        self._graph = av.filter.Graph()
        self._graph.threads = 1
        self._graph.link_nodes(
            self._graph.add_buffer(template=stream),
            self._graph.add("scale", "interl=0:flags=bicubic"),
            self._graph.add("format", "pix_fmts=rgb24"),
            self._graph.add("buffersink"),
        ).configure()
        self._size = (stream.width, stream.height)

    def __call__(self, frame: "av.VideoFrame") -> np.ndarray[Any, Any]:
        """uint8 [h, w, 3].

        Raises:
            RefusedError: The stream changes its frame size midway.
        """
        if (frame.width, frame.height) != self._size:
            raise RefusedError("the video changes its frame size midway: re-encode it to one size")
        self._graph.vpush(frame)
        # A turned view has negative strides, which torch does not take.
        return np.ascontiguousarray(np.rot90(self._graph.vpull().to_ndarray(), quarter_turns(frame)))
