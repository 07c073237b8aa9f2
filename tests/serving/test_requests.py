"""Items in, embeddings out, each as soon as it is done."""

from pathlib import Path

import numpy as np
import pytest

from conftest import EncoderProcess
from fleet_client import protocol
from fleet_client.protocol import Cancel, Encode, Item, Sampling, Status
from peer import Peer, unique_jpeg


@pytest.fixture
def peer(vision_encoder: EncoderProcess):
    with Peer(vision_encoder.endpoint) as each:
        yield each


def test_welcome_says_what_is_served(peer: Peer) -> None:
    welcome = peer.hello()
    assert welcome.ready
    assert welcome.family == "qwen2_5_vl"
    assert set(welcome.modalities) == {"image", "video"}
    assert len(welcome.fingerprint) >= 16
    assert welcome.version == protocol.VERSION


def test_photos_become_rows_of_the_models_width(peer: Peer, photos: Path) -> None:
    welcome = peer.hello()
    answers = peer.ask([("image", unique_jpeg(photos / "rocket.jpg", 4700)), ("image", photos / "coffee.png")])
    for result, rows in answers.values():
        assert result.status is Status.OK
        assert result.meta is not None
        assert rows is not None
        assert rows.shape == (result.meta.tokens, welcome.dim)
        assert result.meta.grid is not None
        assert result.meta.tokens == np.prod(result.meta.grid) // 4
        assert np.isfinite(rows).all()
    assert answers[0][0].meta.original_size == (640, 427)  # type: ignore[union-attr]
    assert {"inspect", "decode_image", "preprocess_image", "forward"} <= set(answers[0][0].stage_ms or {})


def test_a_video_comes_with_what_a_language_server_needs(peer: Peer, clips: Path) -> None:
    ((result, rows),) = peer.ask([("video", clips / "bigbuckbunny.mp4")], sampling=Sampling(fps=1)).values()
    assert result.status is Status.OK, result.message
    meta = result.meta
    assert meta is not None
    assert rows is not None
    assert meta.grid is not None
    assert meta.frame_indices is not None
    assert meta.timestamps is not None
    assert meta.source_fps == pytest.approx(25.0)
    assert meta.grid[0] * 2 >= len(meta.frame_indices) > 1
    assert len(meta.timestamps) == len(meta.frame_indices)
    assert meta.second_per_grid is not None
    assert meta.original_size == (1280, 720)


def test_the_same_photo_again_comes_from_the_cache(peer: Peer, photos: Path) -> None:
    photo = unique_jpeg(photos / "rocket.jpg", 4711)
    ((first, rows),) = peer.ask([("image", photo)], request="a").values()
    ((second, same),) = peer.ask([("image", photo)], request="b").values()
    assert not first.cached
    assert second.cached
    assert np.array_equal(rows, same)  # type: ignore[arg-type]
    assert "forward" not in (second.stage_ms or {})


def test_identical_items_in_flight_are_computed_once(peer: Peer, vision_encoder: EncoderProcess, photos: Path) -> None:
    photo = unique_jpeg(photos / "rocket.jpg", 4712)
    before = vision_encoder.metric("encoder_computed_patches_total")
    answers = peer.ask([("image", photo)] * 6)
    assert all(result.status is Status.OK for result, _ in answers.values())
    patches = answers[0][0].meta.patches  # type: ignore[union-attr]
    assert vision_encoder.metric("encoder_computed_patches_total") - before == patches


def test_a_bad_item_fails_alone(peer: Peer, photos: Path) -> None:
    good = photos / "coffee.png"
    answers = peer.ask(
        [("image", good), ("image", b"not an image"), ("image", good.read_bytes()[:5000]), ("image", good)]
    )
    assert [answers[index][0].status for index in range(4)] == [
        Status.OK, Status.INVALID, Status.INVALID, Status.OK,
    ]  # fmt: skip
    assert answers[1][0].message


def test_the_other_modality_is_incompatible(peer: Peer, speech: Path) -> None:
    ((result, _),) = peer.ask([("audio", speech / "Front_Center.wav")]).values()
    assert result.status is Status.INCOMPATIBLE
    assert "image, video" in result.message


def test_speech_becomes_rows(audio_encoder: EncoderProcess, speech: Path) -> None:
    with Peer(audio_encoder.endpoint) as peer:
        dim = peer.hello().dim
        answers = peer.ask([("audio", speech / "Front_Center.wav"), ("audio", speech / "Rear_Left.wav")])
        for result, rows in answers.values():
            assert result.status is Status.OK, result.message
            assert result.meta is not None
            assert rows is not None
            assert rows.shape == (result.meta.tokens, dim)
            assert result.meta.duration is not None
            assert 1.0 < result.meta.duration < 2.0


def test_the_same_request_id_in_flight_is_answered_once(peer: Peer, photos: Path) -> None:
    photo = unique_jpeg(photos / "rocket.jpg", 4713)
    message = Encode(id="once", items=[Item(modality="image", frame=0)])
    peer.send(message, photo)
    peer.send(message, photo)
    result, _ = peer.result()
    assert result.id == "once"
    (after, _) = peer.ask([("image", photos / "coffee.png")], request="after")[0]
    assert after.id == "after"


def test_a_cancelled_request_is_not_answered(peer: Peer, clips: Path, photos: Path) -> None:
    peer.encode([("video", clips / "bikes.mp4")], request="gone")
    peer.send(Cancel(id="gone"))
    answers = peer.ask([("image", photos / "coffee.png")], request="kept")
    assert answers[0][0].id == "kept"


def test_the_id_of_a_cancelled_request_may_be_used_again(peer: Peer, clips: Path, photos: Path) -> None:
    peer.encode([("video", clips / "bikes.mp4")], request="again")
    peer.send(Cancel(id="again"))
    answers = peer.ask([("image", photos / "coffee.png")], request="again")
    assert answers[0][0].status is Status.OK


def test_a_request_whose_time_is_over_is_dropped(peer: Peer, clips: Path) -> None:
    ((result, _),) = peer.ask([("video", clips / "bigbuckbunny.mp4")], timeout_ms=1).values()
    assert result.status is Status.EXPIRED
    assert "deadline" in result.message
