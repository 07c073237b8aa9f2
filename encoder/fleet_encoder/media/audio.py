"""Audio: the header, and the samples as mono float32 at the model's rate. Also the sound of a video file.

FFmpeg decodes and resamples, through torchcodec, or through PyAV where torchcodec is missing or refuses the file. The
two are equal bit for bit but for codecs that compute in floating point (AAC, Opus, Vorbis), where their FFmpeg
versions may differ in the last bit, and in the last milliseconds. Stereo becomes mono as FFmpeg does it: sqrt(2) times
the mean.
"""

from itertools import chain
from typing import Any

import av
import numpy as np

from fleet_encoder.errors import Invalid
from fleet_encoder.families.base import Audio, AudioInfo
from fleet_encoder.media.buffers import Data, as_tensor
from fleet_encoder.media.containers import check_whole
from fleet_encoder.media.pyav_file import open_file, packets_to_index
from fleet_encoder.media.shortage import check_shortage

try:
    from torchcodec.decoders import AudioDecoder
except (ImportError, OSError, RuntimeError):  # not installed
    AudioDecoder = None

Samples = np.ndarray[Any, np.dtype[np.float32]]
_SLACK_SECONDS = 60.0
LOUDEST = 1e6
"""Where full scale is 1. Files that hold integers as floats reach 32,768; the squares of 1e20 would be infinite."""


def probe_audio(data: Data) -> AudioInfo:
    """Duration, rate and channels, from the header; from the packets where the header knows no duration.

    Raises:
        Invalid: Not audio, or no sound in it, or damaged, or cut off.
        TooLarge: Too many packets.
    """
    check_whole(data)
    try:
        with open_file(data) as container:
            stream = _sound(container)
            context = stream.codec_context
            info = AudioInfo(
                duration=_duration(container, stream),
                rate=context.sample_rate or 0,
                channels=context.channels or 0,
                codec=stream.codec.canonical_name,
            )
    except (av.FFmpegError, ValueError) as error:
        raise Invalid("not audio in a format that is read here, or its header is damaged") from error
    if info.rate < 1 or info.channels < 1:
        raise Invalid("the audio's header gives no sample rate or no channels: re-encode it")
    return info


def decode_audio(data: Data, rate: int, info: AudioInfo) -> Audio:
    """All samples of the audio that `info` was read from.

    Args:
        data: The file.
        rate: Hz of the result.
        info: From `probe_audio`.

    Raises:
        Invalid: It cannot be decoded; says where.
    """
    # A header that promises a second before hours of silence must not fill the memory.
    limit = 2 * info.duration + _SLACK_SECONDS
    samples, decoder = _decode_with_torchcodec(data, rate, limit), "torchcodec"
    if samples is None:
        samples, decoder = _decode_with_pyav(data, rate, limit), "pyav"
    if len(samples) >= int(limit * rate):
        raise Invalid(f"the audio goes on long after the {info.duration:.1f} s of its header: re-encode it")
    if not len(samples):
        raise Invalid("the audio holds no samples")
    if not np.abs(samples).max() <= LOUDEST:  # so put that it is true of NaN, too
        raise Invalid("the audio has samples that are no numbers, infinite or absurdly loud: re-encode it")
    return Audio(samples=samples, rate=rate, info=info, decoder=decoder)


def _sound(container: Any) -> Any:
    stream = container.streams.best("audio")
    if stream is not None and stream.codec_context is None:
        stream = None  # FFmpeg has no decoder for it
    if stream is None and any(other.type == "audio" for other in container.streams):
        raise Invalid("the audio's header tells no codec that is read here, or no channels: re-encode it")
    if stream is None:
        kinds = ", ".join(sorted({other.type for other in container.streams})) or "nothing"
        raise Invalid(f"the file has no audio in it, only {kinds}")
    return stream


def _duration(container: Any, stream: Any) -> float:
    """Seconds."""
    if stream.duration:
        return float(stream.duration * stream.time_base)
    if container.duration:
        return float(container.duration / av.time_base)
    timed = (packet for packet in packets_to_index(container.demux(stream)) if packet.pts is not None)
    end = max((packet.pts + (packet.duration or 0) for packet in timed), default=0)
    return float((end - (stream.start_time or 0)) * stream.time_base)


def _decode_with_torchcodec(data: Data, rate: int, limit: float) -> Samples | None:
    """None where torchcodec is missing, or does not take the file."""
    if AudioDecoder is None:
        return None
    try:
        decoder = AudioDecoder(as_tensor(data), sample_rate=rate, num_channels=1)
        # Times are those of the file: a cut of a broadcast may begin at any hour.
        end = decoder.metadata.begin_stream_seconds + limit
        samples: Samples = decoder.get_samples_played_in_range(0, end).data[0].numpy()
    except (RuntimeError, ValueError) as error:
        check_shortage(error)
        return None
    return samples


def _decode_with_pyav(data: Data, rate: int, limit: float) -> Samples:
    resampler = av.AudioResampler(format="fltp", layout="mono", rate=rate)
    blocks: list[Samples] = [np.empty(0, np.float32)]
    done = 0
    try:
        with open_file(data) as container:
            for frame in chain(container.decode(_sound(container)), [None]):  # None: what the resampler holds back
                for block in resampler.resample(frame):
                    blocks.append(block.to_ndarray()[0])
                    done += len(blocks[-1])
                if done >= limit * rate:
                    break
    except (av.FFmpegError, ValueError) as error:
        raise Invalid(f"the audio is damaged at {done / rate:.1f} s: send the whole file, or re-encode it") from error
    return np.concatenate(blocks)
