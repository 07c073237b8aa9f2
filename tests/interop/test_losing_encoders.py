"""Two of our encoders behind one real language server, under load: one drains, one is killed."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.interop.callers import Callers, pool_of_two, wait_for_encoders
from tests.interop.sglang_process import Encoder, LanguageServer
from tests.running_locally.running_up import Up

CALLERS = 4


@contextmanager
def two_in_front(server: LanguageServer, encoder: Encoder, pool: Path) -> Iterator[tuple[Up, dict[str, Any]]]:
    """Only they are on the language server's list."""
    with Up(pool, "--sglang", "--register", server.bootstrap, "--quiet", "-o", "json", replica=None) as up:
        ready = up.event("ready")
        wait_for_encoders(server, {each["sglang"] for each in ready["replicas"]} | {encoder.url})
        server.unregister(encoder.url)
        try:
            yield up, ready
        finally:
            server.register(encoder.url)
            up.ctrl_c()
            assert up.end() == 0, up.said
            assert server.encoders == [encoder.url]


@pytest.fixture
def pool(tmp_path: Path, whole_model: Path) -> Path:
    """Of two encoders."""
    return pool_of_two(tmp_path, whole_model)


def test_a_drained_encoder_loses_no_request(
    sglang_language: LanguageServer, sglang_encoder: Encoder, pool: Path, photos: Path
) -> None:
    server = sglang_language
    with (
        two_in_front(server, sglang_encoder, pool) as (up, ready),
        Callers(server, pictures(photos), CALLERS) as callers,
    ):
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
    with (
        two_in_front(server, sglang_encoder, pool) as (up, ready),
        Callers(server, pictures(photos), CALLERS) as callers,
    ):
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
    assert {each.status for each in callers.lost} <= {503}


def pictures(photos: Path) -> list[Path]:
    return [photos / name for name in ("rocket.jpg", "coffee.png", "chelsea.png", "astronaut.png")]
