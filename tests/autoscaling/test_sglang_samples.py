"""Text of SGLang's encoder -> a reading, and the load between two of them."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaling.sglang_text import SglangEncoder
from fleet_operator.api.scaling import Autoscaling
from fleet_operator.autoscale import MetricsError, Observation, State, load_between, read_sglang, step
from fleet_operator.autoscale.sglang_samples import REQUEST_PATCHES


def test_requests_count_as_patches() -> None:
    encoder = SglangEncoder()
    encoder.work(10, 6, 1, preprocess=2.0, forward=3.0)
    reading = read_sglang(encoder.text(), 12.5, device="cuda")
    assert (reading.time, reading.ready, reading.draining, reading.device) == (12.5, True, False, "cuda")
    assert (reading.offered, reading.served, reading.pending) == (10_000, 6_000, 3_000)
    (stage,) = reading.stages.values()
    assert (stage.workers, stage.busy_seconds) == (1, 5.0)


def test_replicas_inside_an_encoder_are_workers() -> None:
    encoder = SglangEncoder()
    for rank in ("0", "1"):
        encoder.work(10, 10, rank=rank, forward=5.0)
    reading = read_sglang(encoder.text(), 0.0, device="cuda")
    assert (reading.offered, reading.stages["forward"].workers) == (20_000, 2)


@pytest.mark.parametrize(("device", "cpu", "gpu"), [("cuda", 0.0, 0.5), ("cpu", 0.5, 0.0)])
def test_an_encoder_is_as_busy_as_its_one_chain_of_stages(device: str, cpu: float, gpu: float) -> None:
    encoder = SglangEncoder()
    before = read_sglang(encoder.text(), 0.0, device=device)  # nothing is there before the first request
    encoder.work(20, 20, preprocess=2.0, forward=3.0)
    load = load_between(before, read_sglang(encoder.text(), 10.0, device=device))
    assert load is not None
    assert (load.offered, load.served, load.cpu_busy, load.device_busy) == (2_000, 2_000, cpu, gpu)


def test_one_that_was_started_anew_is_no_load() -> None:
    encoder = SglangEncoder()
    encoder.work(20, 20)
    before = read_sglang(encoder.text(), 0.0, device="cuda")
    assert load_between(before, read_sglang("", 10.0, device="cuda")) is None


def test_an_overloaded_pool_grows() -> None:
    """12 requests a second come, one encoder does 4."""
    encoder, state, spec = SglangEncoder(), State(), Autoscaling.model_validate({"maxReplicas": 9})
    before, decision = read_sglang(encoder.text(), 0.0, device="cuda"), None
    for look in range(1, 9):
        encoder.work(180, 60, preprocess=5.0, forward=10.0)
        now = read_sglang(encoder.text(), 15.0 * look, device="cuda")
        load = load_between(before, now)
        assert load is not None
        state, decision = step(spec, state, Observation(1, 1, {"one": load}, 1), 15.0 * look)
        before = now
    assert decision is not None
    assert decision.recommended >= 4
    assert decision.capacity == pytest.approx(4 * REQUEST_PATCHES, rel=0.05)
    assert decision.bottleneck == "device"


@pytest.mark.parametrize(
    "text",
    [
        "<html></html>",
        '{"error": 1}',
        'sglang:encoder_requests_total{status="success"} nan\n',
        'sglang:encoder_requests_total{status="success"} -1\n',
        'sglang:encoder_requests_total{status="success"} 1e40\n',
        "sglang:encoder_requests_total{,\t=  =1ba}\n",
        "sglang:encoder_requests_total 1\n" * 2000,
    ],
)
def test_what_is_no_such_text_is_refused(text: str) -> None:
    with pytest.raises(MetricsError):
        read_sglang(text, 0.0, device="cuda")


@given(st.text())
def test_whatever_answers_is_no_error_of_another_kind(text: str) -> None:
    for each in (text, f"sglang:encoder_requests_total{text}\n", f"sglang:encoder_requests_total {text}\n"):
        with contextlib.suppress(MetricsError):
            read_sglang(each, 0.0, device="cuda")
