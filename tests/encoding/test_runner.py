"""A runner loads, warms up, encodes, and has a fingerprint that tells models apart."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from encoding.reference import CPU, encoded, picture, prepared
from fleet_encoder.families import FAMILIES, family_for
from fleet_encoder.runner.runner import Runner


def fingerprint(model: Path, dtype: torch.dtype = torch.float32) -> str:
    runner = Runner(model, family_for(model)(model), CPU, dtype)
    runner.load()
    return runner.fingerprint


@pytest.fixture(scope="module")
def other_seed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("models") / "other"
    directory.mkdir()
    FAMILIES["qwen2_5_vl"].create(directory, seed=1)
    return directory


def test_before_loading_it_says_so(qwen2_5_vl: Path, photos: Path) -> None:
    runner = Runner(qwen2_5_vl, family_for(qwen2_5_vl)(qwen2_5_vl), CPU, torch.float32)
    with pytest.raises(RuntimeError, match="load"):
        _ = runner.fingerprint
    with pytest.raises(RuntimeError, match="load"):
        runner.encode([prepared(qwen2_5_vl, picture(photos / "chelsea.png"))])


@pytest.mark.parametrize("family", ["qwen2_5_vl", "qwen2_audio"])
def test_warming_up_runs_every_modality(family: str, request: pytest.FixtureRequest) -> None:
    model = request.getfixturevalue(family)
    served = family_for(model)(model)
    runner = Runner(model, served, CPU, torch.float32)
    runner.load()
    batches = []
    original = served.encode
    served.encode = lambda tower, batch: batches.append({item.modality for item in batch}) or original(tower, batch)  # type: ignore[method-assign]
    runner.warm_up()
    assert set().union(*batches) == served.modalities
    assert served.modalities in batches  # all in one pass, too


def test_embeddings_are_whole_tensors_on_the_cpu(qwen2_5_vl: Path, photos: Path) -> None:
    family = family_for(qwen2_5_vl)(qwen2_5_vl)
    runner = Runner(qwen2_5_vl, family, CPU, torch.float32)
    runner.load()
    items = [prepared(qwen2_5_vl, picture(photos / name)) for name in ("chelsea.png", "rocket.jpg")]
    for item, tokens in zip(items, runner.encode(items), strict=True):
        assert tokens.shape == (item.meta.tokens, family.dim)
        assert tokens.is_contiguous()
        assert not tokens.requires_grad
        assert torch.allclose(tokens, encoded(qwen2_5_vl, item)[0], rtol=1e-4, atol=1e-5)


def test_equal_models_have_equal_fingerprints(qwen2_5_vl: Path, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    shutil.copytree(qwen2_5_vl, moved)
    again = tmp_path / "again"
    again.mkdir()
    FAMILIES["qwen2_5_vl"].create(again)
    assert fingerprint(moved) == fingerprint(qwen2_5_vl) == fingerprint(again)


def test_other_weights_settings_or_dtype_have_others(qwen2_5_vl: Path, other_seed: Path, tmp_path: Path) -> None:
    changed = tmp_path / "changed"
    shutil.copytree(qwen2_5_vl, changed)
    path = changed / "preprocessor_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"image_mean": [0.5, 0.5, 0.5]}))
    prints = [
        fingerprint(qwen2_5_vl),
        fingerprint(other_seed),
        fingerprint(changed),
        fingerprint(qwen2_5_vl, torch.bfloat16),
    ]
    assert len(set(prints)) == 4
    assert all(len(each) == 64 for each in prints)


def test_what_is_computed_in_float32_is_rounded_once(qwen2_5_vl: Path) -> None:
    family = family_for(qwen2_5_vl)(qwen2_5_vl)
    exact, rounded, emulated = (
        Runner(qwen2_5_vl, family, CPU, dtype, compute_dtype=computed)
        for dtype, computed in (
            (torch.float32, None),
            (torch.bfloat16, torch.float32),
            (torch.bfloat16, torch.bfloat16),
        )
    )
    for runner in (exact, rounded, emulated):
        runner.load()
    item = family.preprocess(family.example("image"), CPU)
    (wide,), (narrow,) = exact.encode([item]), rounded.encode([item])
    assert narrow.dtype is torch.bfloat16
    assert torch.equal(narrow, wide.to(torch.bfloat16))
    assert len({exact.fingerprint, rounded.fingerprint, emulated.fingerprint}) == 3


def test_a_seed_is_one_model_and_leaves_random_numbers_alone(tmp_path: Path) -> None:
    written = []
    torch.manual_seed(5)
    state = torch.get_rng_state()
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        (tmp_path / name).mkdir()
        FAMILIES["qwen2_audio"].create(tmp_path / name, seed=seed)
        written.append((tmp_path / name / "model.safetensors").read_bytes())
    assert torch.equal(torch.get_rng_state(), state)
    assert written[0] == written[1] != written[2]
