"""Real encoders are killed, drained and frozen under load: every item gets its embedding."""

import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from conftest import EncoderProcess, StartEncoder
from fleet_client import Client, Encoding, image
from peer import unique_jpeg

COUNT = 24

pytestmark = pytest.mark.timeout(600)  # starting an encoder on a busy machine takes a while


def load(
    endpoints: list[str], photos: Path, meanwhile: Callable[[], None], first: str, timeout: float = 300
) -> list[Encoding]:
    """Encode photos that no cache has; `meanwhile` runs when the encoder `first` has answered once."""
    items = [image(unique_jpeg(photos / "rocket.jpg", number)) for number in range(COUNT)]
    done: dict[int, Encoding] = {}
    told = threading.Event()
    with Client(endpoints, timeout=timeout) as client:
        while first not in client.hello():
            pass
        for index, encoding in client.stream(items):
            done[index] = encoding
            if encoding.endpoint == first and not told.is_set():
                told.set()
                meanwhile()
    assert told.is_set()
    return [done[index] for index in range(COUNT)]


def start(model: Path) -> EncoderProcess:
    return EncoderProcess(model, "--cpus", "1", "--cache-bytes", "0")


@pytest.fixture(scope="module")
def survivor(qwen2_5_vl: Path) -> Iterator[EncoderProcess]:
    """The one that is left."""
    encoder = start(qwen2_5_vl)
    yield encoder.wait_until_ready()
    encoder.stop()


@pytest.fixture(scope="module")
def mortal(qwen2_5_vl: Path) -> Iterator[EncoderProcess]:
    """One that is frozen and thawed."""
    encoder = start(qwen2_5_vl)
    yield encoder.wait_until_ready()
    encoder.stop()


def same(encodings: list[Encoding]) -> bool:
    """The photos differ only behind their end marker."""
    return all(abs(each.embedding - encodings[0].embedding).max() < 1e-4 for each in encodings)


def test_a_frozen_encoder_delays_but_loses_nothing(
    mortal: EncoderProcess, survivor: EncoderProcess, photos: Path
) -> None:
    def freeze() -> None:
        mortal.process.send_signal(signal.SIGSTOP)

    try:
        encodings = load([mortal.endpoint, survivor.endpoint], photos, freeze, mortal.endpoint)
    finally:
        mortal.process.send_signal(signal.SIGCONT)
    assert same(encodings)
    assert any(each.attempts > 1 for each in encodings)


def test_sigkill_loses_nothing(
    start_encoder: StartEncoder, survivor: EncoderProcess, qwen2_5_vl: Path, photos: Path
) -> None:
    mortal = start_encoder(qwen2_5_vl, "--cpus", "1", "--cache-bytes", "0").wait_until_ready()
    encodings = load([mortal.endpoint, survivor.endpoint], photos, mortal.process.kill, mortal.endpoint)
    assert same(encodings)
    moved = [each for each in encodings if each.attempts > 1]
    assert moved
    assert {each.endpoint for each in moved} == {survivor.endpoint}


def test_sigterm_loses_nothing(
    start_encoder: StartEncoder, survivor: EncoderProcess, qwen2_5_vl: Path, photos: Path
) -> None:
    leaving = start_encoder(qwen2_5_vl, "--cpus", "1").wait_until_ready()
    encodings = load([leaving.endpoint, survivor.endpoint], photos, leaving.terminate, leaving.endpoint)
    assert same(encodings)
    assert leaving.wait() == 0


def test_a_restarted_encoder_finishes_what_its_predecessor_had(
    start_encoder: StartEncoder, qwen2_5_vl: Path, photos: Path
) -> None:
    first = start_encoder(qwen2_5_vl, "--cpus", "1").wait_until_ready()

    def restart() -> None:
        first.process.kill()
        first.wait()
        start_encoder(qwen2_5_vl, "--cpus", "1", "--bind", first.endpoint)

    encodings = load([first.endpoint], photos, restart, first.endpoint)
    assert same(encodings)
    assert any(each.attempts == 2 for each in encodings)
