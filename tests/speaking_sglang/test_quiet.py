"""How long a draining encoder waits for a request that does not come."""

import pytest

from fleet_encoder.wire.sglang.quiet import SHORTEST_SECONDS, quiet_seconds


@pytest.mark.parametrize(
    ("arrivals", "unlisted", "expected"),
    [
        ([], False, SHORTEST_SECONDS),
        ([], True, SHORTEST_SECONDS),
        ([900.0], False, SHORTEST_SECONDS),  # long ago
        ([950.0], False, 250.0),  # one in 50 s
        ([950.0, 960.0, 970.0, 980.0, 990.0], False, 50.0),  # one in 10 s
        ([950.0, 960.0, 970.0, 980.0, 990.0], True, SHORTEST_SECONDS),
        ([999.0 + n / 20 for n in range(20)], False, SHORTEST_SECONDS),
        ([100.0, 990.0], False, 50.0),  # what was before the last minute does not count
    ],
)
def test_quiet(arrivals: list[float], unlisted: bool, expected: float) -> None:
    assert quiet_seconds(arrivals, 1000.0, unlisted=unlisted) == pytest.approx(expected)
