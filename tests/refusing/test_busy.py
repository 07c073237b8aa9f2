"""Over its admission limits an encoder says BUSY at once, with a hint, and still serves what it has taken."""

from pathlib import Path

from conftest import StartEncoder
from fleet_client.protocol import Status
from peer import Peer, unique_jpeg


def test_busy_comes_with_a_hint(start_encoder: StartEncoder, qwen2_5_vl: Path, photos: Path) -> None:
    encoder = start_encoder(qwen2_5_vl, "--cpus", "1", "--max-pending-patches", "2500").wait_until_ready()
    with Peer(encoder.endpoint) as peer:
        answers = peer.ask([("image", unique_jpeg(photos / "rocket.jpg", n)) for n in range(12)])
        statuses = [result.status for result, _ in answers.values()]
        assert set(statuses) == {Status.OK, Status.BUSY}
        for result, _ in answers.values():
            if result.status is Status.BUSY:
                assert result.retry_after_ms is not None
                assert 0 < result.retry_after_ms <= 10_000
                assert "spec.admission" in result.message
        assert encoder.metric("encoder_rejected_items_total", reason="busy") == statuses.count(Status.BUSY)
        offered = encoder.metric("encoder_offered_patches_total")
        assert offered > encoder.metric("encoder_served_patches_total") > 0
        assert peer.ask([("image", photos / "rocket.jpg")], request="later")[0][0].status is Status.OK


def test_bytes_are_limited_too(start_encoder: StartEncoder, qwen2_5_vl: Path, photos: Path) -> None:
    encoder = start_encoder(qwen2_5_vl, "--cpus", "1", "--max-pending-bytes", "500000").wait_until_ready()
    with Peer(encoder.endpoint) as peer:
        answers = peer.ask([("image", unique_jpeg(photos / "rocket.jpg", n) + bytes(200_000)) for n in range(8)])
    assert {result.status for result, _ in answers.values()} == {Status.OK, Status.BUSY}
