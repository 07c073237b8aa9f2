"""Video by torchcodec, over the system's FFmpeg."""

from collections.abc import Sequence
from time import monotonic

import torch
from torchcodec.decoders import Demuxer, VideoDecoder

from fleet_encoder.limits import check_packets
from fleet_encoder.media.buffers import Data, as_tensor
from fleet_encoder.media.chunks import Span
from fleet_encoder.media.frame_index import (
    Check,
    FrameIndex,
    Put,
    RefusedError,
    ScannedVideo,
    Work,
    any_size,
    scanned_video,
)
from fleet_encoder.media.shortage import check_shortage

NAME = "torchcodec"
CALL_SECONDS = 0.03
"""To aim at for one call into the decoder, which nothing can interrupt."""


def scan(data: Data, check: Check = any_size) -> ScannedVideo:
    """Read header and packets, decode nothing: 2.5 ms a minute of video.

    Raises:
        RefusedError: Not for torchcodec, whatever it is.
        Invalid: It holds nothing to decode.
        TooLarge: Too many packets, or what `check` raises.
    """
    try:
        stream = Demuxer(as_tensor(data), streams="video").streams[0]
        header = stream.metadata
        check(header.width or 0, header.height or 0)
        check_packets(header.num_frames_from_header or 0)
        packets = stream.scan()
    except (RuntimeError, ValueError) as error:
        check_shortage(error)
        raise RefusedError("not a video in a format that is read here, or its header is damaged") from error
    check_packets(len(packets))
    index = FrameIndex(pts=packets.pts_seconds.numpy(), keyframes=tuple(packets.key_frame_indices.tolist()))
    return scanned_video(
        index,
        end=packets.end_stream_seconds_from_content if len(packets) else 0.0,
        header_fps=header.average_fps_from_header,
        width=header.width or 0,
        height=header.height or 0,
        codec=header.codec or "unknown",
    )


def decode(data: Data, index: FrameIndex, spans: Sequence[Span], threads: int, put: Put) -> Work:
    """Decode `spans` one after the other and hand every wanted frame to `put`.

    Yields between calls into the decoder, so that whoever runs it can let others have the CPU. One call decodes all
    that lies before the frame it asks for; so where wanted frames are far apart, some between them are asked for too.

    Raises:
        RefusedError: The file, or a frame of it.
    """
    decoder = _open(data, threads)
    stride = 4
    for span in spans:
        at = span.start - 1
        for number in span.frames:
            while at < number:
                began, came_from = monotonic(), at
                at = min(number, at + stride)
                frame = _frame(decoder, at, index)
                if at == number:
                    put(number, frame.numpy())
                stride = max(1, int(CALL_SECONDS * (at - came_from) / max(monotonic() - began, 1e-6)))
                yield


def _open(data: Data, threads: int) -> VideoDecoder:
    try:
        return VideoDecoder(
            as_tensor(data), dimension_order="NHWC", num_ffmpeg_threads=threads, seek_mode="exact", device="cpu"
        )
    except (RuntimeError, ValueError) as error:
        check_shortage(error)
        raise RefusedError("the video cannot be opened") from error


def _frame(decoder: VideoDecoder, number: int, index: FrameIndex) -> torch.Tensor:
    """uint8 [h, w, 3]. torchcodec gives the next frame for one that cannot be decoded: that is not what was wanted."""
    try:
        frame = decoder.get_frame_at(number)
    except (RuntimeError, IndexError) as error:
        check_shortage(error)
        raise RefusedError(f"{index.place(number)}, cannot be decoded") from error
    if frame.pts_seconds != index.pts[number]:
        raise RefusedError(f"{index.place(number)}, cannot be decoded")
    data: torch.Tensor = frame.data
    return data
