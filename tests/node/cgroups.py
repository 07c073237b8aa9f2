"""A control group of our own, under which all pods of all nodes are, and which is gone afterwards."""

import time
from contextlib import suppress
from pathlib import Path

from tests.cluster.cache import MissingProgramError

ROOT = Path("/sys/fs/cgroup")
END_SECONDS = 10.0
INHERITED = ("cpuset.cpus", "cpuset.mems")
"""Empty in a new group of version 1, which then can hold no process."""
HANDED_ON = ("cpuset", "cpu", "io", "memory", "hugetlb", "pids")
"""Controllers that a kubelet and its containers use. In version 2 a group has those that the one above hands on."""


def create(path: str, root: Path = ROOT) -> None:
    """Make the group `/path` in all hierarchies.

    What version 2 hands on above it stays handed on: somebody else may need it meanwhile.

    Raises:
        MissingProgramError: A group above hands no controllers on; one line that says why.
    """
    for hierarchy in _hierarchies(root):
        group = hierarchy
        for name in Path(path.lstrip("/")).parts:
            unified = (group / "cgroup.controllers").exists()
            if unified:
                _hand_on(group)
            group = group / name
            group.mkdir(exist_ok=True)
            if not unified:
                _inherit(group)


def of_cpu_time(path: str, root: Path = ROOT) -> Path:
    """The group `/path` in the hierarchy that counts CPU time: version 2 has one for everything."""
    own = root / "cpu"
    # Version 2 has no hierarchies in its root, and a group there may have any name.
    return (root if (root / "cgroup.procs").exists() else own) / path.lstrip("/")


def remove(path: str, root: Path = ROOT) -> None:
    """Remove the group `/path` and all below; a process that has just ended may hold them for a moment.

    Raises:
        OSError: Processes that do not end hold them.
    """
    deadline = time.monotonic() + END_SECONDS
    while left := [group for group in (each / path.lstrip("/") for each in _hierarchies(root)) if group.exists()]:
        for group in left:
            for below in sorted((each for each in group.rglob("*") if each.is_dir()), reverse=True):
                with suppress(OSError):
                    below.rmdir()
            with suppress(OSError):
                group.rmdir()
        if time.monotonic() > deadline:
            raise OSError(f"control groups still hold processes, which must end first: {', '.join(map(str, left))}")
        time.sleep(0.1)


def _hierarchies(root: Path) -> list[Path]:
    """Of version 1, and the one of version 2."""
    if (root / "cgroup.procs").exists():
        return [root]
    return [each for each in root.iterdir() if (each / "cgroup.procs").exists() and not each.is_symlink()]


def _hand_on(group: Path) -> None:
    """Let groups below one of version 2 have its controllers."""
    has, gives = ((group / f"cgroup.{name}").read_text().split() for name in ("controllers", "subtree_control"))
    if wanted := [name for name in HANDED_ON if name in has and name not in gives]:
        try:
            (group / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in wanted))
        except OSError as error:
            raise MissingProgramError(
                f"the control group {group} cannot hand {', '.join(wanted)} on ({error.strerror}): in a container, "
                "move its processes into a group of their own first"
            ) from error


def _inherit(group: Path) -> None:
    for each in INHERITED:
        if (group / each).exists() and not (group / each).read_text().strip():
            (group / each).write_text((group.parent / each).read_text())
