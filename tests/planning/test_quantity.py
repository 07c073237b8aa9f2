import contextlib
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kubernetes.utils.quantity import parse_quantity as reference

from fleet_operator.quantity import MAX, QuantityError, format_quantity, parse_quantity

SUFFIXES = ["", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("4", 4),
        ("-3", -3),
        ("+3", 3),
        ("500m", "0.5"),
        ("1.5", "1.5"),
        (".5", "0.5"),
        ("5.", 5),
        ("1n", "0.000000001"),
        ("256Mi", 268435456),
        ("1Gi", 1 << 30),
        ("1.5Gi", 1610612736),
        ("7Ei", 7 << 60),
        ("1k", 1000),
        ("1E", 10**18),
        ("1E3", 1000),
        ("1e-3", "0.001"),
        ("12e6", 12_000_000),
        ("9223372036854775807", 2**63 - 1),
        ("0e999999999999999999999", 0),
    ],
)
def test_a_quantity_has_its_exact_value(text: str, value: int | str) -> None:
    assert parse_quantity(text) == Decimal(value)


@pytest.mark.parametrize(
    "text",
    ["", " ", "x", "1 Gi", "1gi", "1K", "1ki", "1Kib", "1_000", "1,5", "0x10", "NaN", "Infinity", "--1", "1e", "1e1.5"]
    + ["1Mi2", "e3", "Gi", ".", "1..2", "٣", "1\n", "1" * 65],
)
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(QuantityError, match="is not a quantity such as"):
        parse_quantity(text)


@pytest.mark.parametrize("text", ["9223372036854775808", "8Ei", "10E", "1e19", "1e99999999999999999999", "-1e30"])
def test_too_large_is_refused(text: str) -> None:
    with pytest.raises(QuantityError, match="largest quantity"):
        parse_quantity(text)


@pytest.mark.parametrize("text", ["0.1n", "1e-10", "0.0000000001", "1e-99999999999999999999"])
def test_too_fine_is_refused(text: str) -> None:
    with pytest.raises(QuantityError, match="finer than 1n"):
        parse_quantity(text)


@given(st.integers(-(10**6), 10**6), st.integers(0, 6), st.sampled_from(SUFFIXES))
def test_it_agrees_with_the_kubernetes_client(digits: int, places: int, suffix: str) -> None:
    text = f"{Decimal(digits).scaleb(-places):f}{suffix}"
    expected = reference(text)
    if abs(expected) > MAX or expected % Decimal("1e-9"):
        with pytest.raises(QuantityError):
            parse_quantity(text)
    else:
        assert parse_quantity(text) == expected


@given(st.integers(-(2**63 - 1), 2**63 - 1), st.booleans())
def test_bytes_survive_formatting(value: int, binary: bool) -> None:
    assert parse_quantity(format_quantity(value, binary=binary)) == value


@given(st.integers(-(10**18), 10**18))
def test_billionths_survive_formatting(value: int) -> None:
    exact = Decimal(value).scaleb(-9)
    assert parse_quantity(format_quantity(exact)) == exact


@pytest.mark.parametrize(
    ("value", "binary", "text"),
    [
        (268435456, True, "256Mi"),
        (1 << 30, True, "1Gi"),
        (1000, True, "1000"),
        (0, True, "0"),
        (Decimal("0.5"), False, "500m"),
        (Decimal("2.50"), False, "2500m"),
        (4, False, "4"),
        (0, False, "0"),
        (12_000_000, False, "12M"),
    ],
)
def test_it_is_written_as_kubernetes_writes_it(value: Decimal | int, binary: bool, text: str) -> None:
    assert format_quantity(value, binary=binary) == text


def test_what_cannot_be_written_is_refused() -> None:
    with pytest.raises(QuantityError, match="finer"):
        format_quantity(Decimal("1e-10"))


@given(st.text(max_size=70) | st.from_regex(r"[-+.0-9eEKMGTPimunk]{1,70}"))
def test_any_text_is_a_quantity_or_a_quantity_error(text: str) -> None:
    with contextlib.suppress(QuantityError):
        assert abs(parse_quantity(text)) <= MAX
