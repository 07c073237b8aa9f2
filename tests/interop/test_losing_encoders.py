"""Two of our encoders behind one real language server, under load: one drains, one is killed."""

import itertools
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import pytest
from tests.interop.asking import image, text
from tests.interop.sglang_process import Encoder, LanguageServer
from tests.running_locally.running_up import Up

CALLERS = 4
POOL = """\
apiVersion: encoderfleet.io/v1alpha1
kind: EncoderPool
metadata: {{name: photos}}
spec:
  model: {{path: {model}, dtype: bfloat16}}
  replicas: 2
  resources: {{cpus: 1}}
  cache: {{size: 0}}
"""


class Callers:
    """Chats with a photo, several at a time, one after the other; what became of each."""

    def __init__(self, server: LanguageServer, photos: list[Path]) -> None:
        self._server = server
        self._contents = itertools.cycle([[image(each), text("What is this?")] for each in photos])
        self._lock = threading.Lock()
        self._over = threading.Event()
        self.answers: list[tuple[int, Any]] = []
        self._threads = [threading.Thread(target=self._call) for _ in range(CALLERS)]

    def _call(self) -> None:
        while not self._over.is_set():
            with self._lock:
                content = next(self._contents)
            answer = self._server.chat(content, tokens=2)
            self.answers.append(answer)

    @property
    def lost(self) -> list[tuple[int, Any]]:
        return [each for each in self.answers if each[0] != 200]

    def wait_for_more(self, count: int) -> None:
        """Until so many more were answered."""
        deadline, enough = time.monotonic() + 300, len(self.answers) + count
        while len(self.answers) < enough:
            assert time.monotonic() < deadline, f"{len(self.answers)} answers"
            time.sleep(0.05)

    def __enter__(self) -> Self:
        for each in self._threads:
            each.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for each in self._threads:
            each.join()


@contextmanager
def two_in_front(server: LanguageServer, encoder: Encoder, pool: Path) -> Iterator[tuple[Up, dict[str, Any]]]:
    """Only they are on the language server's list."""
    with Up(pool, "--sglang", "--register", server.bootstrap, "--quiet", "-o", "json", replica=None) as up:
        ready = up.event("ready")
        wait_for_encoders(server, {each["sglang"] for each in ready["replicas"]} | {encoder.url})
        assert server.post_to(server.bootstrap, "/unregister_encoder_url", {"url": encoder.url}, "DELETE")[0] == 200
        try:
            yield up, ready
        finally:
            assert server.post_to(server.bootstrap, "/register_encoder_url", {"url": encoder.url})[0] == 200
            up.ctrl_c()
            assert up.end() == 0, up.said
            assert server.encoders == [encoder.url]


def wait_for_encoders(server: LanguageServer, urls: set[str]) -> None:
    """Until its list has exactly these."""
    deadline = time.monotonic() + 60
    while (listed := set(server.encoders)) != urls:
        assert time.monotonic() < deadline, (listed, urls)
        time.sleep(0.05)


@pytest.fixture
def pool(tmp_path: Path, whole_model: Path) -> Path:
    """Nothing is cached: every request is work."""
    file = tmp_path / "pool.yaml"
    file.write_text(POOL.format(model=whole_model))
    return file


def test_a_drained_encoder_loses_no_request(
    sglang_language: LanguageServer, sglang_encoder: Encoder, pool: Path, photos: Path
) -> None:
    server = sglang_language
    with two_in_front(server, sglang_encoder, pool) as (up, ready), Callers(server, pictures(photos)) as callers:
        callers.wait_for_more(10)
        first = ready["replicas"][0]
        os.kill(first["pid"], signal.SIGTERM)
        ended = up.event("crashed")  # which `up` calls it, as it has not asked for it
        assert (ended["pid"], ended["code"]) == (first["pid"], 0)
        callers.wait_for_more(10)
        up.event("restarted")
        wait_for_encoders(server, {each["sglang"] for each in ready["replicas"]})
        callers.wait_for_more(10)
    assert callers.lost == []


def test_a_killed_encoder_loses_what_was_in_it_and_hardly_more(
    sglang_language: LanguageServer, sglang_encoder: Encoder, pool: Path, photos: Path
) -> None:
    server = sglang_language
    with two_in_front(server, sglang_encoder, pool) as (up, ready), Callers(server, pictures(photos)) as callers:
        callers.wait_for_more(10)
        first, second = ready["replicas"]
        os.kill(first["pid"], signal.SIGKILL)
        up.event("crashed")
        wait_for_encoders(server, {second["sglang"]})
        callers.wait_for_more(20)
        assert len(callers.lost) <= 2 * CALLERS, callers.lost
        up.event("restarted")
        wait_for_encoders(server, {first["sglang"], second["sglang"]})
        lost = len(callers.lost)
        callers.wait_for_more(10)
        assert len(callers.lost) == lost
    assert all(status == 503 for status, _ in callers.lost)


def pictures(photos: Path) -> list[Path]:
    return [photos / name for name in ("rocket.jpg", "coffee.png", "chelsea.png", "astronaut.png")]
