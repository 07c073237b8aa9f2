"""Our encoder where SGLang's was: its own receiver, then its own language server, notice no difference."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tests.cluster import ports
from tests.interop.asking import Part, data_uri, image, receive, text, video
from tests.interop.sglang_process import TO_SCHEDULER, TO_TOKENIZER, Bootstrap, Encoder, LanguageServer

from conftest import EncoderProcess, StartEncoder

QUESTION = text("What is this?")
PHOTOS = ("rocket.jpg", "coffee.png", "chelsea.png", "astronaut.png", "motorcycle_left.png", "hubble_deep_field.jpg")
FILM = "carphone_pristine.mp4"
TOKENS = 16

BFLOAT16 = 2.0**-7
"""Of a row's largest value: what sums of bfloat16 in another order may differ by."""


@pytest.fixture(scope="session")
def ours(whole_model: Path) -> Iterator[EncoderProcess]:
    """Our encoder with SGLang's wire."""
    process = EncoderProcess(
        whole_model, "--sglang-http", "127.0.0.1:0", "--dtype", "bfloat16", "--allow-private-networks", "true"
    )
    try:
        yield process.wait_until_ready()
    finally:
        process.stop()


@contextmanager
def in_front(server: LanguageServer, url: str, instead_of: str) -> Iterator[None]:
    """The same language server, asking another encoder: registered, and the other one not, as its list has it."""
    server.register(url)
    server.unregister(instead_of)
    try:
        yield
    finally:
        server.register(instead_of)
        server.unregister(url)


def said(server: LanguageServer, *content: Part) -> tuple[Any, list[int]]:
    """What the prompt came to, in tokens of each kind, and the tokens of the answer."""
    status, body = server.chat(list(content), TOKENS)
    assert status == 200, (body, server.tail())
    (choice,) = body["choices"]
    return body["usage"]["prompt_tokens_details"], choice["response_token_ids"]


@pytest.fixture(scope="module")
def prompts(photos: Path, clips: Path) -> list[list[Part]]:
    """Each photo alone, several of them, a film, and a film beside photos."""
    pictures = [image(photos / name) for name in PHOTOS]
    film = video(clips / FILM)
    return [
        *([each, QUESTION] for each in pictures),
        [*pictures[:3], QUESTION],
        [film, QUESTION],
        [*pictures[:2], film],
    ]


def test_a_language_server_says_the_same_with_either_encoder(
    sglang_language: LanguageServer, sglang_encoder: Encoder, ours: EncoderProcess, prompts: list[list[Part]]
) -> None:
    theirs = [said(sglang_language, *each) for each in prompts]
    with in_front(sglang_language, ours.sglang, sglang_encoder.url):
        assert [said(sglang_language, *each) for each in prompts] == theirs
    assert ours.metric("encoder_sglang_requests_total", status="success", modality="image") >= len(PHOTOS)


@pytest.mark.parametrize("backend", [TO_TOKENIZER, TO_SCHEDULER])
def test_its_receiver_gets_what_it_gets_from_sglangs_encoder(
    sglang: Path,
    sglang_encoder: Encoder,
    ours: EncoderProcess,
    whole_model: Path,
    photos: Path,
    clips: Path,
    tmp_path: Path,
    backend: str,
) -> None:
    pictures = [data_uri(photos / name) for name in PHOTOS[:3]]
    film = data_uri(clips / FILM)
    requests = [{"image": pictures[:1]}, {"image": pictures}, {"image": pictures[:2], "video": [film]}]
    mine = receive(sglang, [ours.sglang], requests, backend=backend, model=whole_model, save=tmp_path / "ours")
    theirs = receive(sglang, [sglang_encoder.url], requests, model=whole_model, save=tmp_path / "theirs")
    for number, (own, other) in enumerate(zip(mine, theirs, strict=True)):
        assert own["ok"], own
        assert (own["extras"], own["tokens"]) == (other["extras"], other["tokens"])
        rows = load_file(tmp_path / "ours" / f"{number}.safetensors")
        expected = load_file(tmp_path / "theirs" / f"{number}.safetensors")
        assert rows.keys() == expected.keys()
        for name, each in rows.items():
            assert (each.dtype, each.shape) == (torch.bfloat16, expected[name].shape)
            if name == "image":
                scale = expected[name].float().abs().amax(dim=1, keepdim=True)
                assert ((each.float() - expected[name].float()).abs() <= 4 * BFLOAT16 * scale).all()


@pytest.mark.parametrize("backend", [TO_TOKENIZER, TO_SCHEDULER])
def test_two_encoders_share_a_request_and_errors_stay_alone(
    sglang: Path, ours: EncoderProcess, whole_model: Path, photos: Path, backend: str
) -> None:
    second = EncoderProcess(whole_model, "--sglang-http", "127.0.0.1:0", "--dtype", "bfloat16")
    try:
        second.wait_until_ready()
        pictures = [data_uri(photos / name) for name in PHOTOS[:3]]
        bad = "data:image/png;base64,bm8gcGljdHVyZQ=="
        requests = [{"image": pictures}, {"image": [bad]}, {"image": [pictures[0], bad]}] * 8
        urls = [ours.sglang, second.sglang]
        came = receive(sglang, urls, requests, backend=backend, model=whole_model, concurrency=8)
        assert [each["ok"] for each in came] == [True, False, False] * 8
        assert all("not an image" in each["error"] for each in came if not each["ok"])
        digests = {each["embeddings"]["image"]["sha256"] for each in came if each["ok"]}
        assert len(digests) == 1  # whoever of the two encoded which photo, and beside whom
        assert second.metric("encoder_sglang_requests_total", status="success", modality="image") > 0
    finally:
        second.stop()


def test_a_drained_encoder_that_nobody_takes_off_a_list_is_off_it_when_it_ends(
    sglang: Path, start_encoder: StartEncoder, whole_model: Path, logs: Path
) -> None:
    """As with fixed --encoder-urls: the list's own health checks take it off, and it stays until they have."""
    encoder = start_encoder(whole_model, "--sglang-http", "127.0.0.1:0", "--drain-seconds", "60").wait_until_ready()
    with Bootstrap(sglang, logs, SGLANG_ENCODER_BOOTSTRAP_HEALTH_CHECK_INTERVAL="3") as bootstrap:
        # Three rounds of its health checks have passed when one where nobody listens is off it.
        (nobody,) = ports.free(1)
        for url in (encoder.sglang, f"http://{ports.HOST}:{nobody}"):
            bootstrap.register(url)
        while bootstrap.encoders != [encoder.sglang]:
            time.sleep(0.1)
        encoder.terminate()
        assert encoder.wait() == 0
        assert bootstrap.encoders == []
