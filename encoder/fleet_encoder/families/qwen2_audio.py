"""Qwen2-Audio: speech, sound and music; clips of any length, in windows of 30 seconds."""

import copy
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn
from transformers import Qwen2AudioConfig, Qwen2AudioForConditionalGeneration, WhisperFeatureExtractor

from fleet_client.protocol import Meta, Modality, Sampling
from fleet_encoder.errors import Incompatible, Invalid
from fleet_encoder.families import model_files, small
from fleet_encoder.families.audio_windows import Window, windows
from fleet_encoder.families.base import Audio, AudioInfo, Features, Media, MediaInfo, Passes, Preparation, VideoInfo
from fleet_encoder.families.passes import passes
from fleet_encoder.families.qwen2_audio_tower import AudioTower
from fleet_encoder.runner import attention, weights

PASS_WINDOWS = 32
"""Windows in one forward pass at most: what lies over it is computed in parts."""

CPU_PASS_WINDOWS = 4
"""The same where a CPU computes: a pass holds its CPUs until it ends."""

CONTEXT = 2
"""Mel frames behind a window's last one that its last position sees through the convolutions."""

_PREFIXES = {
    "audio_tower.": ("audio_tower.", "model.audio_tower."),
    "multi_modal_projector.": ("multi_modal_projector.", "model.multi_modal_projector."),
}


