"""Which time is shown, how finely, and which times are written below."""

import pytest
from dashboards.picture.window import Window, marks, window


@pytest.mark.parametrize(
    ("until", "minutes", "scrape_interval", "made"),
    [
        (1207.0, 20, 15, Window(0, 1200, 15, 60)),  # as finely as is scraped
        (10000, 166, 15, Window(40, 10000, 20, 60)),  # 500 points
        (86400, 1440, 1, Window(0, 86327, 173, 174)),  # a rate over all between two values, and one scrape more
        (100.0, 0.01, 1, Window(99, 100, 1, 4)),
    ],
)
def test_windows(until: float, minutes: float, scrape_interval: int, made: Window) -> None:
    assert window(until, minutes, scrape_interval) == made


def test_a_windows_times_and_durations() -> None:
    shown = Window(30, 60, 15, 60)
    assert list(shown.times) == [30, 45, 60]
    assert shown.durations == {"__rate_interval": "60s", "__interval": "15s", "__range": "30s"}


@pytest.mark.parametrize(
    ("start", "end", "most", "times", "seconds"),
    [
        (0, 1200, 5, [0, 300, 600, 900, 1200], False),
        (65, 185, 2, [120, 180], False),
        (65, 125, 4, [75, 90, 105, 120], True),
        (100, 110000, 4, [43200, 86400], False),
    ],
)
def test_marks(start: int, end: int, most: int, times: list[int], seconds: bool) -> None:
    assert marks(Window(start, end, 5, 20), most) == (times, seconds)
