"""Numbers for people."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_operator.autoscale.figures import counted, short, two_digits


@pytest.mark.parametrize(
    ("value", "rounded", "text"),
    [
        (0, 0, "0"),
        (0.4, 0, "0"),
        (7.6, 8, "8"),
        (99.4, 99, "99"),
        (99.6, 100, "100"),
        (954, 950, "950"),
        (996, 1000, "1k"),
        (1249, 1200, "1.2k"),
        (14_234, 14_000, "14k"),
        (999_999, 1_000_000, "1M"),
        (123_456_789, 120_000_000, "120M"),
        (5e9, 5_000_000_000, "5G"),
    ],
)
def test_two_digits(value: float, rounded: int, text: str) -> None:
    assert (two_digits(value), short(value)) == (rounded, text)


@given(st.floats(0, 2**63))
def test_nothing_is_off_by_more_than_the_second_digit(value: float) -> None:
    assert two_digits(value) == pytest.approx(value, rel=0.0501, abs=0.5)


def test_one_is_singular() -> None:
    assert [counted(n, "replica") for n in (0, 1, 2)] == ["0 replicas", "1 replica", "2 replicas"]
