"""Checkpoints come flat or nested, whole or in shards; only a tower's own tensors are read."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from encoding.reference import CPU, encoded, loaded, picture, prepared, sound, spoken
from fleet_encoder.errors import Invalid
from fleet_encoder.families import family_for
from fleet_encoder.runner.runner import Runner


def copied(model: Path, target: Path) -> Path:
    shutil.copytree(model, target)
    return target


def tensors(model: Path) -> dict[str, torch.Tensor]:
    return load_file(model / "model.safetensors")


def edit(path: Path, **changes: object) -> None:
    content = json.loads(path.read_text())
    path.write_text(json.dumps({key: value for key, value in (content | changes).items() if value is not None}))


def runner(model: Path, dtype: torch.dtype = torch.float32) -> Runner:
    return Runner(model, family_for(model)(model), CPU, dtype)


def prefixes(model: Path) -> set[str]:
    return {".".join(name.split(".")[:2]) for name in tensors(model)}


@pytest.fixture
def renamed(qwen2_5_vl: Path, tmp_path: Path) -> Path:
    """The other way that names and settings come in: `model.visual.*`, the language model's settings at the top."""
    model = copied(qwen2_5_vl, tmp_path / "renamed")
    content = {
        ("lm_head." if name.startswith("lm_head.") else "model.")
        + name.removeprefix("model.").removeprefix("lm_head."): tensor
        for name, tensor in tensors(model).items()
    }
    save_file(content, model / "model.safetensors", {"format": "pt"})
    text = json.loads((model / "config.json").read_text())["text_config"]
    edit(model / "config.json", **{**text, "model_type": "qwen2_5_vl", "text_config": None})
    return model


@pytest.fixture
def nested(qwen2_5_vl: Path, tmp_path: Path) -> Path:
    """As the latest: all processors in processor_config.json."""
    model = copied(qwen2_5_vl, tmp_path / "nested")
    image, video = model / "preprocessor_config.json", model / "video_preprocessor_config.json"
    content = {
        "processor_class": "Qwen2_5_VLProcessor",
        "image_processor": json.loads(image.read_text()),
        "video_processor": json.loads(video.read_text()),
    }
    content["image_processor"]["size"] = {"shortest_edge": 3136, "longest_edge": 200_000}
    (model / "processor_config.json").write_text(json.dumps(content))
    image.unlink()
    video.unlink()
    return model


def test_both_ways_of_naming_hold_the_same_model(qwen2_5_vl: Path, renamed: Path, photos: Path) -> None:
    assert {"visual.blocks", "model.layers"} <= prefixes(qwen2_5_vl)
    assert {"model.visual", "model.layers"} <= prefixes(renamed)
    photo = picture(photos / "chelsea.png")
    assert torch.equal(
        encoded(renamed, prepared(renamed, photo))[0], encoded(qwen2_5_vl, prepared(qwen2_5_vl, photo))[0]
    )


def test_processor_config_alone_is_read(nested: Path, photos: Path) -> None:
    features = prepared(nested, picture(photos / "rocket.jpg"))
    assert 150_000 < features.patches * 14 * 14 <= 200_000


def test_nested_and_renamed_audio(qwen2_audio: Path, speech: Path, tmp_path: Path) -> None:
    model = copied(qwen2_audio, tmp_path / "nested")
    extractor = model / "preprocessor_config.json"
    content = {"processor_class": "Qwen2AudioProcessor", "feature_extractor": json.loads(extractor.read_text())}
    (model / "processor_config.json").write_text(json.dumps(content))
    extractor.unlink()
    assert "audio_tower.conv1" in prefixes(model)
    renamed = {"model." + name: tensor for name, tensor in tensors(model).items()}
    save_file(renamed, model / "model.safetensors", {"format": "pt"})
    clip = sound(spoken(speech / "Front_Center.wav"))
    assert torch.equal(encoded(model, prepared(model, clip))[0], encoded(qwen2_audio, prepared(qwen2_audio, clip))[0])


def test_without_a_video_file_the_image_limits_hold_for_video(qwen2_5_vl: Path, tmp_path: Path) -> None:
    model = copied(qwen2_5_vl, tmp_path / "model")
    (model / "video_preprocessor_config.json").unlink()
    edit(model / "preprocessor_config.json", size={"shortest_edge": 3136, "longest_edge": 99_960})
    rules = loaded(model)[0].rules  # type: ignore[attr-defined]
    assert rules.video_sizes.max_pixels == rules.image_sizes.max_pixels == 99_960
    assert rules.video_sizes.temporal == 2


