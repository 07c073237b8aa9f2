"""Limits of the pool are checked on headers, before memory is spent; each refusal names its field."""

import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import EncoderProcess
from fleet_client.protocol import Sampling, Status
from peer import Peer

LIMITS = {"--max-bytes": 600_000, "--max-pixels": 1_000_000, "--max-video-seconds": 2, "--max-frames": 8}


@pytest.fixture(scope="module")
def strict(qwen2_5_vl: Path) -> Iterator[EncoderProcess]:
    flags = [text for flag, value in LIMITS.items() for text in (flag, str(value))]
    encoder = EncoderProcess(qwen2_5_vl, "--cpus", "1", *flags)
    yield encoder.wait_until_ready()
    encoder.stop()


def png_bomb(width: int, height: int) -> bytes:
    """A valid PNG of a few hundred bytes a megapixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer = zlib.compressobj(9)
    body = io.BytesIO()
    for _ in range(height):
        body.write(packer.compress(bytes(1 + width)))
    body.write(packer.flush())
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body.getvalue()) + chunk(b"IEND", b"")


def refusal(encoder: EncoderProcess, modality: str, media: bytes, **options: object) -> str:
    with Peer(encoder.endpoint) as peer:
        ((result, _),) = peer.ask([(modality, media)], **options).values()
    assert result.status is Status.TOO_LARGE, result
    return result.message


def test_bytes(strict: EncoderProcess) -> None:
    assert "spec.media.maxBytes" in refusal(strict, "image", bytes(600_001))


def test_bytes_of_a_data_uri(strict: EncoderProcess) -> None:
    with Peer(strict.endpoint) as peer:
        ((result, _),) = peer.ask([("image", "data:image/png;base64," + "A" * 900_000)]).values()
    assert result.status is Status.TOO_LARGE
    assert "spec.media.maxBytes" in result.message
    assert "AAAA" not in result.message


def test_pixels_of_a_bomb(strict: EncoderProcess) -> None:
    bomb = png_bomb(20_000, 10_000)
    assert len(bomb) < LIMITS["--max-bytes"]
    assert "spec.media.maxPixels" in refusal(strict, "image", bomb)


def test_seconds_of_video(strict: EncoderProcess, clips: Path) -> None:
    clip = clips / "carphone_pristine.mp4"
    assert clip.stat().st_size <= LIMITS["--max-bytes"]
    assert "spec.media.maxVideoSeconds" in refusal(strict, "video", clip.read_bytes())


def test_seconds_of_audio(qwen2_audio: Path, speech: Path, start_encoder) -> None:  # type: ignore[no-untyped-def]
    encoder = start_encoder(qwen2_audio, "--cpus", "1", "--max-video-seconds", "1").wait_until_ready()
    assert "spec.media.maxVideoSeconds" in refusal(encoder, "audio", (speech / "Front_Center.wav").read_bytes())


def test_frames(qwen2_5_vl: Path, clips: Path, start_encoder) -> None:  # type: ignore[no-untyped-def]
    encoder = start_encoder(qwen2_5_vl, "--cpus", "1", "--max-frames", "8").wait_until_ready()
    clip = (clips / "bigbuckbunny.mp4").read_bytes()
    assert "spec.media.maxFrames" in refusal(encoder, "video", clip, sampling=Sampling(frames=20))
    with Peer(encoder.endpoint) as peer:
        ((result, _),) = peer.ask([("video", clip)], sampling=Sampling(frames=8)).values()
    assert result.status is Status.OK, result.message
    assert result.meta is not None
    assert len(result.meta.frame_indices or []) == 8


def test_a_message_far_over_the_limit_ends_its_own_connection_only(strict: EncoderProcess, photos: Path) -> None:
    with Peer(strict.endpoint) as flood, Peer(strict.endpoint) as other:
        flood.encode([("image", bytes(4_000_000))])
        ((result, _),) = other.ask([("image", (photos / "rocket.jpg"))]).values()
        assert result.status is Status.OK
