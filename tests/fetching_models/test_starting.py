"""Encoders that are told a name of the hub: real processes, and a hub that counts what it is asked for."""

import os
import re
import time
from pathlib import Path

import numpy as np
import pytest
from tests.running_locally.running_up import Up

from conftest import EncoderProcess, StartEncoder
from fetching_models.conftest import SHARDS
from fetching_models.fetching import fetch
from fetching_models.hub_server import SIGNATURE, Hub
from fleet_client import Client, image
from peer import Peer

NAME = Path("org/tiny")
SETTINGS = {
    "config.json",
    "generation_config.json",
    "preprocessor_config.json",
    "video_preprocessor_config.json",
    "model.safetensors.index.json",
}


def encoded(encoder: EncoderProcess, photo: Path) -> np.ndarray:
    with Peer(encoder.endpoint) as peer:
        rows = peer.ask([("image", photo)])[0][1]
    assert rows is not None
    return rows


def wait_until(encoder: EncoderProcess, text: str) -> str:
    """The line with that text."""
    for _ in range(1200):
        if found := [line for line in encoder.lines if text in line]:
            return found[0]
        assert encoder.process.poll() is None, encoder.log
        time.sleep(0.1)
    raise AssertionError(f"no {text!r}:\n{encoder.log}")


def test_it_fetches_what_its_tower_needs_and_encodes(
    hub: Hub,
    environment: dict[str, str],
    start_encoder: StartEncoder,
    vision_encoder: EncoderProcess,
    sharded: Path,
    photos: Path,
) -> None:
    encoder = start_encoder(NAME, "--cpus", "2", **environment).wait_until_ready()
    assert hub.files_asked == SETTINGS & {path.name for path in sharded.iterdir()} | set(SHARDS[:2])
    photo = photos / "coffee.png"
    assert np.array_equal(encoded(encoder, photo), encoded(vision_encoder, photo))
    with Peer(encoder.endpoint) as ours, Peer(vision_encoder.endpoint) as theirs:
        assert ours.hello().fingerprint == theirs.hello().fingerprint
        assert ours.hello().model == "tiny"
    line = wait_until(encoder, "fetching weights")
    sizes = [(sharded / shard).stat().st_size / 1e6 for shard in SHARDS]
    assert f"files={SHARDS[:2]}" in line
    assert f"megabytes={sizes[0] + sizes[1]:.1f}" in line
    assert "files_left_out=4" in line  # a shard, the tokenizer, the README, the folder for ONNX
    assert f"megabytes_left_out={sizes[2]:.1f}" in line
    assert hub.models["org/tiny"].branches["main"] in wait_until(encoder, "model found")
    assert SIGNATURE not in encoder.log


def test_what_the_cache_has_needs_no_hub(
    hub: Hub,
    environment: dict[str, str],
    start_encoder: StartEncoder,
    vision_encoder: EncoderProcess,
    photos: Path,
) -> None:
    directory = fetch(environment, files=SHARDS[:2])
    asked = len(hub.asked)
    assert fetch(environment | {"HF_HUB_OFFLINE": "1"}) == directory
    assert len(hub.asked) == asked
    hub.close()
    encoder = start_encoder(NAME, "--cpus", "2", **environment).wait_until_ready()
    assert "the hub cannot be asked" in encoder.log
    assert "fetching weights" not in encoder.log
    photo = photos / "coffee.png"
    assert np.array_equal(encoded(encoder, photo), encoded(vision_encoder, photo))


def test_another_revision_whose_weights_are_one_file(
    hub: Hub, environment: dict[str, str], start_encoder: StartEncoder, qwen2_5_vl: Path, photos: Path
) -> None:
    commit = hub.publish("org/tiny", qwen2_5_vl, "whole")
    encoder = start_encoder(NAME, "--cpus", "2", "--revision", "whole", **environment).wait_until_ready()
    assert hub.transfers("model.safetensors") > 0
    assert not hub.files_asked & set(SHARDS)
    assert f"revision=whole commit={commit}" in re.sub(r"(commit=\S+) (.*?)(revision=\S+)", r"\3 \1", encoder.log)
    assert len(encoded(encoder, photos / "coffee.png")) > 0


def test_while_it_fetches_it_can_be_asked_and_stopped_and_begun_again(
    hub: Hub, environment: dict[str, str], start_encoder: StartEncoder, photos: Path, tmp_path: Path
) -> None:
    hub.held[SHARDS[0]] = 1 << 20
    first = start_encoder(NAME, "--cpus", "2", **environment)
    first.wait_until_bound()
    assert hub.holding.wait(60)
    assert first.get("/healthz")[0] == 200
    assert first.get("/readyz") == (503, "starting: the model is not warm yet\n")
    first.terminate()
    assert first.wait() == 0
    (blobs,) = tmp_path.glob("cache/hub/models--org--tiny/blobs")
    partial = [*blobs.glob("*.incomplete")]
    assert partial
    an_old_one = blobs / "old.incomplete"
    an_old_one.touch()
    os.utime(an_old_one, (0, 0))
    hub.let_go.set()
    hub.held.clear()
    second = start_encoder(NAME, "--cpus", "2", **environment).wait_until_ready()
    assert len(encoded(second, photos / "coffee.png")) > 0
    assert all(each.exists() for each in partial)  # they might be somebody's who is still at work
    assert not an_old_one.exists()


def test_two_at_once_share_a_cache(hub: Hub, environment: dict[str, str], start_encoder: StartEncoder) -> None:
    hub.held[SHARDS[0]] = 1 << 20
    encoders = [start_encoder(NAME, "--cpus", "1", **environment) for _ in range(2)]
    for encoder in encoders:
        wait_until(encoder, "fetching weights")
    hub.let_go.set()
    for encoder in encoders:
        encoder.wait_until_ready()
    assert [hub.transfers(shard) for shard in SHARDS] == [1, 1, 0]


def test_up_runs_a_pool_whose_model_is_a_name(
    hub: Hub, environment: dict[str, str], photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    pool = tmp_path / "pool.yaml"
    text = (
        "apiVersion: encoderfleet.io/v1alpha1\nkind: EncoderPool\nmetadata: {name: pool}\nspec: {model: {name: org/%s}}"
    )
    pool.write_text(text % "tiny")
    with Up(pool, "-o", "json", "--quiet", replica=None) as up:
        (replica,) = up.event("ready")["replicas"]
        with Client([replica["endpoint"]]) as client:
            (photo,) = client.encode([image(photos / "rocket.jpg")])
        assert photo.embedding.shape[1] == 512
        up.ctrl_c()
        assert up.end() == 0
    pool.write_text(text % "no-such-model")
    with Up(pool, "-o", "json", "--quiet", replica=None) as up:
        assert up.end() == 2
    (line,) = up.err
    assert line.startswith("Error: pool-0 cannot start: encoderfleet-encoder: there is no directory org/no-such")
