"""What is read out of an expression: were a name passed over, nobody would look for it."""

import pytest

from showing.expressions import chosen_values, family, in_legend, labels, metrics

SHARE = """sum by (namespace, pool) (rate(encoder_items_total{pool=~"a", status!="OK"}[1m]))
  / on (pool) group_left () max without (pod) (encoderfleet_pool_ready_replicas == 0)"""
REPLACED = 'topk by (pool_namespace) (1, label_replace(encoder_ready, "pool_namespace", "$1", "namespace", "(.*)"))'


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        (SHARE, {"encoder_items_total", "encoderfleet_pool_ready_replicas"}),
        ('a{b="encoder_no_metric"} / process_open_fds', {"process_open_fds"}),
        ("absent(encoderfleet_definition_current)", {"encoderfleet_definition_current"}),
    ],
)
def test_metrics(expression: str, found: set[str]) -> None:
    assert metrics(expression) == found


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        (SHARE, {"namespace", "pool", "status", "pod"}),
        ("histogram_quantile(0.5, sum by (stage, le) (rate(a_bucket[1m])))", {"stage"}),
        (REPLACED, set()),
        ("a", set()),
    ],
)
def test_labels(expression: str, found: set[str]) -> None:
    assert labels(expression) == found


def test_values_and_legends() -> None:
    assert chosen_values('a{reason=~"busy|expired"} / a{reason!="x", other="y"}', "reason") == {"busy", "expired", "x"}
    assert in_legend("{{pod}} of {{ pool }}, p99") == {"pod", "pool"}
    assert family("a_seconds_bucket", {"a_seconds"}) == "a_seconds"
    assert family("a_count", {"a_count"}) == "a_count"
