"""The config.json of a language server's model, where it lies on this machine."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from fleet_encoder.wire.sglang.nearby import config

HELD = {"model_type": "qwen2_5_vl", "hidden_size": 2048}
COMMIT = "66285546d2b821cf421d4f5eb2576359d3770cd3"


def write(directory: Path, text: str) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "config.json").write_text(text)
    return directory


def test_of_a_path(tmp_path: Path) -> None:
    assert config(str(write(tmp_path, json.dumps(HELD))), None) == HELD


@pytest.mark.parametrize(
    ("revision", "found"), [(None, HELD), ("main", HELD), (COMMIT, HELD), ("v2", {}), (7, HELD), ("../refs/main", {})]
)
def test_of_a_name_in_the_hubs_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, revision: Any, found: dict[str, Any]
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    model = tmp_path / "models--Qwen--A"
    write(model / "snapshots" / COMMIT, json.dumps(HELD))
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text(COMMIT)
    assert config("Qwen/A", revision) == found
    assert config("Qwen/B", revision) == {}


@pytest.mark.parametrize("text", ["", "[]", "{", '"x"', "[" * 100_000, " " * (1 << 20) + "{}"])
def test_what_is_no_config_says_nothing(tmp_path: Path, text: str) -> None:
    assert config(str(write(tmp_path, text)), None) == {}


@pytest.mark.parametrize(
    "model", [None, 7, "", "/nowhere", "../../etc", "/a\0b", "a/b/c", "x" * 10_000, "/" + "x" * 10_000]
)
def test_whatever_is_told_is_no_error(model: Any) -> None:
    assert config(model, None) == {}


def test_what_never_answers_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "config.json")
    assert config(str(tmp_path), None) == {}
