"""Whether two sides mean the same model, as tables: what encoder and operator judge alike."""

from typing import Any

import pytest

from fleet_compatibility import differ, dtype, other_name, other_revision, other_size, risk, text_width

SNAPSHOT = "/root/.cache/huggingface/hub/models--Qwen--Qwen2.5-VL-7B-Instruct/snapshots/cc594898137f460bfe9f0759e9844b"


@pytest.mark.parametrize(
    ("one", "other", "differs"),
    [
        ("Qwen/Qwen2.5-VL-3B-Instruct", "Qwen/Qwen2.5-VL-7B-Instruct", True),
        ("Qwen/Qwen2.5-VL-3B-Instruct", SNAPSHOT, True),
        ("Qwen/Qwen2.5-VL-7B-Instruct", SNAPSHOT, False),
        ("Qwen/Qwen2.5-VL-7B-Instruct", "Qwen/Qwen2.5-VL-7B-Instruct-AWQ", False),
        ("Qwen/Qwen2-VL-7B", "/models/qwen2_vl_72b/", True),
        ("/models/3b", "/models/7B", True),
        ("/models/3b/tuned", "/models/7b/tuned", False),  # the name is what stands last
        ("a/m-1.5b", "a/m-5b", True),
        ("a/m-1.5B", "a/m-1.5b", False),
        ("a/m-30B-A3B-Instruct", "a/m-3B", True),
        ("a/m-30B-A3B-Instruct", "a/m-30b_a3b-thinking", False),
        ("a/m-30B-A3B", "a/m-30B", False),
        ("a/m-30B-A3B", "a/m-30B-A6B", True),
        ("a/m-7B-from-72B", "a/m-72B", False),  # it may be either
        # What only looks like a size, or is none.
        ("a/m-7B", "a/m", False),
        ("a/m-7B-4bit", "a/m-7B-8bit", False),
        ("a/m-7B-Instruct-1M", "a/m-7B-Instruct", False),
        ("a/m-8x7B", "a/m-7B", False),
        ("a/m-v3b1", "a/m-7B", False),
        ("a/m-7B", "", False),
    ],
)
def test_other_size(one: str, other: str, differs: bool) -> None:
    assert other_size(one, other) == other_size(other, one) == differs


@pytest.mark.parametrize(
    ("one", "other", "differs"),
    [
        ("Qwen/A", "Qwen/B", True),
        ("Qwen/A", "qwen/a", False),
        ("Qwen/Qwen2.5-VL-7B-Instruct", SNAPSHOT, False),
        ("Qwen/Qwen2.5-VL-7B-Instruct-AWQ", SNAPSHOT, True),
        ("Qwen/A", "/models/B", False),
        ("Qwen/A", "./B", False),
        ("Qwen/A", "B", False),
        ("", "Qwen/A", False),
    ],
)
def test_other_name(one: str, other: str, differs: bool) -> None:
    assert other_name(one, other) == other_name(other, one) == differs


@pytest.mark.parametrize(
    ("config", "width"),
    [
        ({"hidden_size": 3584}, 3584),
        ({"hidden_size": 3584, "text_config": {"hidden_size": 2048}}, 2048),
        ({"hidden_size": 3584, "text_config": {"model_type": "qwen2"}}, 3584),
        ({"hidden_size": 3584, "text_config": "nonsense"}, 3584),
        ({"vision_config": {"hidden_size": 1280}}, 0),
        ({"hidden_size": True}, 0),
        ({"hidden_size": "3584"}, 0),
        ({"hidden_size": -1}, 0),
    ],
)
def test_text_width(config: dict[str, Any], width: int) -> None:
    assert text_width(config) == width


@pytest.mark.parametrize(
    ("one", "other", "differs"),
    [("a", "b", True), ("a", "a", False), ("a", "", False), (None, "a", False), (["a"], "b", False)],
)
def test_differ(one: Any, other: Any, differs: bool) -> None:
    assert differ(one, other) == differ(other, one) == differs


@pytest.mark.parametrize(
    ("one", "other", "differs"),
    [
        ("main", "v2", True),
        ("66285546d2b8", "66285546d2b821cf", False),
        ("662855", "66285546d2b821cf", True),  # too short for a commit
        ("v1", "v10", True),
        ("", "main", False),
        (None, "main", False),
    ],
)
def test_other_revision(one: Any, other: Any, differs: bool) -> None:
    assert other_revision(one, other) == other_revision(other, one) == differs


@pytest.mark.parametrize(
    ("said", "expected"),
    [("half", "float16"), ("torch.bfloat16", "bfloat16"), ("float", "float32"), ("auto", ""), (None, ""), (7, "")],
)
def test_dtype(said: Any, expected: str) -> None:
    assert dtype(said) == expected


@pytest.mark.parametrize(
    ("backend", "risky"),
    [("zmq_to_scheduler", True), ("zmq_to_tokenizer", False), ("mooncake", False), (None, False), ([], False)],
)
def test_risk(backend: Any, risky: bool) -> None:
    assert bool(risk(backend)) == risky
