"""Video by PyAV, over the FFmpeg that its wheel brings along."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import av
import numpy as np

from fleet_encoder.media.buffers import Data
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
from fleet_encoder.media.pyav_file import open_file, packets_to_index
from fleet_encoder.media.pyav_rgb import RgbConverter, quarter_turns
from fleet_encoder.media.references import disposable_test

NAME = "pyav"
MAX_REORDER = 16
"""Frames that a codec may hold back to put them in order."""
NO_TIME = -(1 << 63)
"""As FFmpeg marks a packet or frame without any."""


def scan(data: Data, check: Check = any_size) -> ScannedVideo:
    """Read header and packets; decode one frame, as only a frame tells its rotation.

    Raises:
        RefusedError: Not for FFmpeg, whatever it is.
        Invalid: It holds nothing to decode.
        TooLarge: Too many packets, or what `check` raises.
    """
    reader = _Reader(data, threads=1)
    try:
        stream, base = reader.stream, reader.stream.time_base
        width, height, codec = stream.width, stream.height, stream.codec.canonical_name
        check(width, height)
        header_fps = float(stream.base_rate) if stream.base_rate else None
        packets = np.fromiter(
            (
                (_ticks(packet), packet.duration or 0, packet.is_keyframe)
                for packet in packets_to_index(reader.packets())
                if packet.size and not packet.is_discard
            ),
            np.dtype((np.int64, 3)),
        )
        reader.rewind()
        if reader.first_frame_turns() % 2:
            width, height = height, width
    except av.FFmpegError as error:
        raise RefusedError("the video is damaged") from error
    finally:
        reader.close()
    starts, durations, keys = packets[np.lexsort(packets.T[::-1])].T
    return scanned_video(
        FrameIndex(pts=starts * base.numerator / base.denominator, keyframes=tuple(np.flatnonzero(keys).tolist())),
        end=float((starts + durations).max(initial=0) * base.numerator / base.denominator),
        header_fps=header_fps,
        width=width,
        height=height,
        codec=codec,
    )


def decode(data: Data, index: FrameIndex, spans: Sequence[Span], threads: int, put: Put) -> Work:
    """Decode `spans` one after the other and hand every wanted frame to `put`; yields between packets.

    Packets of frames that are neither wanted nor needed by others stay out of the decoder.

    Raises:
        RefusedError: The file, or a frame of it.
    """
    needed = {float(index.pts[number]) for span in spans for number in span.frames}
    reader = _Reader(data, threads)
    wanted: dict[float, list[int]] = {}
    try:
        for span in spans:
            for number in span.frames:
                wanted.setdefault(float(index.pts[number]), []).append(number)
            reader.seek(float(index.pts[span.start]) if span.start else None)
            yield from _collect(reader, wanted, needed, put)
            if wanted:  # containers seek by decoding time, and may have landed behind: from the beginning, then
                reader.rewind()
                yield from _collect(reader, wanted, needed, put)
            if wanted:
                raise RefusedError(f"{index.place(min(wanted.values())[0])}, cannot be decoded")
    except av.FFmpegError as error:
        missing = min((number for numbers in wanted.values() for number in numbers), default=0)
        raise RefusedError(f"the video is damaged before {index.place(missing)}") from error
    finally:
        reader.close()


def _collect(reader: "_Reader", wanted: dict[float, list[int]], needed: Collection[float], put: Put) -> Iterator[None]:
    """Decode on until `wanted` is empty, or nothing of it can come any more."""
    last, later = max(wanted), 0
    for seconds, frame in reader.frames(needed):
        if frame is None:
            yield
            continue
        if numbers := wanted.pop(seconds, None):
            rgb = reader.rgb(frame)
            for number in numbers:
                put(number, rgb)
        if not wanted:
            return
        later += seconds > last
        if later > MAX_REORDER:
            return


class _Reader:
    """One open file with its demuxer, decoder and converter."""

    def __init__(self, data: Data, threads: int) -> None:
        self._data = data
        self._threads = threads
        self._open()

    def _open(self) -> None:
        try:
            self._container = open_file(self._data)
            stream = self._container.streams.best("video")
        except (av.FFmpegError, ValueError) as error:
            raise RefusedError("not a video in a format that is read here, or its header is damaged") from error
        if stream is None:
            self._container.close()
            raise RefusedError("the file has no video in it")
        if stream.codec_context is None:  # FFmpeg has no decoder for it
            self._container.close()
            raise RefusedError("the video's codec is not one that is read here, or its header is damaged")
        self.stream: Any = stream
        self.stream.thread_count = self._threads
        self._disposable = disposable_test(stream.codec.canonical_name, stream.codec_context.extradata)
        self._convert: RgbConverter | None = None

    def close(self) -> None:
        """Free demuxer and decoder."""
        self._container.close()

    def rewind(self) -> None:
        """Back to the first packet, also where the container cannot seek."""
        self.close()
        self._open()

    def seek(self, seconds: float | None) -> None:
        """To the keyframe shown at `seconds`; None: to the beginning, where a file just opened already is."""
        if seconds is not None:
            base = self.stream.time_base
            self._container.seek(round(seconds * base.denominator / base.numerator), stream=self.stream)

    def packets(self) -> Iterator[Any]:
        """The stream's packets from here on; an empty one at the end, which drains the decoder."""
        packets: Iterator[Any] = self._container.demux(self.stream)
        return packets

    def frames(self, needed: Collection[float]) -> Iterator[tuple[float, Any]]:
        """(seconds, frame) in the order that the decoder gives them; (0, None) after each packet."""
        base = self.stream.time_base
        for packet in self.packets():
            ticks = _ticks(packet)
            seconds = ticks * base.numerator / base.denominator
            if packet.size and seconds not in needed and self._disposable and self._disposable(memoryview(packet)):
                continue
            for frame in packet.decode():
                yield _ticks(frame) * base.numerator / base.denominator, frame
            yield 0.0, None

    def rgb(self, frame: Any) -> np.ndarray[Any, Any]:
        """uint8 [h, w, 3], upright."""
        if self._convert is None:
            self._convert = RgbConverter(self.stream)
        return self._convert(frame)

    def first_frame_turns(self) -> int:
        """Quarter turns that make the first frame upright; 0 where there is none."""
        for _, frame in self.frames(()):
            if frame is not None:
                return quarter_turns(frame)
        return 0


def _ticks(timed: Any) -> int:
    """Presentation time of a packet or a frame in the stream's time base, else decoding time, as torchcodec has it."""
    return next((ticks for ticks in (timed.pts, timed.dts) if ticks is not None), NO_TIME)
