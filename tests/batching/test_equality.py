"""Sharing a forward pass with others changes nothing."""

from pathlib import Path

import numpy as np

from conftest import EncoderProcess, StartEncoder
from fleet_client.protocol import Sampling, Status
from peer import Peer

TOLERANCE = 1e-5


def test_items_of_several_requests_in_one_batch_equal_those_alone(
    vision_encoder: EncoderProcess, start_encoder: StartEncoder, qwen2_5_vl: Path, photos: Path, clips: Path
) -> None:
    media = [
        ("image", photos / "rocket.jpg"),
        ("image", photos / "coffee.png"),
        ("video", clips / "bikes.mp4"),
        ("image", photos / "astronaut.png"),
        ("image", b"bad"),
    ]
    alone = start_encoder(qwen2_5_vl, "--cpus", "1", "--batch-max-patches", "1").wait_until_ready()
    together = start_encoder(
        qwen2_5_vl, "--cpus", "1", "--batch-max-patches", "1000000", "--batch-max-wait-ms", "5000"
    ).wait_until_ready()
    answers = []
    for encoder in (alone, together):
        with Peer(encoder.endpoint) as peer:
            # A video first, so that the images meet while the forward pass is busy or waiting.
            answers.append(peer.ask(media, sampling=Sampling(frames=4)))
    assert alone.metric("encoder_batch_items_bucket", le="1.0") == 4
    assert together.metric("encoder_batch_items_bucket", le="1.0") < together.metric("encoder_batch_items_sum")
    for index in range(4):
        (one, expected), (other, rows) = answers[0][index], answers[1][index]
        assert one.status is Status.OK
        assert other.status is Status.OK
        assert one.meta == other.meta
        assert expected is not None
        assert rows is not None
        assert np.linalg.norm(rows - expected) <= TOLERANCE * np.linalg.norm(expected)
    assert answers[1][4][0].status is Status.INVALID
