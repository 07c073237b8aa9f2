"""How often the CPU quota has held this process back."""

from pathlib import Path

from fleet_machine import cgroups
from fleet_machine.parse import Throttling

__all__ = ["Throttling", "throttling"]


def throttling(root: Path = Path("/")) -> Throttling | None:
    """Read `cpu.stat` of the cgroup whose quota binds, else of the nearest that has one.

    A cgroup does not count what its parents' quotas do to it, so the tightest of them is the one to ask.

    Args:
        root: Of the file system whose `proc` and cgroup mounts are read.

    Returns:
        None where the kernel does not tell.
    """
    telling = [(folder.quota(), told) for folder in cgroups.folders(root) if (told := folder.throttling()) is not None]
    binding = min((each for each in telling if each[0] is not None), key=lambda each: each[0] or 0, default=None)
    if binding is not None:
        return binding[1]
    return telling[0][1] if telling else None
