"""A control group of our own, under which all pods of all nodes are, and which is gone afterwards."""

import time
from contextlib import suppress
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
END_SECONDS = 10.0
INHERITED = ("cpuset.cpus", "cpuset.mems")
"""Empty in a new group of version 1, which then can hold no process."""


def create(path: str) -> None:
    """Make the group `/path` in all hierarchies."""
    for hierarchy in _hierarchies():
        group = hierarchy
        for name in Path(path.lstrip("/")).parts:
            group = group / name
            group.mkdir(exist_ok=True)
            for each in INHERITED:
                if (group / each).exists() and not (group / each).read_text().strip():
                    (group / each).write_text((group.parent / each).read_text())


def remove(path: str) -> None:
    """Remove the group `/path` and all below; a process that has just ended may hold them for a moment."""
    deadline = time.monotonic() + END_SECONDS
    while left := [group for group in (each / path.lstrip("/") for each in _hierarchies()) if group.exists()]:
        for group in left:
            for below in sorted((each for each in group.rglob("*") if each.is_dir()), reverse=True):
                with suppress(OSError):
                    below.rmdir()
            with suppress(OSError):
                group.rmdir()
        if time.monotonic() > deadline:
            raise OSError(f"control groups that still hold processes: {', '.join(map(str, left))}")
        time.sleep(0.1)


def _hierarchies() -> list[Path]:
    """Of version 1, and the one of version 2."""
    if (ROOT / "cgroup.procs").exists():
        return [ROOT]
    return [each for each in ROOT.iterdir() if (each / "cgroup.procs").exists() and not each.is_symlink()]
