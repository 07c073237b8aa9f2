"""A hub with a small model in three shards; the last of them holds nothing of the tower."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from fetching_models.hub_server import Hub

SHARDS = [f"model-0000{number}-of-00003.safetensors" for number in (1, 2, 3)]


@pytest.fixture(scope="session")
def sharded(qwen2_5_vl: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model in shards, with files that an encoder has no use for."""
    folder = tmp_path_factory.mktemp("sharded") / "tiny"
    shutil.copytree(qwen2_5_vl, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    tensors = load_file(qwen2_5_vl / "model.safetensors")
    tower = [name for name in tensors if "visual" in name]
    language = [name for name in tensors if "visual" not in name]
    parts = [tower[:20], tower[20:] + language[:1], language[1:]]
    for shard, names in zip(SHARDS, parts, strict=True):
        save_file({name: tensors[name] for name in names}, folder / shard, {"format": "pt"})
    weight_map = {name: shard for shard, names in zip(SHARDS, parts, strict=True) for name in names}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    (folder / "tokenizer.json").write_text("{}")
    (folder / "README.md").write_text("A model.")
    (folder / "onnx").mkdir()
    (folder / "onnx" / "config.json").write_text("{}")
    return folder


@pytest.fixture
def hub(sharded: Path) -> Iterator[Hub]:
    """Serves `org/tiny`."""
    server = Hub()
    server.publish("org/tiny", sharded)
    yield server
    server.close()


@pytest.fixture
def environment(hub: Hub, tmp_path: Path) -> dict[str, str]:
    """Of an encoder that asks this hub, and starts with an empty cache."""
    return {
        "HF_ENDPOINT": hub.address,
        "HF_HOME": str(tmp_path / "cache"),
        "HF_HUB_OFFLINE": "",
        "HF_TOKEN": "",
        "NO_PROXY": "*",
    }
