"""Embeddings of audio are what the forward of transformers' Qwen2-Audio puts in the place of the audio tokens."""

from pathlib import Path

import numpy as np
import pytest

from encoding.reference import TOLERANCE, audio_truth, encoded, loaded, prepared, relative, sound, spoken
from fleet_encoder.errors import Invalid

WINDOW = 480_000


@pytest.fixture(scope="module")
def long_speech(speech: Path) -> np.ndarray:
    """A little over a minute."""
    words = np.concatenate([spoken(path) for path in sorted(speech.glob("*.wav"))])
    return np.tile(words, 1 + 61 * 16_000 // len(words))


def test_spoken_words(qwen2_audio: Path, speech: Path) -> None:
    clips = [spoken(path) for path in sorted(speech.glob("*.wav"))]
    assert len(clips) > 3
    for samples, truth in zip(clips, audio_truth(qwen2_audio, clips), strict=True):
        features = prepared(qwen2_audio, sound(samples))
        assert features.meta.tokens == len(truth)
        assert features.meta.samples == len(samples)
        assert features.meta.audio_frames == features.patches == -(-len(samples) // 160)
        assert features.meta.chunks == 1
        assert features.meta.duration == pytest.approx(len(samples) / 16_000)
        assert relative(encoded(qwen2_audio, features)[0], truth) <= TOLERANCE


@pytest.mark.parametrize(
    "samples",
    # Around the edges of a mel frame, of a position, of a token and of the window.
    [321, 480, 481, 640, 641, 800, 801, 16_000, 100_001, 479_520, 479_521, 479_680, 479_681, 479_840, 479_999, WINDOW],
)
def test_every_rounding(qwen2_audio: Path, long_speech: np.ndarray, samples: int) -> None:
    clips = [long_speech[:samples], long_speech[:8000]]  # the second so that transformers sees consecutive tokens
    truth = audio_truth(qwen2_audio, clips)[0]
    (tokens,) = encoded(qwen2_audio, prepared(qwen2_audio, sound(clips[0])))
    assert relative(tokens, truth) <= TOLERANCE


def test_silence(qwen2_audio: Path) -> None:
    samples = np.zeros(20_000, np.float32)
    (tokens,) = encoded(qwen2_audio, prepared(qwen2_audio, sound(samples)))
    assert relative(tokens, audio_truth(qwen2_audio, [samples])[0]) <= TOLERANCE


def test_over_thirty_seconds_the_windows_are_joined_in_order(qwen2_audio: Path, long_speech: np.ndarray) -> None:
    parts = [long_speech[start : start + WINDOW] for start in range(0, len(long_speech), WINDOW)]
    assert len(parts) == 3
    features = prepared(qwen2_audio, sound(long_speech))
    (tokens,) = encoded(qwen2_audio, features)
    truth = audio_truth(qwen2_audio, parts)
    assert features.meta.chunks == 3
    assert features.meta.tokens == len(tokens) == sum(map(len, truth))
    for part, expected in zip(tokens.split([len(each) for each in truth]), truth, strict=True):
        assert relative(part, expected) <= TOLERANCE


def test_a_last_window_too_short_for_a_token_is_left_out(qwen2_audio: Path, long_speech: np.ndarray) -> None:
    whole, longer = (prepared(qwen2_audio, sound(long_speech[: WINDOW + more])) for more in (0, 320))
    assert longer.meta.chunks == 1
    assert longer.meta.tokens == whole.meta.tokens
    assert prepared(qwen2_audio, sound(long_speech[: WINDOW + 321])).meta.chunks == 2


def test_too_little_for_a_token_is_refused(qwen2_audio: Path) -> None:
    with pytest.raises(Invalid, match="320 samples.*at least 321"):
        prepared(qwen2_audio, sound(np.zeros(320, np.float32)))


def test_the_header_tells_the_cost(qwen2_audio: Path, long_speech: np.ndarray) -> None:
    family, _ = loaded(qwen2_audio)
    for samples in (5_000, WINDOW, WINDOW + 100, len(long_speech)):
        clip = sound(long_speech[:samples])
        assert family.patches(clip.info) == prepared(qwen2_audio, clip).patches
