"""SGLang's own receiver as a client, tried against SGLang's own encoder before it judges ours."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tests.interop.asking import data_uri, receive
from tests.interop.sglang_process import TO_SCHEDULER, Bootstrap, Encoder, together

Requests = list[dict[str, Any]]


@pytest.fixture(scope="module")
def requests(photos: Path, clips: Path) -> Requests:
    """An image, two images, a film beside an image, and what is none."""
    rocket = data_uri(photos / "rocket.jpg")
    return [
        {"image": [rocket]},
        {"image": [str(photos / "coffee.png"), rocket]},
        {"image": [rocket], "video": [data_uri(clips / "carphone_pristine.mp4")]},
        {"image": ["data:image/png;base64,bm8gcGljdHVyZQ=="]},
    ]


@pytest.fixture(scope="module")
def to_tokenizer(
    sglang: Path,
    sglang_encoder: Encoder,
    whole_model: Path,
    requests: Requests,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[list[dict[str, Any]], Path]:
    """What came, and where it was saved."""
    folder = tmp_path_factory.mktemp("saved")
    return receive(sglang, [sglang_encoder.url], requests, model=whole_model, save=folder), folder


def test_grids_and_rows(to_tokenizer: tuple[list[dict[str, Any]], Path]) -> None:
    one, two, mixed, _ = to_tokenizer[0]
    assert one["extras"]["img_grid_thw"] == [[1, 30, 46]]
    assert one["embeddings"]["image"]["shape"] == [345, 64]
    assert two["extras"]["img_grid_thw"] == [[1, 28, 42], [1, 30, 46]]
    assert two["embeddings"]["image"]["shape"] == [294 + 345, 64]
    assert mixed["embeddings"].keys() == {"image", "video"}
    assert mixed["extras"].keys() == {"img_grid_thw", "video_grid_thw", "second_per_grid_ts"}


def test_an_item_is_saved_bit_for_bit_and_is_the_same_beside_others(to_tokenizer: tuple[Any, Path]) -> None:
    answers, folder = to_tokenizer
    one, mixed = (load_file(folder / f"{number}.safetensors") for number in (0, 2))
    assert one["image"].dtype == torch.bfloat16
    assert torch.equal(one["image"], mixed["image"])
    assert answers[0]["embeddings"]["image"]["sha256"] == answers[2]["embeddings"]["image"]["sha256"]


def test_what_is_no_picture_fails_with_the_encoders_reason(to_tokenizer: tuple[list[dict[str, Any]], Path]) -> None:
    *_, bad = to_tokenizer[0]
    assert not bad["ok"]
    # By its message or by the answer of its HTTP request, whichever is read first.
    assert "Could not decode image" in bad["error"]


def test_the_way_to_the_scheduler_and_registration(
    sglang: Path, whole_model: Path, logs: Path, requests: Requests, to_tokenizer: tuple[list[dict[str, Any]], Path]
) -> None:
    bootstrap = Bootstrap(sglang, logs)
    encoder = Encoder(sglang, whole_model, logs, backend=TO_SCHEDULER, register=[bootstrap.url])
    with together(bootstrap, encoder):
        came = receive(sglang, [encoder.url], requests, backend=TO_SCHEDULER, model=whole_model)
        assert bootstrap.encoders == [encoder.url]
    assert [answer.get("embeddings") for answer in came] == [answer.get("embeddings") for answer in to_tokenizer[0]]
    assert came[-1]["code"] == 400
