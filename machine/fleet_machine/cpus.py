"""How many CPUs this process may use."""

import os
import sys
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from fleet_machine import cgroups


@dataclass(frozen=True, slots=True)
class CpuReading:
    """What limits the CPUs of this process.

    Attributes:
        cpus: Whole CPUs to plan with, at least 1.
        affinity: CPUs that the scheduler may put its threads on.
        quota: CPUs' worth of time that its cgroups allow, the tightest; None for no limit.
        reason: Where `cpus` comes from, in words.
    """

    cpus: int
    affinity: int
    quota: Fraction | None
    reason: str

    @property
    def affinity_binds(self) -> bool:
        """Whether these are certain CPUs, and not so much time on any of more: only then is pinning to them right."""
        return self.quota is None or self.affinity <= self.quota


def visible_cpus(root: Path = Path("/"), affinity: int | None = None) -> CpuReading:
    """Read affinity and the CPU quotas, v1 and v2, of this process's cgroup and of its parents.

    Args:
        root: Of the file system whose `proc` and cgroup mounts are read.
        affinity: CPUs, in place of what the scheduler says.
    """
    quotas = [quota for folder in cgroups.folders(root) if (quota := folder.quota()) is not None]
    return weigh(_affinity() if affinity is None else affinity, min(quotas, default=None))


def weigh(affinity: int, quota: Fraction | None) -> CpuReading:
    """The tighter of the two, rounded down: a thread more than the quota is throttled along with all others. Pure."""
    if quota is None:
        return CpuReading(affinity, affinity, None, "CPU affinity; no cgroup quota")
    if affinity <= quota:
        return CpuReading(affinity, affinity, quota, f"CPU affinity; the cgroup quota allows {_show(quota)}")
    whole = max(1, quota.numerator // quota.denominator)
    rounding = "" if quota == whole else ", rounded down" if quota > 1 else ", but at least 1"
    reason = f"cgroup quota of {_show(quota)} CPUs{rounding}; affinity allows {affinity}"
    return CpuReading(whole, affinity, quota, reason)


def _show(quota: Fraction) -> str:
    return f"{float(quota):.4g}"


def _affinity() -> int:
    if sys.platform != "linux":
        return os.cpu_count() or 1
    return len(os.sched_getaffinity(0))
