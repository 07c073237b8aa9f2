"""File trees as real machines have them: `proc/self/{cgroup,mountinfo}` and the cgroup folders."""

from pathlib import Path

HYBRID_MOUNTS = """\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
33 31 0:30 / /sys/fs/cgroup/cpuacct rw,relatime - cgroup cgroup rw,cpuacct
34 31 0:31 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
"""
V2_MOUNT = "35 24 0:30 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
NOISE = "24 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n25 24 0:5 / /proc rw,nosuid - proc proc rw\n"

POD = "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod4f1c.slice/cri-containerd-9be1.scope"
STAT_V2 = "usage_usec 5411\nuser_usec 4000\nsystem_usec 1411\nnr_periods {}\nnr_throttled {}\nthrottled_usec {}\n"
STAT_V1 = "nr_periods {}\nnr_throttled {}\nthrottled_time {}\n"


def lay_out(root: Path, *, cgroup: str, mountinfo: str, files: dict[str, str]) -> Path:
    """Write the tree below `root`; `files` are relative to `sys/fs/cgroup`."""
    contents = {"proc/self/cgroup": cgroup, "proc/self/mountinfo": NOISE + mountinfo}
    contents |= {f"sys/fs/cgroup/{name}": text for name, text in files.items()}
    for name, text in contents.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def v2_host(root: Path) -> Path:
    """A shell on a systemd host; the user's slice has a quota, the shell's own scope has none."""
    user = "user.slice/user-1000.slice"
    return lay_out(
        root,
        cgroup=f"0::/{user}/session-2.scope\n",
        mountinfo=V2_MOUNT,
        files={
            "cpu.stat": "usage_usec 1\nuser_usec 1\nsystem_usec 0\n",
            "user.slice/cpu.max": "max 100000\n",
            f"{user}/cpu.max": "350000 100000\n",
            f"{user}/cpu.stat": STAT_V2.format(100, 40, 2_500_000),
            f"{user}/session-2.scope/cpu.max": "max 100000\n",
            f"{user}/session-2.scope/cpu.stat": STAT_V2.format(0, 0, 0),
        },
    )


def v2_container(root: Path) -> Path:
    """A container with a cgroup namespace: its own cgroup is what it sees as `/`."""
    return lay_out(
        root,
        cgroup="0::/\n",
        mountinfo=V2_MOUNT.replace("rw,nosuid", "ro,nosuid"),
        files={"cpu.max": "400000 100000\n", "cpu.stat": STAT_V2.format(7, 3, 1_250_000)},
    )


def v2_sibling(root: Path) -> Path:
    """A process moved to a cgroup outside of what its namespace shows."""
    return lay_out(
        root,
        cgroup="0::/../other.scope\n",
        mountinfo=V2_MOUNT,
        files={"cpu.max": "150000 50000\n", "cpu.stat": STAT_V2.format(1, 0, 0)},
    )


def v2_host_path(root: Path) -> Path:
    """A container without a cgroup namespace, only its own cgroup mounted, at a path with a blank."""
    mount = V2_MOUNT.replace(" / /sys/fs/cgroup ", f" /{POD} /sys/fs/cgroup/the\\040one ")
    return lay_out(root, cgroup=f"0::/{POD}\n", mountinfo=mount, files={"the one/cpu.max": "50000 100000\n"})


def v1_container(root: Path) -> Path:
    """Docker on a v1 host: the path is the host's, the mount shows just this cgroup."""
    own = "/docker/5a1e"
    return lay_out(
        root,
        cgroup=f"11:memory:{own}\n4:cpu,cpuacct:{own}\n3:cpuset:{own}\n1:name=systemd:{own}\n",
        mountinfo=f"50 49 0:33 {own} /sys/fs/cgroup/cpu,cpuacct ro,relatime - cgroup cgroup rw,cpu,cpuacct\n"
        f"51 49 0:34 {own} /sys/fs/cgroup/memory ro,relatime - cgroup cgroup rw,memory\n",
        files={
            "cpu,cpuacct/cpu.cfs_quota_us": "250000\n",
            "cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            "cpu,cpuacct/cpu.stat": STAT_V1.format(20, 5, 750_000_000),
        },
    )


def v1_pod(root: Path) -> Path:
    """A v1 node seen from the host; the pod's quota is tighter than the container's."""
    files = {}
    folder = "cpu,cpuacct"
    for name, quota, throttled in (("", -1, 0), ("kubepods", -1, 0), ("pod1", 200_000, 9), ("main", 600_000, 0)):
        folder = f"{folder}/{name}".rstrip("/")
        files[f"{folder}/cpu.cfs_quota_us"] = f"{quota}\n"
        files[f"{folder}/cpu.cfs_period_us"] = "100000\n"
        files[f"{folder}/cpu.stat"] = STAT_V1.format(30, throttled, throttled * 10**8)
    return lay_out(
        root,
        cgroup="4:cpu,cpuacct:/kubepods/pod1/main\n0::/kubepods/pod1/main\n",
        mountinfo="50 49 0:33 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct\n"
        "51 49 0:34 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n",
        files=files,
    )


def hybrid(root: Path) -> Path:
    """v1 controllers beside an empty v2 hierarchy; no quota anywhere."""
    return lay_out(
        root,
        cgroup="9:name=systemd:/\n3:cpuset:/\n2:cpuacct:/\n1:cpu:/\n0::/\n",
        mountinfo=HYBRID_MOUNTS,
        files={
            "cpu/cpu.cfs_quota_us": "-1\n",
            "cpu/cpu.cfs_period_us": "100000\n",
            "cpu/cpu.stat": STAT_V1.format(0, 0, 0) + "nr_bursts 0\nburst_time 0\n",
            "unified/cgroup.procs": "1\n",
        },
    )


def hosts_cgroups(root: Path) -> Path:
    """A container with a cgroup namespace, into which the host's whole hierarchy is mounted beside its own."""
    above = V2_MOUNT.replace(" / /sys/fs/cgroup ", " /../../.. /sys/fs/cgroup/host ")
    return lay_out(
        root,
        cgroup="0::/\n",
        mountinfo=above + V2_MOUNT,
        files={
            "cpu.max": "400000 100000\n",
            "memory.max": f"{3 << 30}\n",
            "host/cpu.max": "100000 100000\n",
            "host/memory.max": f"{1 << 30}\n",
        },
    )


def v1_memory(root: Path) -> Path:
    """Docker on a v1 host with a limit on memory, which is in a hierarchy of its own, and none on CPUs."""
    own = "/docker/5a1e"
    return lay_out(
        root,
        cgroup=f"11:memory:{own}\n4:cpu,cpuacct:{own}\n",
        mountinfo=f"50 49 0:33 {own} /sys/fs/cgroup/cpu,cpuacct ro,relatime - cgroup cgroup rw,cpu,cpuacct\n"
        f"51 49 0:34 {own} /sys/fs/cgroup/memory ro,relatime - cgroup cgroup rw,memory\n",
        files={"memory/memory.limit_in_bytes": f"{2 << 30}\n", "cpu,cpuacct/cpu.cfs_quota_us": "-1\n"},
    )
