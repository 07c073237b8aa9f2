"""Where the settings of this process's cgroups lie, from its own cgroup up to the outermost visible one."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path, PurePosixPath

from fleet_machine import parse


@dataclass(frozen=True, slots=True)
class Folder:
    """One cgroup: version of its hierarchy, and its folder."""

    version: parse.Version
    path: Path

    def quota(self) -> Fraction | None:
        """CPUs that this cgroup may use; None for no limit, or no such file."""
        if self.version == 2:
            text = _read(self.path / "cpu.max")
            return None if text is None else parse.quota_v2(text)
        quota, period = _read(self.path / "cpu.cfs_quota_us"), _read(self.path / "cpu.cfs_period_us")
        return None if quota is None or period is None else parse.quota_v1(quota, period)

    def memory_limit(self) -> int | None:
        """Bytes that this cgroup may use; None for no limit, or no such file."""
        text = _read(self.path / ("memory.max" if self.version == 2 else "memory.limit_in_bytes"))
        return None if text is None else parse.memory_limit(text)

    def throttling(self) -> parse.Throttling | None:
        """What its `cpu.stat` says of throttling, if anything."""
        text = _read(self.path / "cpu.stat")
        return None if text is None else parse.cpu_stat(text)


def folders(root: Path, controller: str = "cpu") -> tuple[Folder, ...]:
    """The process's own cgroup first, then its parents, of each hierarchy; empty where there are no cgroups.

    Args:
        root: Of the file system: `/`, or a folder that was laid out like it.
        controller: Of which hierarchies; v2 has one for all.
    """
    members = parse.memberships(_read(root / "proc/self/cgroup") or "", controller)
    found: list[Folder] = []
    for mount in parse.mounts(_read(root / "proc/self/mountinfo") or "", controller):
        point = root / mount.point.lstrip("/")
        for member in members:
            if member.version == mount.version:
                steps = [point.joinpath(*below) for below in _upwards(member.path, mount.root)]
                found += [Folder(mount.version, step) for step in steps if step.is_dir()]
    return tuple(found)


def _upwards(path: str, root: str) -> list[tuple[str, ...]]:
    """Paths below a mount point, innermost first, that lead from cgroup `path` to the mounted cgroup `root`.

    A container often sees its cgroup's path on the host, but only its own cgroup mounted: then `path` is not below
    `root`, or `..` is in it, and the mount point itself is the process's cgroup.

    Of the host's whole hierarchy, mounted into a container, `root` is above what the container's namespace shows, like
    `/../..`: where the process's cgroup lies in it cannot be told, and the mount point is the host's. It gives none.
    """
    outside = ".." in PurePosixPath(root).parts
    try:
        below = PurePosixPath(path).relative_to(root).parts
    except ValueError:
        below = ("..",)
    if ".." in below:
        if outside:
            return []
        below = ()
    return [below[:length] for length in range(len(below), -1, -1)]


def _read(path: Path) -> str | None:
    try:
        return path.read_text()
    except OSError:
        return None
