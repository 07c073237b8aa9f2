"""How much memory this process may use."""

from contextlib import suppress
from pathlib import Path

from fleet_machine import cgroups, parse


def visible_memory(root: Path = Path("/")) -> int | None:
    """Bytes: the machine's memory, or the tightest limit of this process's cgroup and of its parents; None: unknown.

    Args:
        root: Of the file system whose `proc` and cgroup mounts are read.
    """
    limits = [folder.memory_limit() for folder in cgroups.folders(root, "memory")]
    with suppress(OSError):
        limits.append(parse.mem_total((root / "proc/meminfo").read_text()))
    return min((limit for limit in limits if limit is not None), default=None)
