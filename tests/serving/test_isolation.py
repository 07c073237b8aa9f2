"""A slow, absent or unreading caller holds up nobody else."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from conftest import EncoderProcess
from fleet_client.protocol import Sampling, Status
from peer import Peer, unique_jpeg


class SlowSite:
    """An HTTP server whose answers wait until `release` is set."""

    def __init__(self, body: bytes) -> None:
        site = self
        self.release = threading.Event()
        self.asked = threading.Event()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked.set()
                site.release.wait(60)
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Nothing on stderr."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/photo.jpg?key=secret"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.release.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def slow_site(photos: Path) -> Iterator[SlowSite]:
    site = SlowSite((photos / "rocket.jpg").read_bytes())
    yield site
    site.close()


def test_a_slow_url_delays_nobody(vision_encoder: EncoderProcess, slow_site: SlowSite, photos: Path) -> None:
    with Peer(vision_encoder.endpoint) as slow, Peer(vision_encoder.endpoint) as other:
        slow.encode([("image", slow_site.url)] * 40)
        assert slow_site.asked.wait(30)
        answers = other.ask([("image", unique_jpeg(photos / "rocket.jpg", 3000 + n)) for n in range(8)])
        assert {result.status for result, _ in answers.values()} == {Status.OK}
        assert not slow_site.release.is_set()
        slow_site.release.set()
        assert {result.status for result, _ in slow.results(40).values()} == {Status.OK}
    assert "secret" not in vision_encoder.log


def test_an_image_passes_a_long_video_between_its_forward_passes(
    vision_encoder: EncoderProcess, photos: Path, clips: Path
) -> None:
    def long_ones(series: str) -> float:
        return vision_encoder.metric(f"encoder_stage_{series}_total", stage="forward_long")

    ended, busy = long_ones("items"), long_ones("busy_seconds")
    with Peer(vision_encoder.endpoint) as slow, Peer(vision_encoder.endpoint) as other:
        slow.encode([("video", (clips / "bigbuckbunny.mp4").read_bytes())], sampling=Sampling(frames=24))
        while long_ones("busy_seconds") == busy:
            pass
        answers = other.ask([("image", unique_jpeg(photos / "rocket.jpg", 3050))])
        assert answers[0][0].status is Status.OK
        assert "forward" in (answers[0][0].stage_ms or {})
        assert long_ones("items") == ended
        result, _ = slow.results(1)["r1", 0]
    assert result.status is Status.OK
    assert "forward_long" in (result.stage_ms or {})
    assert long_ones("items") == ended + 1


def test_items_of_one_request_are_answered_as_they_are_done(
    vision_encoder: EncoderProcess, slow_site: SlowSite, photos: Path
) -> None:
    with Peer(vision_encoder.endpoint) as peer:
        peer.encode([("image", slow_site.url), ("image", unique_jpeg(photos / "rocket.jpg", 3100))])
        first, _ = peer.result()
        assert first.index == 1
        slow_site.release.set()
        second, _ = peer.result()
        assert (second.index, second.status) == (0, Status.OK)


def test_the_work_of_a_client_that_left_is_dropped(
    vision_encoder: EncoderProcess, slow_site: SlowSite, photos: Path
) -> None:
    gone = vision_encoder.metric("encoder_clients_gone_total")
    cancelled = vision_encoder.metric("encoder_items_total", status="CANCELLED")
    computed = vision_encoder.metric("encoder_computed_patches_total")
    with Peer(vision_encoder.endpoint) as peer:
        peer.encode([("image", slow_site.url)] * 3)
        assert slow_site.asked.wait(30)
    while vision_encoder.metric("encoder_clients_gone_total") == gone:
        pass
    slow_site.release.set()
    while vision_encoder.metric("encoder_items_total", status="CANCELLED") < cancelled + 3:
        pass
    assert vision_encoder.metric("encoder_computed_patches_total") == computed


def test_a_client_that_does_not_read_delays_nobody(vision_encoder: EncoderProcess, photos: Path) -> None:
    photo = (photos / "rocket.jpg").read_bytes()
    with Peer(vision_encoder.endpoint) as deaf, Peer(vision_encoder.endpoint) as other:
        for number in range(50):
            deaf.encode([("image", photo)] * 4, request=f"r{number}")
        answers = other.ask([("image", unique_jpeg(photos / "rocket.jpg", 3200))])
        assert answers[0][0].status is Status.OK
        assert {result.status for result, _ in deaf.results(200).values()} == {Status.OK}
