"""Two readings -> the load in between."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaling.encoder_text import Encoder
from autoscaling.worlds import pod
from fleet_operator.autoscale import PodLoad, Reading, load_between, read
from fleet_operator.autoscale.loads import pool_load
from fleet_operator.autoscale.samples import Stage


def after_ten_seconds(encoder: Encoder, **busy: float) -> PodLoad:
    before = read(encoder.text(), 100.0)
    encoder.work(1000, offered=3000, cached=200, **busy)
    load = load_between(before, read(encoder.text(), 110.0))
    assert load is not None
    return load


def test_rates_are_of_the_time_in_between() -> None:
    encoder = Encoder()
    encoder.work(77777, forward=50.0)
    encoder.metrics.pending_patches.set(42)
    load = after_ten_seconds(encoder)
    assert (load.offered, load.served, load.computed, load.pending) == (300, 120, 100, 42)
    assert load.serving


@pytest.mark.parametrize(
    ("device", "busy", "cpu", "gpu"),
    [
        ("cuda", {}, 0.0, 0.0),
        ("cuda", {"decode_image": 12.0}, 0.6, 0.0),
        ("cuda", {"decode_image": 12.0, "preprocess_image": 16.0}, 0.8, 0.0),
        ("cuda", {"forward": 20.0, "decode_video": 2.0}, 0.1, 1.0),
        ("cuda", {"forward": 10.0, "forward_long": 10.0}, 0.0, 0.75),
        ("cuda", {"fetch": 20.0, "inspect": 20.0}, 0.0, 0.0),
        ("cuda", {"forward": 1000.0, "decode_image": 1000.0}, 1.0, 1.0),
        ("cpu", {"forward": 14.0, "decode_image": 8.0}, 0.7, 0.0),
        ("cpu", {"forward_long": 20.0}, 1.0, 0.0),
    ],
)
def test_busy_is_the_busiest_stage_of_each_resource(
    device: str, busy: dict[str, float], cpu: float, gpu: float
) -> None:
    load = after_ten_seconds(Encoder(device, workers=2), **busy)
    assert (load.cpu_busy, load.device_busy) == (pytest.approx(cpu), pytest.approx(gpu))
    assert load.busy == max(load.cpu_busy, load.device_busy)


def test_one_worker_that_holds_all_slots_has_the_cpu_busy() -> None:
    encoder = Encoder("cpu", workers=4, slots=8)
    encoder.metrics.cpu_held.set(8)
    assert after_ten_seconds(encoder, forward=10.0).cpu_busy == 1.0
    encoder.metrics.cpu_held.set(4)
    assert after_ten_seconds(encoder, forward=10.0).cpu_busy == 0.5


@pytest.mark.parametrize("seconds", [-10.0, 0.0, 0.5])
def test_readings_too_close_say_nothing(seconds: float) -> None:
    text = Encoder().text()
    assert load_between(read(text, 100.0), read(text, 100.0 + seconds)) is None


@pytest.mark.parametrize(
    "did_before",
    [{"patches": 1000}, {"patches": 0, "offered": 5}, {"patches": 0, "cached": 5}, {"patches": 0, "forward": 1.0}],
)
def test_an_encoder_that_started_anew_says_nothing(did_before: dict[str, float]) -> None:
    old, new = Encoder(), Encoder()
    old.work(**did_before)
    new.metrics.served.labels("image").inc(2)
    assert load_between(read(old.text(), 0.0), read(new.text(), 15.0)) is None


def test_a_modality_that_is_asked_for_the_first_time_is_no_restart() -> None:
    encoder = Encoder()
    before = read(encoder.text(), 0.0)
    encoder.metrics.offered.labels("audio").inc(150)
    load = load_between(before, read(encoder.text(), 15.0))
    assert load is not None
    assert load.offered == 10


COUNTS = st.floats(0, 1e12)


@st.composite
def readings(draw: st.DrawFn) -> Reading:
    names = draw(st.sets(st.sampled_from(["fetch", "decode_image", "forward", "forward_long"])))
    return Reading(
        time=draw(st.floats(0, 1e6)),
        ready=draw(st.booleans()),
        draining=draw(st.booleans()),
        device=draw(st.sampled_from(["", "cpu", "cuda"])),
        fingerprint="",
        offered=draw(COUNTS),
        served=draw(COUNTS),
        computed=draw(COUNTS),
        pending=draw(COUNTS),
        slots=draw(COUNTS),
        slots_held=draw(COUNTS),
        stages={name: Stage(draw(st.floats(0, 512)), draw(COUNTS)) for name in names},
    )


@given(readings(), readings())
def test_whatever_two_readings_say_rates_and_shares_are_possible(before: Reading, after: Reading) -> None:
    load = load_between(before, after)
    if load is not None:
        assert min(load.offered, load.served, load.computed, load.pending) >= 0
        assert 0 <= load.cpu_busy <= 1
        assert 0 <= load.device_busy <= 1


def test_a_pool_is_the_pods_that_serve() -> None:
    pods = [pod(1000, busy=0.5), pod(3000, busy=0.9), pod(7000, busy=1.0, ready=False), pod(1, busy=1.0, draining=True)]
    load = pool_load(pods)
    assert (load.pods, load.offered, load.share_busy) == (2, 4000, pytest.approx(0.7))
    assert pool_load([]).share_busy == 0
