"""Whether a language server expects this encoder."""

from typing import Any

import pytest

from fleet_encoder.wire.sglang.expected import bootstrap_port, mismatch

OWN = {
    "model_type": "qwen2_5_vl",
    "architectures": ["Qwen2_5_VLForConditionalGeneration"],
    "dtype": "bfloat16",
    "revision": "0123456789abcdef",
}
MODEL = {"model_type": "qwen2_5_vl", "architectures": ["Qwen2_5_VLForConditionalGeneration"]}


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
    ],
)
def test_mismatch(model_info: dict[str, Any], server_info: dict[str, Any], text: str) -> None:
    found = mismatch(OWN, model_info, server_info)
    assert text in found
    assert bool(text) == bool(found)
    # It is a line of the log.
    assert found.isprintable() or not found
    assert len(found) < 500


@pytest.mark.parametrize(
    ("said", "expected"), [(8997, 8997), (None, None), ("8997", None), (True, None), (0, None), (70000, None)]
)
def test_bootstrap_port(said: object, expected: int | None) -> None:
    assert bootstrap_port({"encoder_bootstrap_port": said}) == expected
