"""Speech and sound as mono samples, equal to transformers' loader, from files of all kinds."""

import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from transformers.audio_utils import load_audio

from fleet_encoder.errors import Invalid
from fleet_encoder.media import audio
from fleet_encoder.media.audio import decode_audio, probe_audio

Film = Callable[[str], Path]
VOICES = ["Front_Center", "Noise", "Rear_Left", "Side_Right"]
SOUNDS = {
    "stereo.mp3": "-ac 2 -ar 44100",
    "stereo_8khz.wav": "-ac 2 -ar 8000",
    "surround.wav": "-ac 6",
    "24bit_96khz.wav": "-c:a pcm_s24le -ar 96000",
    "float.wav": "-c:a pcm_f32le",
    "already_16khz.wav": "-ar 16000",
    "speech.flac": "",
    "speech.m4a": "-c:a aac",
    "speech.aac": "-c:a aac -f adts",
    "speech.webm": "-c:a libopus",
    "speech.ogg": "-c:a libvorbis",
}
FLOATING_POINT_CODECS = ("m4a", "aac", "webm", "ogg", "mp4")


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory, ffmpeg: Callable[..., None], speech: Path) -> Film:
    """A sound by its name in `SOUNDS`, made on first use."""
    folder = tmp_path_factory.mktemp("sounds")

    def path(name: str) -> Path:
        target = folder / name
        if not target.exists():
            ffmpeg("-i", speech / "Front_Center.wav", *SOUNDS[name].split(), target)
        return target

    return path


def decoded(data: bytes | bytearray | memoryview, rate: int = 16_000) -> audio.Audio:
    info = probe_audio(data)
    result = decode_audio(data, rate, info)
    assert result.samples.dtype == np.float32
    assert result.samples.ndim == 1
    assert (result.rate, result.info) == (rate, info)
    return result


@pytest.mark.parametrize("name", VOICES)
@pytest.mark.parametrize("rate", [16_000, 24_000, 48_000])
def test_real_speech_as_transformers_loads_it(name: str, rate: int, speech: Path) -> None:
    ours = decoded((speech / f"{name}.wav").read_bytes(), rate)
    assert ours.decoder == "torchcodec"
    assert np.array_equal(ours.samples, load_audio(str(speech / f"{name}.wav"), sampling_rate=rate))


@pytest.mark.parametrize("name", SOUNDS)
def test_every_kind_of_file_as_transformers_loads_it(name: str, sound: Film) -> None:
    ours = decoded(sound(name).read_bytes())
    assert np.array_equal(ours.samples, load_audio(str(sound(name)), sampling_rate=16_000))


@pytest.mark.parametrize("name", SOUNDS)
@pytest.mark.parametrize("rate", [16_000, 24_000])
def test_pyav_decodes_the_same(name: str, rate: int, sound: Film, monkeypatch: pytest.MonkeyPatch) -> None:
    data = sound(name).read_bytes()
    expected = decoded(data, rate)
    monkeypatch.setattr(audio, "AudioDecoder", None)  # as where torchcodec is not installed
    ours = decoded(data, rate)
    assert ours.decoder == "pyav"
    if name.endswith(FLOATING_POINT_CODECS):  # two versions of FFmpeg may differ in the last bit, and in where it ends
        common = min(len(ours.samples), len(expected.samples))
        assert max(len(ours.samples), len(expected.samples)) - common < rate / 100
        assert np.abs(ours.samples[:common] - expected.samples[:common]).max() < 1e-6
    else:
        assert np.array_equal(ours.samples, expected.samples)


@pytest.mark.parametrize(
    ("name", "rate", "channels", "codec"),
    [
        ("stereo.mp3", 44100, 2, "mp3"),
        ("speech.flac", 48000, 1, "flac"),
        ("speech.webm", 48000, 1, "opus"),
        ("surround.wav", 48000, 6, "pcm_s16le"),
    ],
)
def test_the_header(name: str, rate: int, channels: int, codec: str, sound: Film) -> None:
    info = probe_audio(sound(name).read_bytes())
    assert (info.rate, info.channels, info.codec) == (rate, channels, codec)
    assert info.duration == pytest.approx(1.428, abs=0.05)


@pytest.mark.parametrize("container", ["webm", "matroska", "ogg", "wav"])
def test_a_live_recording_whose_header_knows_no_duration(
    container: str, speech: Path, tmp_path: Path, ffmpeg: Callable[..., None]
) -> None:
    codec = "pcm_s16le" if container == "wav" else "libopus"
    recording = tmp_path / "recording"
    with recording.open("wb") as file:
        command = ["ffmpeg", "-v", "error", "-i", speech / "Front_Center.wav", "-c:a", codec, "-f", container, "pipe:1"]
        subprocess.run(list(map(str, command)), stdout=file, check=True, stdin=subprocess.DEVNULL)
    info = probe_audio(recording.read_bytes())
    assert info.duration == pytest.approx(1.428, abs=0.05)
    assert len(decoded(recording.read_bytes()).samples) == pytest.approx(1.428 * 16_000, abs=400)


