from fractions import Fraction

import pytest

from fleet_machine.parse import Membership, Mount, Throttling, cpu_stat, memberships, mounts, quota_v1, quota_v2


@pytest.mark.parametrize(
    ("text", "quota"),
    [
        ("max 100000\n", None),
        ("100000 100000\n", Fraction(1)),
        ("250000 100000\n", Fraction(5, 2)),
        ("1000 100000\n", Fraction(1, 100)),
        ("51200000 100000\n", Fraction(512)),
        ("300000", Fraction(3)),
        ("", None),
        ("100000 0\n", None),
        ("nonsense here\n", None),
    ],
)
def test_a_v2_quota_is_quota_over_period(text: str, quota: Fraction | None) -> None:
    assert quota_v2(text) == quota


@pytest.mark.parametrize(
    ("quota", "period", "cpus"),
    [
        ("-1\n", "100000\n", None),
        ("150000\n", "100000\n", Fraction(3, 2)),
        ("20000\n", "10000\n", Fraction(2)),
        ("0\n", "100000\n", None),
        ("x", "100000", None),
    ],
)
def test_a_v1_quota_is_quota_over_period(quota: str, period: str, cpus: Fraction | None) -> None:
    assert quota_v1(quota, period) == cpus


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0::/user.slice\n", [Membership(2, "/user.slice")]),
        ("4:cpu,cpuacct:/docker/a:b\n0::/\n", [Membership(1, "/docker/a:b"), Membership(2, "/")]),
        ("3:cpuset:/a\n2:cpuacct:/a\n1:name=cpu:/a\n", []),
        ("garbage\n\n:::\n", []),
    ],
)
def test_only_hierarchies_that_can_have_a_quota_count(text: str, expected: list[Membership]) -> None:
    assert list(memberships(text)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "35 24 0:30 / /sys/fs/cgroup rw shared:9 master:1 - cgroup2 cgroup2 rw,nsdelegate",
            [Mount(2, "/", "/sys/fs/cgroup")],
        ),
        ("32 31 0:29 /docker/a /cg\\040roup rw - cgroup cgroup rw,cpu,cpuacct", [Mount(1, "/docker/a", "/cg roup")]),
        ("33 31 0:30 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset", []),
        ("24 1 8:1 / / rw - ext4 /dev/sda1 rw\nbroken line\n", []),
    ],
)
def test_mounts_of_those_hierarchies_are_found(text: str, expected: list[Mount]) -> None:
    assert list(mounts(text)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nr_periods 10\nnr_throttled 4\nthrottled_usec 1500000\n", Throttling(10, 4, 1.5)),
        ("nr_periods 10\nnr_throttled 4\nthrottled_time 1500000000\nnr_bursts 0\n", Throttling(10, 4, 1.5)),
        ("usage_usec 10\nuser_usec 4\nsystem_usec 6\n", None),
        ("", None),
    ],
)
def test_throttled_time_is_in_seconds_for_both_versions(text: str, expected: Throttling | None) -> None:
    assert cpu_stat(text) == expected
