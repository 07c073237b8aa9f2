import os
from pathlib import Path

import pytest

from fleet_machine import cores
from fleet_machine.parse import cpu_list


@pytest.mark.parametrize(
    ("text", "cpus"),
    [
        ("0\n", {0}),
        ("0,4\n", {0, 4}),
        ("0-1\n", {0, 1}),
        ("0-2,8,10-11\n", {0, 1, 2, 8, 10, 11}),
        ("\n", set()),
        ("a-b", set()),
    ],
)
def test_lists_of_cpus(text: str, cpus: set[int]) -> None:
    assert cpu_list(text) == cpus


def test_threads_of_one_core_are_together(tmp_path: Path) -> None:
    for cpu, siblings in {0: "0,4", 1: "1,5", 2: "2,6", 4: "0,4", 5: "1,5", 6: "2,6"}.items():
        folder = tmp_path / f"sys/devices/system/cpu/cpu{cpu}/topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(f"{siblings}\n")
    # Of core 2 only one thread is visible; of CPU 7 the kernel tells nothing.
    assert cores([0, 1, 4, 5, 6, 7], tmp_path) == ({0, 4}, {1, 5}, {6}, {7})


def test_this_machine_is_read() -> None:
    cpus = os.sched_getaffinity(0)
    assert sorted(cpu for core in cores(cpus) for cpu in core) == sorted(cpus)
