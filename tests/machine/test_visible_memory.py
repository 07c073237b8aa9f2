from collections.abc import Callable
from pathlib import Path

import pytest

from fleet_machine import visible_memory
from machine import layouts

MEMINFO = "MemTotal:        8388608 kB\nMemFree:          100 kB\n"


@pytest.mark.parametrize(
    ("layout", "gibibytes"),
    [
        (layouts.v2_host, 8),
        (layouts.hosts_cgroups, 3),
        (layouts.v1_memory, 2),
    ],
)
def test_the_tightest_limit_or_all_there_is(tmp_path: Path, layout: Callable[[Path], Path], gibibytes: int) -> None:
    root = layout(tmp_path)
    (root / "proc/meminfo").write_text(MEMINFO)
    assert visible_memory(root) == gibibytes << 30


def test_nothing_is_known_without_a_kernel_that_tells(tmp_path: Path) -> None:
    assert visible_memory(tmp_path) is None


def test_this_machine_is_read() -> None:
    assert (visible_memory() or 0) > 1 << 28
