"""The kernel's text formats, parsed. Pure: text in, values out.

Formats: `cgroups(7)` and `proc(5)`, the kernel's `cgroup-v1/cpusets.rst`, `cgroup-v2.rst` and `sched-bwc.rst`.
"""

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

Version = Literal[1, 2]


@dataclass(frozen=True, slots=True)
class Membership:
    """The cgroup of a process in one hierarchy: version, and path as the process sees it."""

    version: Version
    path: str


@dataclass(frozen=True, slots=True)
class Mount:
    """Where such a hierarchy is mounted.

    Attributes:
        version: Of the hierarchy.
        root: The cgroup that is visible at `point`; `/` but for a container without a cgroup namespace.
        point: Absolute path of the mount point.
    """

    version: Version
    root: str
    point: str


@dataclass(frozen=True, slots=True)
class Throttling:
    """How often a CPU quota has held a cgroup back, since the cgroup was made.

    Attributes:
        nr_periods: Quota periods (100 ms each, as a rule) in which the cgroup ran.
        nr_throttled: Those in which it used up its quota and was stopped.
        throttled_seconds: Time that its threads were stopped, summed over CPUs.
    """

    nr_periods: int
    nr_throttled: int
    throttled_seconds: float


def memberships(text: str, controller: str = "cpu") -> tuple[Membership, ...]:
    """Those of `/proc/self/cgroup` (`ID:CONTROLLERS:PATH` lines) whose hierarchy may have `controller`."""
    found = []
    for line in text.splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not path.startswith("/"):
            continue
        if number == "0" and not controllers:
            found.append(Membership(2, path))
        elif controller in controllers.split(","):
            found.append(Membership(1, path))
    return tuple(found)


def mounts(text: str, controller: str = "cpu") -> tuple[Mount, ...]:
    """Those of `/proc/self/mountinfo` that show a hierarchy which may have `controller`."""
    found = []
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if len(fields) < 5 or len(kind) < 3:
            continue
        root, point = _unescape(fields[3]), _unescape(fields[4])
        if kind[0] == "cgroup2":
            found.append(Mount(2, root, point))
        elif kind[0] == "cgroup" and controller in kind[2].split(","):
            found.append(Mount(1, root, point))
    return tuple(found)


def _unescape(field: str) -> str:
    """Blanks and backslashes stand in mountinfo as three octal digits."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)


def quota_v2(cpu_max: str) -> Fraction | None:
    """CPUs that `cpu.max` (`QUOTA PERIOD` in microseconds, `max PERIOD`) allows; None for no limit."""
    quota, _, period = cpu_max.strip().partition(" ")
    return _ratio(quota, period or "100000")


def quota_v1(cfs_quota_us: str, cfs_period_us: str) -> Fraction | None:
    """CPUs that `cpu.cfs_quota_us` (-1 = no limit) and `cpu.cfs_period_us` allow; None for no limit."""
    return _ratio(cfs_quota_us.strip(), cfs_period_us.strip())


def _ratio(quota: str, period: str) -> Fraction | None:
    """None as well for what no kernel writes: a reading that cannot be understood limits nothing."""
    if not (quota.isdecimal() and period.isdecimal() and int(quota) and int(period)):
        return None
    return Fraction(int(quota), int(period))


def cpu_stat(text: str) -> Throttling | None:
    """Throttling of a `cpu.stat`, v1 (nanoseconds) or v2 (microseconds); None where the file does not tell it."""
    values = {}
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        if value.strip().isdecimal():
            values[name] = int(value)
    if "nr_periods" not in values or "nr_throttled" not in values:
        return None
    seconds = values["throttled_usec"] / 1e6 if "throttled_usec" in values else values.get("throttled_time", 0) / 1e9
    return Throttling(values["nr_periods"], values["nr_throttled"], seconds)


def cpu_list(text: str) -> frozenset[int]:
    """CPU numbers of a list like `0-3,8`, as sysfs writes it; empty for what no kernel writes."""
    found: set[int] = set()
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        if not (first.isdecimal() and (last or first).isdecimal()):
            return frozenset()
        found.update(range(int(first), int(last or first) + 1))
    return frozenset(found)


def memory_limit(text: str) -> int | None:
    """Bytes of a `memory.max` (v2) or `memory.limit_in_bytes` (v1); None for `max`."""
    return int(text) if text.strip().isdecimal() else None


def mem_total(meminfo: str) -> int | None:
    """Bytes of memory that `/proc/meminfo` tells."""
    found = re.search(r"^MemTotal:\s+(\d+) kB$", meminfo, re.MULTILINE)
    return None if found is None else int(found[1]) * 1024
