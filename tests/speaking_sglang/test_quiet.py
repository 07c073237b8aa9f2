"""How long a draining encoder waits for a request that does not come."""

import pytest

from fleet_encoder.wire.sglang.quiet import (
    FAILURES,
    POLL_SECONDS,
    PROBE_SECONDS,
    SHORTEST_SECONDS,
    off_lists,
    quiet_seconds,
)


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


def every(seconds: float, first: float, last: float) -> list[float]:
    return [first + n * seconds for n in range(int((last - first) / seconds) + 1)]


BEGAN = 1000.0
LATE = BEGAN + FAILURES * (POLL_SECONDS + PROBE_SECONDS)


@pytest.mark.parametrize(
    ("polls", "now", "expected"),
    [
        # Nobody polls: nobody is waited for.
        ({}, 1000.0, BEGAN),
        ({"a": [900.0]}, 1000.0, BEGAN),  # long ago
        # One language server: until its third failure, and the end of that round of polls.
        ({"a": every(10, 955, 1025)}, 1026.9, None),
        ({"a": every(10, 955, 1025)}, 1027.0, 1027.0),
        ({"a": every(10, 955, 1035)}, 1036.0, 1027.0),  # it polls on, in case that it comes back
        ({"a": every(2, 951, 1005)}, 1007.0, 1007.0),
        ({"a": every(10, 955, 1015)}, 1025.0, None),
        # The last one of several decides.
        ({"a": every(10, 955, 1025), "b": every(2, 951, 1025)}, 1027.0, 1027.0),
        ({"a": every(10, 951, 1021), "b": every(10, 959, 1019)}, 1024.0, None),
        # It does not poll any more: it was told by somebody, or has ended.
        ({"a": every(10, 955, 995)}, 1011.0, None),
        ({"a": every(10, 955, 995)}, 1012.0, 1012.0),
        ({"a": every(2, 951, 999)}, 1004.0, 1004.0),
        ({"a": every(10, 955, 1005)}, 1021.0, None),
        ({"a": every(10, 955, 1005)}, 1022.0, 1022.0),
        # Two share an address, a second apart: three failures of each.
        ({"a": sorted(every(10, 955, 1015) + every(10, 956, 1016))}, 1020.0, None),
        ({"a": sorted(every(10, 955, 1025) + every(10, 956, 1025))}, 1027.5, None),
        ({"a": sorted(every(10, 955, 1025) + every(10, 956, 1026))}, 1028.0, 1028.0),
        # As often as they like: by then all have polled three times who poll as often as is usual.
        ({"a": sorted(every(10, 955, 1035) + every(2.3, 951, 1036))}, 1035.9, None),
        ({"a": sorted(every(10, 955, 1035) + every(2.3, 951, 1036))}, 1036.0, LATE),
        ({"a": sorted(every(10, 955, 1005) + every(0.5, 980, 1008))}, 1010.0, None),
        # It has just come: how often it polls is not known yet.
        ({"a": [995.0]}, 1011.0, None),
        ({"a": [995.0]}, 1012.0, 1012.0),
        ({"a": [970.0, 999.0]}, 1040.0, None),
        ({"a": [1003.0, 1013.0, 1023.0]}, 1025.0, 1025.0),
        ({"a": [999.0, 999.5]}, 1016.5, 1016.5),  # a person, say
    ],
)
def test_off_lists(polls: dict[str, list[float]], now: float, expected: float | None) -> None:
    assert off_lists(polls, BEGAN, now) == (None if expected is None else pytest.approx(expected))
