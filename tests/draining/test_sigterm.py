"""SIGTERM: not ready, DRAINING to new work, finish, exit 0. A second one ends it at once."""

import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from conftest import StartEncoder
from fleet_client.protocol import Load, Status
from peer import Peer, unique_jpeg


def wait_for_drain(peer: Peer) -> None:
    while True:
        message, _ = peer.receive()
        if isinstance(message, Load) and message.draining:
            return


def test_what_is_here_is_finished_and_what_comes_is_refused(
    start_encoder: StartEncoder, qwen2_5_vl: Path, photos: Path, clips: Path
) -> None:
    encoder = start_encoder(qwen2_5_vl, "--cpus", "1").wait_until_ready()
    with Peer(encoder.endpoint) as peer:
        count = peer.encode([("video", clips / "bigbuckbunny.mp4")], request="before")
        count += peer.encode([("image", unique_jpeg(photos / "rocket.jpg", n)) for n in range(6)], request="more")
        while encoder.metric("encoder_pending_items") < count:
            pass
        encoder.terminate()
        wait_for_drain(peer)
        assert encoder.get("/readyz")[0] in (503, 0)
        peer.encode([("image", photos / "coffee.png")], request="after")
        answers = peer.results(count + 1)
    assert answers.pop(("after", 0))[0].status is Status.DRAINING
    assert {result.status for result, _ in answers.values()} == {Status.OK}
    assert encoder.wait() == 0
    assert "drained" in encoder.log


def test_work_over_the_drain_time_is_sent_elsewhere(start_encoder: StartEncoder, qwen2_5_vl: Path, clips: Path) -> None:
    encoder = start_encoder(qwen2_5_vl, "--cpus", "1", "--drain-seconds", "0").wait_until_ready()
    with Peer(encoder.endpoint) as peer:
        count = peer.encode([("video", clips / "bigbuckbunny.mp4"), ("video", clips / "bikes.mp4")])
        while encoder.metric("encoder_pending_items") < count:
            pass
        encoder.terminate()
        answers = peer.results(count)
    assert Status.DRAINING in {result.status for result, _ in answers.values()}
    assert encoder.wait() == 0


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_at_once(
    start_encoder: StartEncoder, qwen2_5_vl: Path, clips: Path, second: signal.Signals
) -> None:
    encoder = start_encoder(qwen2_5_vl, "--cpus", "1").wait_until_ready()
    with Peer(encoder.endpoint) as peer:
        peer.encode([("video", clips / "bigbuckbunny.mp4"), ("video", clips / "bikes.mp4")])
        while encoder.metric("encoder_pending_items") < 2:
            pass
        encoder.terminate()
        wait_for_drain(peer)
        time.sleep(1.5)  # what comes within a second of the first signal is the same wish
        encoder.process.send_signal(second)
        assert encoder.wait() == 128 + second


def test_an_idle_encoder_leaves_at_once(start_encoder: StartEncoder, qwen2_5_vl: Path) -> None:
    encoder = start_encoder(qwen2_5_vl).wait_until_ready()
    encoder.terminate()
    assert encoder.wait() == 0


def test_while_weights_are_read_it_leaves_at_once(
    start_encoder: StartEncoder, qwen2_5_vl: Path, tmp_path: Path
) -> None:
    """As a pod does whose weights lie on a slow disk: here on one that never answers."""
    model = tmp_path / "model"
    shutil.copytree(qwen2_5_vl, model)
    (weights,) = model.glob("*.safetensors")
    weights.unlink()
    os.mkfifo(weights)
    encoder = start_encoder(model, "--drain-seconds", "60")
    encoder.wait_until_bound()
    encoder.terminate()
    assert encoder.wait(30) == 0
    assert "drained" in encoder.log
    assert "weights read" not in encoder.log


def test_answers_that_a_slow_line_has_not_yet_taken_are_sent_within_the_drain_time(
    start_encoder: StartEncoder, qwen2_5_vl: Path, photos: Path
) -> None:
    """The client reads only after the encoder has finished its work and begun to leave."""
    encoder = start_encoder(qwen2_5_vl, "--drain-seconds", "60").wait_until_ready()
    photo = photos / "rocket.jpg"
    with Peer(encoder.endpoint, slow=True) as peer:
        count = peer.encode([("image", photo)] * 60)
        while encoder.metric("encoder_items_total", status="OK") < count:
            pass
        encoder.terminate()
        while "drained" not in encoder.log:
            time.sleep(0.05)
        time.sleep(3)  # longer than what a socket lingers where nothing else is said
        assert {result.status for result, _ in peer.results(count).values()} == {Status.OK}
    assert encoder.wait() == 0
