"""The main path: real encoder processes, real photos, video and speech, through the client."""

import base64
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from conftest import EncoderProcess
from fleet_client import AsyncClient, Client, Incompatible, TooLarge, audio, image, video
from peer import Peer, unique_jpeg


def test_photos_and_video(vision_encoder: EncoderProcess, photos: Path, clips: Path) -> None:
    with Client(vision_encoder.endpoint) as client:
        (welcome,) = client.hello().values()
        photo, clip = client.encode([image(photos / "rocket.jpg"), video(clips / "carphone_pristine.mp4", frames=14)])
    assert photo.embedding.shape == (photo.meta.tokens, welcome.dim)
    assert photo.embedding.dtype == np.dtype(welcome.dtype)
    assert np.isfinite(photo.embedding).all()
    assert photo.meta.grid is not None
    assert photo.meta.original_size == (640, 427)
    assert clip.embedding.shape == (clip.meta.tokens, welcome.dim)
    assert clip.meta.frame_indices is not None
    assert len(clip.meta.frame_indices) == 14
    assert {"decode_video", "forward"} <= clip.stage_ms.keys()


def test_bytes_paths_and_uris_are_the_same_photo(vision_encoder: EncoderProcess, photos: Path) -> None:
    content = unique_jpeg(photos / "rocket.jpg", 4711)
    uri = "data:image/jpeg;base64," + base64.b64encode(content).decode()
    with Client(vision_encoder.endpoint) as client:
        (first,) = client.encode([image(content)])
        again = client.encode([image(content), image(uri), image(memoryview(content))])
    assert not first.cached
    assert all(each.cached for each in again)
    assert all((each.embedding == first.embedding).all() for each in again)


def test_what_the_client_returns_is_what_the_wire_carries(vision_encoder: EncoderProcess, photos: Path) -> None:
    with Peer(vision_encoder.endpoint) as peer:
        result, rows = peer.ask([("image", photos / "coffee.png")])[0]
    with Client(vision_encoder.endpoint) as client:
        (encoding,) = client.encode([image(photos / "coffee.png")])
    assert rows is not None
    assert (encoding.embedding == rows).all()
    assert encoding.meta == result.meta


async def test_bad_items_fail_alone(vision_encoder: EncoderProcess, photos: Path, speech: Path) -> None:
    items = [
        image(photos / "coffee.png"),
        image(b"no image"),
        video(speech / "Noise.wav"),
        image(photos / "rocket.jpg"),
    ]
    async with AsyncClient(vision_encoder.endpoint) as client:
        results = await client.encode(items, return_errors=True)
        with pytest.raises(Incompatible, match="does not encode audio"):
            await client.encode([audio(speech / "Noise.wav")])
    assert [type(each).__name__ for each in results] == ["Encoding", "Invalid", "Invalid", "Encoding"]


def test_one_client_for_photos_and_speech(
    vision_encoder: EncoderProcess, audio_encoder: EncoderProcess, photos: Path, speech: Path
) -> None:
    items = [image(photos / "rocket.jpg"), audio(speech / "Front_Center.wav"), image(photos / "coffee.png")]
    with Client([vision_encoder.endpoint, audio_encoder.endpoint]) as client:
        results = client.encode(items)
    assert [each.endpoint for each in results] == [
        vision_encoder.endpoint,
        audio_encoder.endpoint,
        vision_encoder.endpoint,
    ]
    assert results[1].meta.samples is not None


@pytest.fixture(scope="module")
def narrow_encoder(qwen2_5_vl: Path) -> Iterator[EncoderProcess]:
    """An encoder that admits about one photo at a time, and no large ones."""
    limits = ("--max-pending-patches", "2000", "--max-bytes", "200000", "--max-pixels", "300000")
    encoder = EncoderProcess(qwen2_5_vl, *limits, "--cpus", "1")
    yield encoder.wait_until_ready()
    encoder.stop()


def test_the_pools_limits_are_told(narrow_encoder: EncoderProcess, photos: Path, tmp_path: Path) -> None:
    PIL.Image.new("L", (1000, 1000)).save(tmp_path / "wide.png")
    with Client(narrow_encoder.endpoint) as client:
        many_bytes, many_pixels = client.encode(
            [image(photos / "coffee.png"), image(tmp_path / "wide.png")], return_errors=True
        )
    assert isinstance(many_bytes, TooLarge)
    assert isinstance(many_pixels, TooLarge)
    assert "200000 (spec.media.maxBytes)" in str(many_bytes)
    assert "spec.media.maxPixels" in str(many_pixels)
    assert (many_bytes.attempts, many_pixels.attempts) == (0, 1)


def test_more_than_is_admitted_comes_through_all_the_same(narrow_encoder: EncoderProcess, photos: Path) -> None:
    with Client(narrow_encoder.endpoint, timeout=120) as client, Client(narrow_encoder.endpoint, timeout=120) as other:
        stream = other.stream([image(unique_jpeg(photos / "rocket.jpg", 100 + number)) for number in range(8)])
        next(stream)
        results = client.encode([image(unique_jpeg(photos / "rocket.jpg", number)) for number in range(8)])
        assert len(list(stream)) == 7
    assert len(results) == 8
