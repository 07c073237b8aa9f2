"""Whether a language server expects this encoder."""

from typing import Any

import pytest

from fleet_encoder.wire.sglang.expected import bootstrap_port, doubts, mismatch

OWN = {
    "model_type": "qwen2_5_vl",
    "architectures": ["Qwen2_5_VLForConditionalGeneration"],
    "dtype": "bfloat16",
    "revision": "0123456789abcdef",
    "model_path": "Qwen/Qwen2.5-VL-7B-Instruct",
    "hidden_size": 3584,
}
MODEL = {"model_type": "qwen2_5_vl", "architectures": ["Qwen2_5_VLForConditionalGeneration"]}
SCHEDULER, TOKENIZER = ({"encoder_transfer_backend": each} for each in ("zmq_to_scheduler", "zmq_to_tokenizer"))


@pytest.mark.parametrize(
    ("model_info", "server_info", "text"),
    [
        (MODEL, {}, ""),
        ({}, {}, ""),
        (MODEL, {"dtype": "auto", "encoder_transfer_backend": "zmq_to_scheduler", "language_only": True}, ""),
        (MODEL, {"dtype": "torch.bfloat16"}, ""),
        (MODEL, {"dtype": "half"}, "its dtype is float16, here it is bfloat16"),
        (MODEL, {"revision": "0123456"}, ""),
        (MODEL, {"revision": "main"}, "its revision is main"),
        (MODEL, {"revision": "0123"}, "its revision is 0123"),
        (MODEL, {"encoder_transfer_backend": "mooncake"}, "zmq_to_tokenizer"),
        (MODEL, {"language_only": False}, "--language-only"),
        ({**MODEL, "model_type": "qwen2_vl"}, {}, "its model_type is qwen2_vl, here it is qwen2_5_vl"),
        ({"architectures": ["Other"]}, {}, "its architecture is Other"),
        ({"model_type": "x\n2026 forged \x1b[31m" + "y" * 9999}, {}, "its model_type is x2026 forged [31myyy"),
        ({"architectures": "Other", "model_type": 5}, {"dtype": 7, "revision": None}, ""),
        ({**MODEL, "model_path": "Qwen/Qwen2.5-VL-7B-Instruct-AWQ"}, {}, ""),
        ({**MODEL, "model_path": 7}, {}, ""),
        (
            {**MODEL, "model_path": "Qwen/Qwen2.5-VL-3B-Instruct"},
            {"revision": "main"},
            "its model is Qwen/Qwen2.5-VL-3B-Instruct, here it is Qwen/Qwen2.5-VL-7B-Instruct: another size, let both",
        ),
    ],
)
def test_mismatch(model_info: dict[str, Any], server_info: dict[str, Any], text: str) -> None:
    found = mismatch(OWN, model_info, server_info, {})
    assert text in found
    assert bool(text) == bool(found)
    # It is a line of the log.
    assert found.isprintable() or not found
    assert len(found) < 500


@pytest.mark.parametrize(
    ("config", "fits"),
    [
        ({}, True),
        ({"model_type": "qwen2_5_vl", "hidden_size": 3584}, True),
        ({"model_type": "qwen2_5_vl", "hidden_size": 2048}, False),
        ({"model_type": "qwen2_5_vl", "hidden_size": 3584, "text_config": {"hidden_size": 2048}}, False),
        ({"hidden_size": 2048}, False),
        ({"model_type": "other", "hidden_size": 2048}, True),  # of another model, at the same path
    ],
)
def test_another_width(config: dict[str, Any], fits: bool) -> None:
    found = mismatch(OWN, {**MODEL, "model_path": "/models/a"}, {}, config)
    said = "its model, /models/a, takes embeddings of width 2048, here they have 3584: let both serve the same model"
    assert found == ("" if fits else said)


@pytest.mark.parametrize(
    ("model_path", "server_info", "told"),
    [
        ("Qwen/Qwen2.5-VL-7B-Instruct", TOKENIZER, []),
        ("Qwen/Qwen2.5-VL-7B-Instruct", SCHEDULER, ["--encoder-transfer-backend zmq_to_tokenizer"]),
        (
            "Qwen/Qwen2.5-VL-7B-Instruct-AWQ",
            TOKENIZER,
            ["its model is Qwen/Qwen2.5-VL-7B-Instruct-AWQ, here it is Qwen"],
        ),
        ("me/tuned", SCHEDULER, ["zmq_to_tokenizer", "me/tuned"]),
        ("/models/a", TOKENIZER, []),
        (None, {}, []),
    ],
)
def test_doubts(model_path: object, server_info: dict[str, Any], told: list[str]) -> None:
    found = doubts(OWN, {**MODEL, "model_path": model_path}, server_info)
    assert len(found) == len(told)
    assert all(words in each for words, each in zip(told, found, strict=True))


@pytest.mark.parametrize(
    ("said", "expected"), [(8997, 8997), (None, None), ("8997", None), (True, None), (0, None), (70000, None)]
)
def test_bootstrap_port(said: object, expected: int | None) -> None:
    assert bootstrap_port({"encoder_bootstrap_port": said}) == expected