def shards(model: Path, target: Path) -> tuple[Path, Path, Path]:
    """The model in two shards: (directory, shard of the tower, shard of the rest)."""
    shutil.copytree(model, target, ignore=shutil.ignore_patterns("*.safetensors"))
    parts: dict[str, dict[str, torch.Tensor]] = {"one.safetensors": {}, "two.safetensors": {}}
    for name, tensor in tensors(model).items():
        parts["one.safetensors" if "visual" in name else "two.safetensors"][name] = tensor
    for shard, content in parts.items():
        save_file(content, target / shard, {"format": "pt"})
    weight_map = {name: shard for shard, content in parts.items() for name in content}
    (target / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    return target, target / "one.safetensors", target / "two.safetensors"


@pytest.mark.parametrize("rest", [None, b"garbage"])
def test_shards_of_the_language_model_are_not_opened(
    qwen2_5_vl: Path, photos: Path, tmp_path: Path, rest: bytes | None
) -> None:
    model, tower, other = shards(qwen2_5_vl, tmp_path / "model")
    other.unlink()
    if rest:
        other.write_bytes(rest)
    one, whole = runner(model), runner(qwen2_5_vl)
    read = one.load()
    assert read.files == 1
    assert read.tensors == sum("visual" in name for name in tensors(qwen2_5_vl))
    assert 0 < tower.stat().st_size - read.bytes < 10_000  # all but the shard's header
    assert read.seconds > 0
    features = prepared(qwen2_5_vl, picture(photos / "chelsea.png"))
    whole.load()
    assert torch.equal(one.encode([features])[0], whole.encode([features])[0])
    assert one.fingerprint == whole.fingerprint


def test_a_damaged_or_missing_shard_of_the_tower_is_named(qwen2_5_vl: Path, tmp_path: Path) -> None:
    model, tower, _ = shards(qwen2_5_vl, tmp_path / "model")
    content = tower.read_bytes()
    tower.write_bytes(content[:-1000])
    with pytest.raises(Invalid, match=r"one\.safetensors cannot be read .*fetch the model again"):
        runner(model).load()
    tower.unlink()
    with pytest.raises(Invalid, match=r"one\.safetensors cannot be read"):
        runner(model).load()


def without(name: str, model: Path) -> None:
    content = tensors(model)
    del content[name]
    save_file(content, model / "model.safetensors")


def with_unknown(model: Path) -> None:
    save_file({**tensors(model), "visual.blocks.9.norm1.weight": torch.ones(256)}, model / "model.safetensors")


def of_the_wrong_shape(model: Path) -> None:
    save_file({**tensors(model), "visual.merger.mlp.2.bias": torch.ones(3)}, model / "model.safetensors")


def of_no_tower(model: Path) -> None:
    content = {name: tensor for name, tensor in tensors(model).items() if "visual" not in name}
    save_file(content, model / "model.safetensors")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda model: without("visual.merger.ln_q.weight", model),
            r"lacks 1 tensor\(s\) \(merger.ln_q.weight\)",
        ),
        (with_unknown, r"has unknown 1 tensor\(s\) \(blocks.9.norm1.weight\)"),
        (of_the_wrong_shape, r"mlp.2.bias is \[3\], config.json makes it \[512\]"),
        (of_no_tower, r"starts with visual\. or model\.visual\."),
        (lambda model: (model / "model.safetensors").unlink(), "only safetensors checkpoints"),
        (lambda model: (model / "model.safetensors").write_bytes(b"x"), r"model\.safetensors cannot be read"),
        (lambda model: (model / "model.safetensors.index.json").write_text("{}"), r"index\.json cannot be read"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused(qwen2_5_vl: Path, tmp_path: Path, damage, message: str) -> None:
    model = copied(qwen2_5_vl, tmp_path / "model")
    damage(model)
    with pytest.raises(Invalid, match=message) as caught:
        runner(model).load()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("config.json", None, r"config\.json: No such file"),
        ("config.json", "{", "is not JSON"),
        ("config.json", "[]", "no JSON object"),
        ("config.json", '{"architectures": ["LlamaForCausalLM"]}', "LlamaForCausalLM.*not served.*Qwen2_5_VL"),
        ("config.json", "{}", "architecture none.*not served"),
        ("preprocessor_config.json", None, r"no preprocessor_config\.json or processor_config\.json"),
        ("preprocessor_config.json", '{"patch_size": 16}', "patch_size of Qwen2VLImageProcessor is 16"),
        ("preprocessor_config.json", '{"resample": 2}', "resample other than bicubic"),
        ("preprocessor_config.json", '{"do_resize": false}', "do_resize false"),
        ("preprocessor_config.json", "{", "Qwen2VLImageProcessor cannot be read"),
    ],
)
def test_files_that_do_not_fit_are_named(
    qwen2_5_vl: Path, tmp_path: Path, name: str, content: str | None, message: str
) -> None:
    model = copied(qwen2_5_vl, tmp_path / "model")
    (model / name).unlink()
    if content is not None:
        (model / name).write_text(content)
    with pytest.raises(Invalid, match=message) as caught:
        family_for(model)(model)
    assert "\n" not in str(caught.value)


def test_decode_threads_of_the_model(qwen2_5_vl: Path, tmp_path: Path) -> None:
    model = copied(qwen2_5_vl, tmp_path / "model")
    assert family_for(model)(model).video_decode_threads is None
    edit(model / "config.json", video_decode_num_threads=4)
    assert family_for(model)(model).video_decode_threads == 4
    edit(model / "config.json", video_decode_num_threads="many")
    with pytest.raises(Invalid, match="video_decode_num_threads.*'many'"):
        family_for(model)(model)


def test_a_mel_extractor_of_another_model_is_refused(qwen2_audio: Path, tmp_path: Path) -> None:
    model = copied(qwen2_audio, tmp_path / "model")
    edit(model / "preprocessor_config.json", feature_size=80)
    with pytest.raises(Invalid, match="80 x 3000 mel frames.*128 x 3000"):
        family_for(model)(model)
