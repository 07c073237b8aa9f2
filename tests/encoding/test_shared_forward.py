"""What an item shares a forward pass with changes nothing, nor does cutting a pass in parts."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from encoding.reference import CPU, TOLERANCE, clip, encoded, loaded, picture, prepared, relative, sound, spoken
from fleet_encoder.families import qwen2_audio as audio_family
from fleet_encoder.families import qwen_vision
from fleet_encoder.families.base import Features
from fleet_encoder.families.passes import passes


@pytest.fixture(scope="module")
def mixed(qwen2_5_vl, photos, clips):
    media = [
        picture(photos / "rocket.jpg"),
        clip(clips / "bikes.mp4", [0, 30, 60, 90]),
        picture(photos / "chelsea.png"),
        clip(clips / "carphone_pristine.mp4", [5]),
        picture(photos / "coffee.png"),
    ]
    items = [prepared(qwen2_5_vl, each) for each in media]
    return items, [encoded(qwen2_5_vl, item)[0] for item in items]


def test_images_and_videos_together(qwen2_5_vl, mixed) -> None:
    items, alone = mixed
    for order in (range(5), [3, 0, 4, 1, 2]):
        together = encoded(qwen2_5_vl, *(items[index] for index in order))
        for index, tokens in zip(order, together, strict=True):
            assert relative(tokens, alone[index]) <= TOLERANCE


@pytest.mark.parametrize("limit", [1, 1_500, 3_000])
def test_passes_cut_between_grid_steps(qwen2_5_vl, mixed, limit, monkeypatch) -> None:
    items, alone = mixed
    forwards = []
    original = qwen_vision.QwenVision._forward
    monkeypatch.setattr(qwen_vision, "CPU_PASS_PATCHES", limit)
    monkeypatch.setattr(
        qwen_vision.QwenVision, "_forward", lambda *args: forwards.append(len(args[3])) or original(*args)
    )
    for tokens, expected in zip(encoded(qwen2_5_vl, *items), alone, strict=True):
        assert relative(tokens, expected) <= TOLERANCE
    assert len(forwards) > 1


@torch.inference_mode()
def passes_taken(directory: Path, *items: Features) -> int:
    family, tower = loaded(directory)
    return 1 + sum(1 for _ in family.encode(tower, list(items)))


@pytest.mark.parametrize("limit", [1, 500, 10**6])
def test_an_image_is_one_pass_and_a_clip_as_many_as_it_is_told(qwen2_5_vl, mixed, limit, monkeypatch) -> None:
    monkeypatch.setattr(qwen_vision, "CPU_PASS_PATCHES", limit)
    family, _ = loaded(qwen2_5_vl)
    told = [family.pass_count(item, CPU) for item in mixed[0]]
    assert told == [passes_taken(qwen2_5_vl, item) for item in mixed[0]]
    assert told == [1, {1: 2, 500: 2, 10**6: 1}[limit], 1, 1, 1]


@pytest.mark.parametrize("limit", [1, 1_200, 3_000, 10**6])
def test_images_and_clips_whose_shares_fit_are_one_pass(qwen2_5_vl, mixed, limit, monkeypatch) -> None:
    monkeypatch.setattr(qwen_vision, "CPU_PASS_PATCHES", limit)
    family, _ = loaded(qwen2_5_vl)
    items = mixed[0]
    for start in range(len(items)):
        for stop in range(start + 1, len(items) + 1):
            batch = items[start:stop]
            if sum(family.pass_share(item, CPU) for item in batch) <= 1:
                assert passes_taken(qwen2_5_vl, *batch) == 1
    assert [family.pass_share(item, CPU) > 1 for item in items] == [item.patches > limit for item in items]
    assert [family.pass_count(item, CPU) for item in items] == [passes_taken(qwen2_5_vl, item) for item in items]


@pytest.mark.parametrize(("limit", "count"), [(4, 1), (1, 2)])
def test_audio_of_more_than_a_share_of_1_takes_several_passes(qwen2_audio, speech, limit, count, monkeypatch) -> None:
    monkeypatch.setattr(audio_family, "CPU_PASS_WINDOWS", limit)
    words = np.tile(np.concatenate([spoken(path) for path in sorted(speech.glob("*.wav"))]), 4)
    item = prepared(qwen2_audio, sound(words[: 40 * 16_000]))
    family, _ = loaded(qwen2_audio)
    assert passes_taken(qwen2_audio, item) == count
    assert family.pass_count(item, CPU) == count
    assert (family.pass_share(item, CPU) > 1) == (count > 1)


def test_short_clips_whose_shares_fit_are_one_pass(qwen2_audio, speech) -> None:
    clip = prepared(qwen2_audio, sound(spoken(speech / "Front_Left.wav")))
    family, _ = loaded(qwen2_audio)
    many = round(1 / family.pass_share(clip, CPU))
    assert passes_taken(qwen2_audio, *[clip] * many) == 1
    assert passes_taken(qwen2_audio, *[clip] * (many + 1)) == 2


def test_clips_of_all_lengths_together(qwen2_audio, speech, monkeypatch) -> None:
    words = [spoken(path) for path in sorted(speech.glob("*.wav"))]
    long = np.tile(np.concatenate(words), 4)
    items = [prepared(qwen2_audio, sound(samples)) for samples in (words[0], long, words[1][:700], long[:300_000])]
    alone = [encoded(qwen2_audio, item)[0] for item in items]
    for limit in (32, 2, 1):
        monkeypatch.setattr(audio_family, "CPU_PASS_WINDOWS", limit)
        for tokens, expected in zip(encoded(qwen2_audio, *items), alone, strict=True):
            assert relative(tokens, expected) <= TOLERANCE


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(1, 40)), max_size=12), st.integers(1, 300))
def test_passes_cover_every_unit_once_and_keep_to_the_limit(units: list[tuple[int, int]], limit: int) -> None:
    plans = passes(units, limit)
    seen = [(piece.item, unit) for plan in plans for piece in plan for unit in range(piece.start, piece.stop)]
    assert seen == [(item, unit) for item, (count, _) in enumerate(units) for unit in range(count)]
    for plan in plans:
        cost = sum((piece.stop - piece.start) * units[piece.item][1] for piece in plan)
        assert cost <= limit or sum(piece.stop - piece.start for piece in plan) == 1


def test_a_batch_of_one_kind_needs_no_other(qwen2_5_vl, mixed) -> None:
    items, alone = mixed
    (tokens,) = encoded(qwen2_5_vl, items[1])
    assert torch.equal(tokens, alone[1])
