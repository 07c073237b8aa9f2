"""Caps for defaults, honour for what was set by hand."""

from pathlib import Path

import pytest

from fleet_encoder.config import Config, fit_to_cpus


def config(**values: int) -> Config:
    return Config(model=Path("m"), **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "preprocess_set", "decoders_set", "slots", "decoders", "warnings"),
    [
        # SGLang's default of 8 on a small machine is a cap, the slots hold it within the CPUs.
        ({"cpus": 2}, False, False, 2, 2, 0),
        ({"cpus": 1}, False, False, 1, 1, 0),
        ({"cpus": 64}, False, False, 64, 16, 0),
        # Set by hand: honoured, and said.
        ({"cpus": 2, "preprocess_workers": 8}, True, False, 8, 2, 1),
        ({"cpus": 2, "preprocess_workers": 2, "intra_op_threads": 4}, True, False, 8, 2, 1),
        ({"cpus": 2, "video_decode_threads": 32}, False, True, 32, 32, 1),
        ({"cpus": 2, "preprocess_workers": 8, "video_decode_threads": 4}, True, True, 8, 4, 2),
        # Within the budget: nothing to say.
        ({"cpus": 8, "preprocess_workers": 4, "video_decode_threads": 4}, True, True, 8, 4, 0),
        # FFmpeg's own threads count.
        ({"cpus": 8, "ffmpeg_threads": 4}, False, False, 8, 2, 0),
        ({"cpus": 2, "ffmpeg_threads": 4}, False, False, 2, 1, 0),
    ],
)
def test_table(
    values: dict[str, int], preprocess_set: bool, decoders_set: bool, slots: int, decoders: int, warnings: int
) -> None:
    use = fit_to_cpus(config(**values), preprocess_set=preprocess_set, decoders_set=decoders_set)
    assert (use.slots, use.decoders, len(use.warnings)) == (slots, decoders, warnings)
    assert use.oversubscribed == slots / values["cpus"]
