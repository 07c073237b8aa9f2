"""Text of an encoder -> a reading."""

import contextlib
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from autoscaling.encoder_text import STAGES, Encoder
from conftest import EncoderProcess
from fleet_operator.autoscale import MetricsError, read
from fleet_operator.autoscale.loads import FORWARD_STAGES, IO_STAGES
from fleet_operator.autoscale.samples import SERIES, SILENT
from fleet_operator.scaling.scrape import PATH

ALWAYS = tuple(name for name in SERIES if name not in SILENT)


def test_all_that_an_encoder_says_of_load_is_read() -> None:
    encoder = Encoder("cuda", workers=3, slots=7)
    encoder.work(1000, offered=4000, cached=500, forward=2.5, decode_image=0.5)
    encoder.metrics.pending_patches.set(321)
    encoder.metrics.cpu_held.set(5)
    reading = read(encoder.text(), 12.5)
    assert (reading.time, reading.ready, reading.draining) == (12.5, True, False)
    assert (reading.device, reading.fingerprint) == ("cuda", "f00d")
    assert (reading.offered, reading.served, reading.computed, reading.pending) == (4000, 1500, 1000, 321)
    assert (reading.slots, reading.slots_held) == (7, 5)
    assert set(reading.stages) == set(STAGES)
    assert {stage.workers for stage in reading.stages.values()} == {3}
    assert {name: stage.busy_seconds for name, stage in reading.stages.items() if stage.busy_seconds} == {
        "forward": 2.5,
        "decode_image": 0.5,
    }


def test_an_encoder_that_starts_has_done_nothing() -> None:
    reading = read(Encoder(device=None).text(), 0.0)
    assert (reading.ready, reading.device, reading.fingerprint) == (False, "", "")
    assert reading.offered == reading.served == reading.computed == reading.pending == 0


def test_an_encoder_exports_all_that_is_read() -> None:
    encoder = Encoder()
    encoder.work(1000, forward=1.0)
    families = text_string_to_metric_families(encoder.text())
    assert set(SERIES) <= {sample.name for family in families for sample in family.samples}


@pytest.mark.parametrize("name", ALWAYS)
def test_what_is_missing_is_named(name: str) -> None:
    encoder = Encoder()
    encoder.work(1000, forward=1.0)
    without = re.sub(rf"^(# (HELP|TYPE) )?{name}[ {{].*\n", "", encoder.text(), flags=re.MULTILINE)
    with pytest.raises(MetricsError, match=name) as caught:
        read(without, 0.0)
    assert caught.value.missing == (name,)


@pytest.mark.parametrize("text", ["", "<html>", "\n\n", "# TYPE other gauge\nother 1\n"])
def test_what_is_no_encoder_lacks_everything(text: str) -> None:
    with pytest.raises(MetricsError) as caught:
        read(text, 0.0)
    assert caught.value.missing == ALWAYS


@pytest.mark.parametrize("device", [None, "cuda"])
def test_an_encoder_that_has_had_nothing_to_do_is_read_by_name_too(device: str | None) -> None:
    """Asked for by name, a counter without samples is not there at all."""
    encoder = Encoder(device)
    by_name = generate_latest(encoder.metrics.registry.restricted_registry(SERIES)).decode()
    assert read(by_name, 1.0) == read(encoder.text(), 1.0)
    assert read(by_name, 1.0).offered == 0


@pytest.mark.parametrize("bad", ["NaN", "+Inf", "-1", "1e300", "many", ""])
def test_a_number_that_is_none_is_not_taken(bad: str) -> None:
    text = re.sub(r"(?m)^encoder_pending_patches .*$", f"encoder_pending_patches {bad}", Encoder().text())
    with pytest.raises(MetricsError, match="not"):
        read(text, 0.0)


def test_what_a_status_could_not_hold_is_not_taken() -> None:
    text = Encoder().text().replace('fingerprint="', 'fingerprint="' + "f" * 129)
    with pytest.raises(MetricsError, match="fingerprint is too long"):
        read(text, 0.0)


def test_more_samples_than_an_encoder_has_are_not_read() -> None:
    stages = "".join(f'encoder_stage_workers{{stage="{number}"}} 1\n' for number in range(1001))
    with pytest.raises(MetricsError, match="samples"):
        read(Encoder().text() + stages, 0.0)


ENDS = st.text('{}=",\\\t\r #1ebaN+-._\u00e9', max_size=20)
LABELS = st.text('=,\t a"', max_size=8).map("{{{}}} 1".format)
LINES = st.builds("{}{}{}".format, st.sampled_from(["", "# TYPE "]), st.sampled_from(SERIES), ENDS | LABELS)
"""What begins as a line that is wanted, and goes on in any way."""


@pytest.mark.parametrize(
    "text",
    ["encoder_ready{,\t=  =1ba}", 'encoder_ready{a="\\', "encoder_ready {", 'encoder_ready{"', "encoder_ready 1 1e999"],
)
def test_a_line_that_the_parser_does_not_expect_is_not_metrics(text: str) -> None:
    with pytest.raises(MetricsError, match="not"):
        read(text, 0.0)


@settings(max_examples=1000)
@given(st.lists(LINES, min_size=1, max_size=3))
def test_whatever_a_pod_says_is_read_or_is_not_metrics(lines: list[str]) -> None:
    with contextlib.suppress(MetricsError):
        read("\n".join(lines), 0.0)


@pytest.mark.parametrize("path", ["/metrics", PATH], ids=["all", "by name"])
def test_a_real_encoder_is_read(vision_encoder: EncoderProcess, path: str) -> None:
    status, text = vision_encoder.get(path)
    assert status == 200
    assert ("encoder_event_loop_lag_seconds" in text) == (path == "/metrics")
    reading = read(text, 0.0)
    assert reading.ready
    assert reading.device == "cpu"
    assert reading.fingerprint
    assert reading.slots == 2
    assert {*IO_STAGES, *FORWARD_STAGES, "decode_image", "preprocess_image"} <= set(reading.stages)
