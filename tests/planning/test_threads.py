from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_operator.api import Threads
from fleet_operator.threads import ThreadBudget, budget

CPUS = st.integers(1, 512)
GPUS = st.integers(0, 16)
WISH = st.none() | st.integers(1, 1024)
MANUAL: st.SearchStrategy[Threads] = st.builds(
    lambda workers, decoders, ffmpeg, intra_op: Threads.model_validate(
        {
            "policy": "Manual",
            "preprocessWorkers": workers,
            "videoDecodeThreads": decoders,
            "ffmpegThreads": ffmpeg,
            "intraOpThreads": intra_op,
        }
    ),
    WISH,
    st.none() | st.integers(0, 1024),
    WISH,
    WISH,
)


@given(CPUS, GPUS)
def test_automatic_numbers_fit_the_cpus(cpus: int, gpus: int) -> None:
    made = budget(cpus, gpus, Threads())
    assert 1 <= made.preprocess_workers * made.intra_op_threads <= cpus
    assert 1 <= made.video_decode_threads * made.ffmpeg_threads <= min(cpus, 16)
    assert made.forward_threads == (1 if gpus else cpus)
    assert made.warnings() == ()


@given(CPUS, GPUS)
def test_no_cpu_is_left_out(cpus: int, gpus: int) -> None:
    made = budget(cpus, gpus, Threads())
    assert made.preprocess_workers == cpus
    assert made.video_decode_threads == min(cpus, 16)


@given(CPUS, GPUS, MANUAL)
def test_what_is_set_by_hand_stands(cpus: int, gpus: int, wish: Threads) -> None:
    made = budget(cpus, gpus, wish)
    for name in ("preprocess_workers", "video_decode_threads", "ffmpeg_threads", "intra_op_threads"):
        wanted = getattr(wish, name)
        if wanted:
            assert getattr(made, name) == wanted
            assert made.reasons[name].startswith("spec.threads.")


@given(CPUS, GPUS, MANUAL)
def test_derived_numbers_are_fitted_around_those_set_by_hand(cpus: int, gpus: int, wish: Threads) -> None:
    made = budget(cpus, gpus, wish)
    if wish.preprocess_workers is None:
        assert made.preprocess_workers == 1 or made.preprocess_workers * made.intra_op_threads <= cpus
    if not wish.video_decode_threads:
        assert made.video_decode_threads <= 16
        assert made.video_decode_threads == 1 or made.video_decode_threads * made.ffmpeg_threads <= cpus


@given(CPUS, GPUS, MANUAL)
def test_exactly_what_is_over_the_cpus_is_warned_of(cpus: int, gpus: int, wish: Threads) -> None:
    made = budget(cpus, gpus, wish)
    warnings = made.warnings()
    over = {
        "preprocessWorkers": made.preprocess_workers * made.intra_op_threads > cpus,
        "videoDecodeThreads": made.video_decode_threads * made.ffmpeg_threads > cpus,
    }
    for field, expected in over.items():
        assert any(field in warning for warning in warnings) == expected


@given(CPUS, GPUS, MANUAL)
def test_every_number_has_a_reason_and_a_variable(cpus: int, gpus: int, wish: Threads) -> None:
    made = budget(cpus, gpus, wish)
    numbers = set(ThreadBudget.__slots__) - {"reasons"}
    assert set(made.reasons) == numbers
    assert all(made.reasons.values())
    values = {variable.name: variable.value for variable in made.env()}
    assert len(values) == len(made.env())
    assert values["SGLANG_ENCODER_PREPROC_WORKERS"] == str(made.preprocess_workers)
    assert values["SGLANG_ENCODER_VIDEO_DECODE_NUM_THREADS"] == str(made.video_decode_threads)
    assert {values[f"{library}_NUM_THREADS"] for library in ("OMP", "MKL", "OPENBLAS")} == {str(made.forward_threads)}
    assert values["OMP_WAIT_POLICY"] == "PASSIVE"


@given(st.integers(1, 511), GPUS, MANUAL)
def test_another_cpu_never_takes_threads_away(cpus: int, gpus: int, wish: Threads) -> None:
    numbers: Callable[[ThreadBudget], list[int]] = lambda made: [getattr(made, name) for name in made.reasons]  # noqa: E731
    fewer, more = numbers(budget(cpus, gpus, wish)), numbers(budget(cpus + 1, gpus, wish))
    assert all(before <= after for before, after in zip(fewer, more, strict=True))


def test_a_replica_without_cpus_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="needs a CPU"):
        budget(0, 0, Threads())
