import os
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from fleet_machine import Throttling, throttling, visible_cpus
from fleet_machine.cpus import weigh
from machine import layouts

Layout = Callable[[Path], Path]


@pytest.mark.parametrize(
    ("layout", "cpus", "quota"),
    [
        (layouts.v2_host, 3, Fraction(7, 2)),
        (layouts.v2_container, 4, Fraction(4)),
        (layouts.v2_sibling, 3, Fraction(3)),
        (layouts.v2_host_path, 1, Fraction(1, 2)),
        (layouts.v1_container, 2, Fraction(5, 2)),
        (layouts.v1_pod, 2, Fraction(2)),
        (layouts.hybrid, 16, None),
        (layouts.hosts_cgroups, 4, Fraction(4)),
    ],
)
def test_the_tightest_quota_on_the_way_up_binds(
    tmp_path: Path, layout: Layout, cpus: int, quota: Fraction | None
) -> None:
    reading = visible_cpus(layout(tmp_path), affinity=16)
    assert (reading.cpus, reading.quota, reading.affinity) == (cpus, quota, 16)


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        (layouts.v2_host, Throttling(100, 40, 2.5)),
        (layouts.v2_container, Throttling(7, 3, 1.25)),
        (layouts.v1_container, Throttling(20, 5, 0.75)),
        (layouts.v1_pod, Throttling(30, 9, 0.9)),
        (layouts.hybrid, Throttling(0, 0, 0.0)),
        (layouts.v2_host_path, None),
    ],
)
def test_throttling_is_read_where_the_quota_binds(tmp_path: Path, layout: Layout, expected: Throttling | None) -> None:
    assert throttling(layout(tmp_path)) == expected


def test_a_machine_without_cgroups_has_its_affinity(tmp_path: Path) -> None:
    assert visible_cpus(tmp_path, affinity=6).cpus == 6
    assert throttling(tmp_path) is None


@pytest.mark.parametrize(
    ("affinity", "quota", "cpus", "reason"),
    [
        (8, None, 8, "CPU affinity; no cgroup quota"),
        (2, Fraction(4), 2, "CPU affinity; the cgroup quota allows 4"),
        (4, Fraction(4), 4, "CPU affinity; the cgroup quota allows 4"),
        (8, Fraction(4), 4, "cgroup quota of 4 CPUs; affinity allows 8"),
        (8, Fraction(5, 2), 2, "cgroup quota of 2.5 CPUs, rounded down; affinity allows 8"),
        (8, Fraction(1, 4), 1, "cgroup quota of 0.25 CPUs, but at least 1; affinity allows 8"),
        (1, Fraction(1, 2), 1, "cgroup quota of 0.5 CPUs, but at least 1; affinity allows 1"),
    ],
)
def test_the_tighter_of_affinity_and_quota_counts(
    affinity: int, quota: Fraction | None, cpus: int, reason: str
) -> None:
    reading = weigh(affinity, quota)
    assert (reading.cpus, reading.reason) == (cpus, reason)
    assert reading.affinity_binds == (quota is None or affinity <= quota)


def test_a_pinned_process_sees_the_cpu_it_is_pinned_to() -> None:
    one = min(os.sched_getaffinity(0))
    program = (
        f"import os; os.sched_setaffinity(0, {{{one}}}); import fleet_machine; print(fleet_machine.visible_cpus())"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "cpus=1, affinity=1" in answer.stdout


def test_this_machine_is_read() -> None:
    reading = visible_cpus()
    assert 1 <= reading.cpus <= reading.affinity == len(os.sched_getaffinity(0))