@pytest.mark.parametrize("container", ["ts", "mkv"])
def test_a_recording_that_begins_long_after_zero(container: str, tmp_path: Path, ffmpeg: Callable[..., None]) -> None:
    """As a part of a broadcast: all of its 30 s are heard, and they begin at 100 s."""
    recording = tmp_path / f"recording.{container}"
    tone = ["-f", "lavfi", "-i", "sine=r=16000:d=30", "-c:a", "mp2"]
    ffmpeg(*tone, "-muxdelay", "0", "-output_ts_offset", "100", recording)
    ours = decoded(recording.read_bytes())
    assert ours.decoder == "torchcodec"
    assert len(ours.samples) == pytest.approx(30 * 16_000, abs=2000)
    assert np.array_equal(ours.samples, load_audio(str(recording), sampling_rate=16_000))


def test_the_sound_of_a_video(film: Film) -> None:
    ours = decoded(film("with_sound.mp4").read_bytes())
    assert ours.info.codec == "aac"
    assert np.array_equal(ours.samples, load_audio(str(film("with_sound.mp4")), sampling_rate=16_000))


def test_a_video_without_sound_says_so(film: Film) -> None:
    with pytest.raises(Invalid, match="no audio in it, only video"):
        probe_audio(film("h264.mp4").read_bytes())


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"", "empty"), (b"<html>no sound</html>" * 9, "not audio"), (bytes(4000), "not audio"), (b"RIFF", "not audio")],
)
def test_what_is_no_audio(data: bytes, words: str) -> None:
    with pytest.raises(Invalid, match=words) as caught:
        probe_audio(data)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_cut_off_says_so(sound: Film) -> None:
    data = sound("speech.m4a").read_bytes()
    with pytest.raises(Invalid, match="cut off"):
        probe_audio(data[: len(data) // 2])


def test_damage_is_placed(sound: Film, capfd: pytest.CaptureFixture[str]) -> None:
    data = bytearray(sound("speech.m4a").read_bytes())
    at = data.index(b"mdat") + 4
    middle = at + (len(data) - at) // 2
    data[middle : middle + 3000] = b"\xff" * 3000
    with pytest.raises(Invalid, match=r"damaged at 0\.\d s") as caught:
        decoded(bytes(data))
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def wav(claimed_seconds: float, seconds: float) -> bytes:
    """Silence at 8 kHz and 8 bits, under a header that claims something else."""
    body, claimed = bytes([128]) * int(8000 * seconds), int(8000 * claimed_seconds)
    layout = struct.pack("<HHIIHH", 1, 1, 8000, 8000, 1, 8)
    head = b"RIFF" + struct.pack("<I", 36 + claimed) + b"WAVE" + b"fmt " + struct.pack("<I", len(layout)) + layout
    return head + b"data" + struct.pack("<I", claimed) + body


def test_only_as_much_is_decoded_as_the_header_promises() -> None:
    ours = decoded(wav(claimed_seconds=1, seconds=900))
    assert len(ours.samples) <= 16_000 * 1.01


def test_a_header_that_promises_a_second_before_hours(
    tmp_path: Path, ffmpeg: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frames of an hour behind the duration of a second: refused before they fill the memory."""
    file = tmp_path / "hours.flac"
    ffmpeg("-f", "lavfi", "-i", "anullsrc=r=8000:cl=mono", "-t", "400", "-c:a", "flac", file)
    data = bytearray(file.read_bytes())
    # STREAMINFO: 36 bits of total samples in the last of byte 21 and in 22 to 25.
    data[21] &= 0xF0
    data[22:26] = (8000).to_bytes(4, "big")
    info = probe_audio(bytes(data))
    assert info.duration == pytest.approx(1.0)
    for decoder in (audio.AudioDecoder, None):
        monkeypatch.setattr(audio, "AudioDecoder", decoder)
        with pytest.raises(Invalid, match=r"goes on long after the 1\.0 s"):
            decode_audio(bytes(data), 16_000, info)


def test_a_title_in_an_odd_encoding_is_no_matter(speech: Path) -> None:
    data = (speech / "Front_Left.wav").read_bytes()
    title = b"INFOINAM" + struct.pack("<I", 6) + b"\xff\xfe\x80\xe9\xe8\0"
    expected = decoded(data).samples
    assert np.array_equal(decoded(data + b"LIST" + struct.pack("<I", len(title)) + title).samples, expected)


def test_any_buffer_will_do(sound: Film) -> None:
    data = sound("stereo.mp3").read_bytes()
    expected = decoded(data).samples
    assert np.array_equal(decoded(bytearray(data)).samples, expected)
    assert np.array_equal(decoded(memoryview(b"before" + data + b"behind")[6:-6]).samples, expected)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
def test_samples_that_are_no_sound(value: float) -> None:
    """One is enough to make every number of the embedding one that is none."""
    samples = np.zeros(16_000, np.float32)
    samples[5] = value
    header = struct.pack("<IHHIIHH", 16, 3, 1, 16_000, 64_000, 4, 32)
    body = b"WAVEfmt " + header + b"data" + struct.pack("<I", samples.nbytes) + samples.tobytes()
    data = b"RIFF" + struct.pack("<I", len(body)) + body
    with pytest.raises(Invalid, match="no numbers, infinite or absurdly loud"):
        decode_audio(data, 16_000, probe_audio(data))


def test_a_header_without_a_codec() -> None:
    header = struct.pack("<IHHIIHH", 16, 1, 1, 16_000, 32_000, 0, 0)
    data = b"RIFF" + struct.pack("<I", 236) + b"WAVEfmt " + header + b"data" + struct.pack("<I", 200) + bytes(200)
    with pytest.raises(Invalid, match="no codec"):
        decode_audio(data, 16_000, probe_audio(data))
