"""Embeddings of images and video are those of transformers' own processor and model, for the same file."""

import dataclasses
from pathlib import Path

import pytest
import torch

from encoding.reference import (
    CPU,
    TOLERANCE,
    clip,
    encoded,
    header,
    image_truth,
    loaded,
    picture,
    prepared,
    relative,
    video_truth,
)
from fleet_client.protocol import Sampling
from fleet_encoder.families import FAMILIES
from fleet_encoder.families.passes import run_all


@pytest.fixture(scope="module")
def qwen2_vl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("qwen2_vl")
    FAMILIES["qwen2_vl"].create(directory)
    return directory


@pytest.fixture(params=["qwen2_vl", "qwen2_5_vl"])
def model(request: pytest.FixtureRequest) -> Path:
    directory = request.getfixturevalue(request.param)
    assert isinstance(directory, Path)
    return directory


@pytest.mark.parametrize("photo", ["astronaut.png", "coffee.png", "rocket.jpg", "chelsea.png", "hubble_deep_field.jpg"])
def test_photos(model: Path, photos: Path, photo: str) -> None:
    truth, grid = image_truth(model, photos / photo)
    image = picture(photos / photo)
    features = prepared(model, image)
    assert features.meta.grid == tuple(grid)
    assert features.meta.tokens == len(truth)
    assert features.meta.original_size == (image.info.width, image.info.height)
    assert relative(encoded(model, features)[0], truth) <= TOLERANCE


def test_the_measure_sees_one_pixel_value(model: Path, photos: Path) -> None:
    truth, _ = image_truth(model, photos / "chelsea.png")
    image = picture(photos / "chelsea.png")
    image.pixels[:] = torch.from_numpy(image.pixels).int().add(1).clamp(max=255).to(torch.uint8).numpy()
    assert relative(encoded(model, prepared(model, image))[0], truth) > 10 * TOLERANCE


@pytest.mark.parametrize(
    ("name", "sampling", "theirs"),
    [
        ("bigbuckbunny.mp4", None, {"fps": 2}),
        ("bikes.mp4", Sampling(fps=1.0), {"fps": 1}),
        ("carphone_pristine.mp4", Sampling(frames=6), {"num_frames": 6}),
    ],
)
def test_clips(model: Path, clips: Path, name: str, sampling: Sampling | None, theirs: dict[str, float]) -> None:
    truth, grid, metadata = video_truth(model, clips / name, **theirs)
    info = header(clips / name)
    indices = loaded(model)[0].sample(info, sampling)
    assert indices == list(metadata.frames_indices)
    features = prepared(model, clip(clips / name, indices))
    assert relative(encoded(model, features)[0], truth) <= TOLERANCE
    meta = features.meta
    assert meta.grid == tuple(grid)
    assert meta.frame_indices == indices
    assert meta.timestamps == pytest.approx([float(second) for second in metadata.timestamps])
    assert meta.fps == pytest.approx(metadata.sampled_fps)
    assert meta.source_fps == pytest.approx(metadata.fps)
    assert meta.original_size == (metadata.width, metadata.height)
    assert meta.duration == pytest.approx(metadata.duration)
    if "2_5" in model.name:
        assert meta.second_per_grid == pytest.approx(2 / metadata.sampled_fps)
    else:
        assert meta.second_per_grid is None


def test_a_clip_of_one_frame_is_that_frame_twice(model: Path, clips: Path) -> None:
    path = clips / "bikes.mp4"
    once, twice = prepared(model, clip(path, [7])), prepared(model, clip(path, [7, 7]))
    assert once.meta.grid == twice.meta.grid
    assert once.meta.frame_indices == [7]
    assert torch.equal(once.tensor, twice.tensor)


def test_a_clip_without_a_rate_keeps_its_presentation_times(model: Path, clips: Path) -> None:
    timed = clip(clips / "bikes.mp4", [0, 50])
    untimed = dataclasses.replace(timed, info=dataclasses.replace(timed.info, fps=0.0))
    ours, meta = prepared(model, untimed), prepared(model, untimed).meta
    assert torch.equal(ours.tensor, prepared(model, timed).tensor)
    assert (meta.fps, meta.source_fps, meta.second_per_grid) == (None, None, None)
    assert meta.timestamps == meta.pts == timed.pts


def test_half_precision_is_as_near_as_half_precision_gets(model: Path, photos: Path) -> None:
    truth, _ = image_truth(model, photos / "rocket.jpg")
    family, _ = loaded(model)
    tower, _ = family.load(model, CPU, torch.bfloat16)
    with torch.inference_mode():
        (tokens,) = run_all(family.encode(tower, [prepared(model, picture(photos / "rocket.jpg"))]))
    assert tokens.dtype is torch.bfloat16
    assert 1e-4 < relative(tokens, truth) < 2e-2
