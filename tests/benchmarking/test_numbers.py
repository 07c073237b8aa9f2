import pytest
from bench.stats import Target, medians, percentile, summarise, targets, undisturbed


@pytest.mark.parametrize(
    ("values", "q", "expected"),
    [
        ([5.0], 99, 5.0),
        ([3.0, 1.0, 2.0, 4.0], 50, 2.0),
        ([float(n) for n in range(1, 101)], 99, 99.0),
        ([float(n) for n in range(1, 102)], 99, 100.0),
        ([float(n) for n in range(1, 51)], 99, 50.0),
    ],
)
def test_a_percentile_is_a_value_that_was_measured(values: list[float], q: float, expected: float) -> None:
    assert percentile(values, q) == expected


def test_nothing_measured_is_an_error() -> None:
    with pytest.raises(ValueError, match="make the run longer"):
        percentile([], 50)


def test_a_summary_counts_over_the_time_measured() -> None:
    assert summarise([30.0, 10.0, 20.0, 40.0], counted=3, seconds=2.0) == {
        "count": 3,
        "per_second": 1.5,
        "p50_ms": 20.0,
        "p99_ms": 40.0,
        "max_ms": 40.0,
    }


def test_medians_are_taken_of_each_number_over_the_rounds_that_have_it() -> None:
    assert medians([{"a": 1.0, "b": 7.0}, {"a": 9.0}, {"a": 2.0}]) == {"a": 2.0, "b": 7.0}


def test_rounds_beside_other_work_do_not_count_where_there_are_others() -> None:
    quiet, noisy = {"a": 1.0, "cpus_others": 0.1}, {"a": 9.0, "cpus_others": 0.7}
    assert undisturbed([noisy, quiet], 0.15) == [quiet]
    assert undisturbed([noisy, noisy], 0.15) == [noisy, noisy]


@pytest.mark.parametrize(
    ("bound", "value", "met"),
    [
        ("least", 2.0, True),
        ("least", 1.99, False),
        ("below", 10.0, False),
        ("below", 9.99, True),
        ("most", 1.3, True),
        ("most", 1.31, False),
    ],
)
def test_a_target_is_met_or_missed(bound: str, value: float, met: bool) -> None:
    limit = {"least": 2.0, "below": 10.0, "most": 1.3}[bound]
    assert Target("it", value, bound, limit).met is met  # type: ignore[arg-type]


def test_the_targets_compare_the_right_numbers() -> None:
    today = {"throughput": {"per_second": 10.0}}
    ours = {
        "throughput": {"per_second": 25.0},
        "lag_beside_videos": {"p99_ms": 12.0},
        "images_alone": {"p99_ms": 100.0},
        "images_beside_slow_url": {"p99_ms": 120.0},
    }
    speed, lag, slow = targets(today, ours)
    assert (speed.value, speed.met) == (2.5, True)
    assert (lag.value, lag.met) == (12.0, False)
    assert (slow.value, slow.met) == (1.2, True)
