"""Encoders that SGLang's language servers can talk to."""

import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from conftest import EncoderProcess
from speaking_sglang.language_server import LanguageServer, language_server

SGLANG = ("--sglang-http", "127.0.0.1:0", "--allow-private-networks", "true", "--cpus", "2")


def sglang_url(encoder: EncoderProcess) -> str:
    """Where `encoder` speaks SGLang's wire."""
    encoder.wait_until_bound()
    found = re.search(r"sglang=(http://\S+)", re.sub(r"\x1b\[\d*m", "", encoder.log))
    assert found, encoder.log
    return found[1]


@pytest.fixture(scope="session")
def sglang_encoder(qwen2_5_vl: Path, photos: Path) -> Iterator[EncoderProcess]:
    """A ready encoder for tests that leave it as it was."""
    encoder = EncoderProcess(qwen2_5_vl, *SGLANG, "--sglang-metrics", "true", "--local-root", str(photos))
    yield encoder.wait_until_ready()
    encoder.stop()


@pytest.fixture(scope="session")
def sglang_audio_encoder(qwen2_audio: Path) -> Iterator[EncoderProcess]:
    """As `sglang_encoder`, for audio."""
    encoder = EncoderProcess(qwen2_audio, *SGLANG)
    yield encoder.wait_until_ready()
    encoder.stop()


@pytest.fixture
async def server(sglang_encoder: EncoderProcess) -> AsyncIterator[LanguageServer]:
    """A language server in front of `sglang_encoder`."""
    async with language_server(sglang_url(sglang_encoder)) as each:
        yield each