class Qwen2Audio:
    """See `Family`."""

    name: ClassVar[str] = "qwen2_audio"
    architectures: ClassVar[frozenset[str]] = frozenset({"Qwen2AudioForConditionalGeneration"})
    modalities: ClassVar[frozenset[Modality]] = frozenset({"audio"})

    def __init__(self, directory: Path) -> None:
        raw = model_files.read_config(directory)
        self.config = model_files.from_directory(Qwen2AudioConfig, directory)
        self.extractor = model_files.from_directory(
            WhisperFeatureExtractor, directory, "preprocessor_config.json", "processor_config.json"
        )
        audio = self.config.audio_config
        expected = (audio.num_mel_bins, 2 * audio.max_source_positions)
        found = (self.extractor.feature_size, self.extractor.nb_max_frames)
        if expected != found:
            raise Invalid(
                f"{directory}: the preprocessor makes {found[0]} x {found[1]} mel frames, config.json's audio_config "
                f"wants {expected[0]} x {expected[1]}: the files are of different models"
            )
        self.audio_rate = int(self.extractor.sampling_rate)
        self.differs: dict[Modality, str] = {}
        self.sglang_grid_seconds: float | None = None
        self._most_windows: int | None = None
        self.dim = int(self.config.text_config.hidden_size)
        self.video_decode_threads: int | None = None
        self.settings: dict[str, Any] = {
            "audio": raw.get("audio_config"),
            "extractor": {
                key: getattr(self.extractor, key)
                for key in ("feature_size", "sampling_rate", "hop_length", "chunk_length", "n_fft", "padding_value")
            },
        }

    def as_sglang(self) -> Preparation:
        """The first 30 seconds of a clip: SGLang's language servers count on no more of it."""
        first = copy.copy(self)
        first._most_windows, first.differs = 1, {"audio": "sglang"}
        return first

    def sample(self, info: VideoInfo, sampling: Sampling | None) -> list[int]:
        """There is no video here."""
        raise Incompatible("this model encodes audio, not video: send video to a vision model's pool")

    def patches(self, info: MediaInfo, frames: int = 1) -> int:
        """Mel frames that the clip will cost, by the duration that its header tells."""
        if not isinstance(info, AudioInfo):
            raise Incompatible("this model encodes audio only: send images and video to a vision model's pool")
        return sum(window.frames for window in self._windows(round(info.duration * self.audio_rate)))

    def fit(self, info: VideoInfo, frames: int) -> None:
        """No video here."""

    def preprocess(self, media: Media, device: torch.device) -> Features:
        """Cut into windows, and a mel spectrogram of each."""
        if not isinstance(media, Audio):
            raise Incompatible("this model encodes audio only: send images and video to a vision model's pool")
        if media.rate != self.audio_rate:
            raise ValueError(f"audio at {media.rate} Hz, the family asks for {self.audio_rate}")
        cut = self._windows(len(media.samples))
        mels = [self._mel(media.samples[window.start : window.stop], window) for window in cut]
        frames = sum(window.frames for window in cut)
        meta = Meta(
            tokens=sum(window.tokens for window in cut),
            patches=frames,
            duration=len(media.samples) / media.rate,
            samples=len(media.samples),
            audio_frames=frames,
            chunks=len(cut),
            decoder=media.decoder,
        )
        rows = torch.from_numpy(np.concatenate(mels, axis=1)).to(device)
        return Features("audio", rows, frames, meta, {"windows": cut, "widths": [mel.shape[1] for mel in mels]})

    def _windows(self, samples: int) -> list[Window]:
        cut = windows(samples, self.extractor.n_samples, self.extractor.hop_length)[: self._most_windows]
        if not cut:
            least = 2 * self.extractor.hop_length + 1
            raise Invalid(f"{samples} samples of audio at {self.audio_rate} Hz: this model needs at least {least}")
        return cut

    def _mel(self, samples: np.ndarray[Any, Any], window: Window) -> np.ndarray[Any, Any]:
        """`[bins, frames]` of one window, without the rest of the silence that fills it up to 30 seconds.

        As much silence is kept as any frame that counts looks into, so that these frames are those of the full window.
        """
        hop = self.extractor.hop_length
        silence = CONTEXT + 1 + -(-self.extractor.n_fft // hop)
        length = min(self.extractor.n_samples, (window.frames + silence) * hop)
        mel = self.extractor(
            samples,
            sampling_rate=self.audio_rate,
            padding="max_length",
            max_length=length,
            return_tensors="np",
        )["input_features"][0]
        assert isinstance(mel, np.ndarray)
        return mel[:, : window.frames + CONTEXT]

    def load(self, directory: Path, device: torch.device, dtype: torch.dtype) -> tuple[nn.Module, weights.Loaded]:
        """Audio tower and projector in eval mode, and what was read for them."""
        config = copy.deepcopy(self.config)
        with torch.device("meta"):
            tower = AudioTower(config)
        loaded = weights.load(tower, directory, _PREFIXES, device, dtype)
        config.audio_config._attn_implementation = attention.choose(device, dtype)
        return tower.eval(), loaded

    def pass_share(self, item: Features, device: torch.device) -> float:
        """By its windows: the convolutions pad each one to the longest of the pass."""
        return len(item.extra["widths"]) / _pass_windows(device)

    def pass_count(self, item: Features, device: torch.device) -> int:
        """By its windows."""
        return len(passes([(len(item.extra["widths"]), 1)], _pass_windows(device)))

    def encode(self, tower: nn.Module, batch: list[Features]) -> Passes:
        """The windows of all clips, in passes where they are too many for one."""
        assert isinstance(tower, AudioTower)
        parts: list[list[torch.Tensor]] = [[] for _ in batch]
        mels = [item.tensor.split(item.extra["widths"], dim=1) for item in batch]
        for number, plan in enumerate(passes([(len(each), 1) for each in mels], _pass_windows(tower.device))):
            if number:
                yield
            cuts = [batch[piece.item].extra["windows"][piece.start : piece.stop] for piece in plan]
            inputs = [mel for piece in plan for mel in mels[piece.item][piece.start : piece.stop]]
            tokens = tower(inputs, [window for cut in cuts for window in cut])
            counts = [sum(window.tokens for window in cut) for cut in cuts]
            for piece, part in zip(plan, tokens.split(counts), strict=True):
                parts[piece.item].append(part)
        return [part[0] if len(part) == 1 else torch.cat(part) for part in parts]

    def example(self, modality: Modality) -> Media:
        """A second of a 440 Hz tone."""
        if modality != "audio":
            raise Incompatible(f"this model has no {modality}")
        tone = np.sin(np.arange(self.audio_rate, dtype=np.float32) * np.float32(2 * np.pi * 440 / self.audio_rate))
        return Audio(tone.astype(np.float32), self.audio_rate, AudioInfo(1.0, self.audio_rate, 1, "raw"), "none")

    @classmethod
    def create(cls, directory: Path, *, seed: int = 0) -> None:
        """Write a small model with random weights."""
        config = Qwen2AudioConfig(
            architectures=sorted(cls.architectures),
            audio_config={
                "model_type": "qwen2_audio_encoder",
                "d_model": 256,
                "encoder_layers": 4,
                "encoder_attention_heads": 8,
                "encoder_ffn_dim": 1024,
            },
            text_config={"model_type": "qwen2", **small.TEXT},
            audio_token_index=7,
        )
        small.save(directory, Qwen2AudioForConditionalGeneration, config, seed)
        WhisperFeatureExtractor(feature_size=config.audio_config.num_mel_bins).save_pretrained(directory)


def _pass_windows(device: torch.device) -> int:
    return CPU_PASS_WINDOWS if device.type == "cpu" else PASS_WINDOWS
