"""Groups are made as the kernel's two versions of control groups want it. On trees of files: a kernel has but one."""

from pathlib import Path

import pytest
from tests.cluster.cache import MissingProgramError
from tests.node import cgroups


def group(path: Path, **files: str) -> Path:
    """A folder as the kernel makes it, `_` in names for their dot."""
    path.mkdir(parents=True)
    for name, text in {"cgroup_procs": "", **files}.items():
        (path / name.replace("_", ".", 1)).write_text(text)
    return path


def unified(path: Path, has: str, gives: str = "") -> Path:
    return group(path, cgroup_controllers=has, cgroup_subtree_control=gives)


def test_version_2_hands_controllers_on_at_each_step(tmp_path: Path) -> None:
    root = unified(tmp_path / "cgroup", "cpuset cpu io memory hugetlb pids rdma misc", "cpu pids")
    ours = unified(root / "ours", "cpuset cpu io memory hugetlb pids")
    node = group(ours / "node", cpuset_cpus="\n")  # empty is what is above, and stays so

    cgroups.create("/ours/node", root)

    assert (root / "cgroup.subtree_control").read_text() == "+cpuset +io +memory +hugetlb"
    assert (ours / "cgroup.subtree_control").read_text() == "+cpuset +cpu +io +memory +hugetlb +pids"
    assert (node / "cpuset.cpus").read_text() == "\n"


def test_version_2_is_asked_for_nothing_that_it_does_already(tmp_path: Path) -> None:
    root = unified(tmp_path / "cgroup", "cpu memory misc", "cpu memory")
    cgroups.create("/ours", root)
    assert (root / "ours").is_dir()
    assert (root / "cgroup.subtree_control").read_text() == "cpu memory"


def test_version_2_that_hands_nothing_on_is_refused_in_one_line(tmp_path: Path) -> None:
    root = unified(tmp_path / "cgroup", "cpu memory")
    (root / "cgroup.subtree_control").unlink()
    (root / "cgroup.subtree_control").symlink_to("/proc/version")  # to be read, and not to be written
    with pytest.raises(MissingProgramError, match=r"^the control group \S+ cannot hand cpu, memory on \(.+\): .+$"):
        cgroups.create("/ours", root)


def test_version_1_inherits_cpus_in_each_hierarchy(tmp_path: Path) -> None:
    root = tmp_path / "cgroup"
    group(root / "cpuset", cpuset_cpus="0-3\n", cpuset_mems="0\n")
    for path in (root / "cpuset" / "ours", root / "cpuset" / "ours" / "node"):
        group(path, cpuset_cpus="\n", cpuset_mems="\n")
    group(root / "cpu")
    unified(root / "unified", "")
    (root / "cpuacct").symlink_to("cpu")

    cgroups.create("/ours/node", root)

    for path in (root / "cpuset" / "ours", root / "cpuset" / "ours" / "node"):
        assert (path / "cpuset.cpus").read_text() == "0-3\n"
        assert (path / "cpuset.mems").read_text() == "0\n"
    assert (root / "cpu" / "ours" / "node").is_dir()
    assert (root / "unified" / "ours" / "node").is_dir()


def test_cpu_time_is_counted_where_the_version_has_it(tmp_path: Path) -> None:
    first, second = tmp_path / "first", unified(tmp_path / "second", "cpu")
    group(first / "cpu")
    group(second / "cpu")  # of somebody else, so named

    assert cgroups.of_cpu_time("/ours", first) == first / "cpu" / "ours"
    assert cgroups.of_cpu_time("/ours", second) == second / "ours"


def test_a_group_that_is_held_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroups, "END_SECONDS", 0.0)
    ours = unified(unified(tmp_path / "cgroup", "cpu") / "ours", "cpu")  # with files a folder cannot be removed
    with pytest.raises(OSError, match=rf"^control groups still hold processes, which must end first: {ours}$"):
        cgroups.remove("/ours", tmp_path / "cgroup")
