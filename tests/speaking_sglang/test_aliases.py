"""Our series under SGLang's names."""

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from conftest import EncoderProcess
from fleet_encoder.metrics import Metrics
from fleet_encoder.wire.sglang.aliases import Aliases
from speaking_sglang.conftest import sglang_url
from speaking_sglang.language_server import language_server

# Names and labels that SGLang 0.5.23's encoder tells (srt/observability/metrics_collector.py), where we know them.
NAMES = {
    "requests_received_total": {"modality"},
    "requests_total": {"modality", "status"},
    "mm_items_per_request": {"modality"},
    "mm_items_per_batch": {"modality"},
    "request_e2e_latency_seconds": {"modality"},
    "queue_wait_seconds": {"modality"},
    "preprocess_seconds": {"modality"},
    "model_forward_seconds": {"modality"},
    "transfer_seconds": {"backend"},
    "cache_size_mb": set(),
    "cache_entries": set(),
    "cache_hit_files_total": {"modality"},
    "cache_total_files_total": {"modality"},
}


@pytest.fixture
def metrics() -> Metrics:
    each = Metrics()
    each.registry.register(Aliases(each, "qwen"))
    return each


def samples(metrics: Metrics) -> dict[str, list[tuple[dict[str, str], float]]]:
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in text_string_to_metric_families(generate_latest(metrics.registry).decode()):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def test_values_and_labels(metrics: Metrics) -> None:
    metrics.sglang_received.labels("image").inc(3)
    metrics.sglang_requests.labels("image", "success").inc(2)
    metrics.sglang_requests.labels("video", "error").inc()
    metrics.cache_bytes.set(3 << 20)
    metrics.cache_hits.inc(7)
    metrics.cache_misses.inc(3)
    metrics.sglang_delivery_seconds.observe(0.5)
    found = samples(metrics)
    common = {"model_name": "qwen", "dp_rank": "0"}
    assert found["sglang:encoder_requests_received_total"] == [({"modality": "image", **common}, 3.0)]
    assert ({"modality": "video", "status": "error", **common}, 1.0) in found["sglang:encoder_requests_total"]
    assert found["sglang:encoder_cache_size_mb"] == [(common, 3.0)]
    assert found["sglang:encoder_cache_hit_files_total"] == [({"modality": "all", **common}, 7.0)]
    assert found["sglang:encoder_cache_total_files_total"] == [({"modality": "all", **common}, 10.0)]
    assert found["sglang:encoder_transfer_seconds_count"] == [({"backend": "zmq", **common}, 1.0)]


def test_stages_of_one_kind_are_added_up(metrics: Metrics) -> None:
    for stage, seconds in (("forward", 0.25), ("forward_long", 0.5), ("preprocess_image", 1.0), ("decode_image", 8.0)):
        metrics.stage_service.labels(stage).observe(seconds)
    metrics.stage_wait.labels("forward").observe(2.0)
    metrics.stage_wait.labels("fetch").observe(4.0)
    found = samples(metrics)

    def total(name: str) -> list[tuple[str, float]]:
        return [(labels["modality"], value) for labels, value in found[f"sglang:encoder_{name}_sum"]]

    assert total("model_forward_seconds") == [("all", 0.75)]
    assert total("preprocess_seconds") == [("image", 1.0)]
    assert total("queue_wait_seconds") == [("all", 2.0)]
    counts = [value for _, value in found["sglang:encoder_model_forward_seconds_bucket"]]
    assert counts == sorted(counts)
    assert counts[-1] == 2.0


def test_without_the_flag_there_is_none() -> None:
    assert b"sglang:" not in generate_latest(Metrics().registry)


async def test_a_running_encoder_tells_all_of_them(sglang_encoder: EncoderProcess) -> None:
    async with language_server(sglang_url(sglang_encoder)) as server:
        await server.ask(
            ["iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII="]
        )
        _, text = await server.get("/metrics")
        names = {"name[]": "sglang:encoder_requests_total"}
        async with server.session.get(server.url + "/metrics", params=names) as reply:
            few = await reply.text()
    labels: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            name = sample.name.removeprefix("sglang:encoder_")
            for suffix in ("_bucket", "_sum", "_count"):
                name = name.removesuffix(suffix)
            if sample.name.startswith("sglang:"):
                labels.setdefault(name, set()).update(sample.labels.keys() - {"le", "model_name", "dp_rank"})
                assert {"model_name", "dp_rank"} <= sample.labels.keys()
    assert labels == NAMES
    assert few.count("\nsglang:encoder_requests_total{") >= 1
    assert "encoder_pending" not in few
