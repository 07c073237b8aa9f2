"""What this machine is, and who used its CPUs: a figure taken beside other people's work is void."""

import os
import platform
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

QUIET_CPUS = 0.15
"""So much may other programs use: the system's own daemons do."""

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """CPU-seconds since boot: of the whole machine, of one process, and of this one with its ended children."""

    machine: float
    server: float
    harness: float
    at: float


def cpu_times(pid: int) -> CpuTimes:
    """Read them now; `pid` is the server."""
    fields = [int(each) for each in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    user, nice, system, _idle, _iowait, irq, softirq, steal = fields[:8]
    own = os.times()
    return CpuTimes(
        (user + nice + system + irq + softirq + steal) / TICKS,
        process_seconds(pid),
        own.user + own.system + own.children_user + own.children_system,
        perf_counter(),
    )


def process_seconds(pid: int) -> float:
    """CPU-seconds that a process has used, all its threads together."""
    # The name, in brackets, may hold blanks.
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / TICKS


def usage(before: CpuTimes, after: CpuTimes, still_running: float = 0.0) -> dict[str, float]:
    """CPUs in use between two readings, on average: by the server, by the load, and by everyone else.

    Args:
        before: At the start.
        after: At the end.
        still_running: CPU-seconds of load processes that have not ended, which the harness's own time lacks, less
            those that ended ones used before the start.
    """
    seconds = after.at - before.at
    server = after.server - before.server
    load = after.harness - before.harness + still_running
    others = max(0.0, after.machine - before.machine - server - load)
    return {"cpus_server": server / seconds, "cpus_load": load / seconds, "cpus_others": others / seconds}


def busy(seconds: float = 1.0) -> float:
    """CPUs in use now, by anyone."""
    before = cpu_times(os.getpid())
    sleep(seconds)
    return usage(before, cpu_times(os.getpid()))["cpus_others"]


def wait_until_quiet(patience: float) -> bool:
    """Wait until other programs leave the CPUs alone, at most so many seconds; whether they do."""
    until = perf_counter() + patience
    while busy() > QUIET_CPUS:
        if perf_counter() >= until:
            return False
    return True


def describe() -> dict[str, Any]:
    """CPUs, their model, memory, kernel."""
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "cpus": len(os.sched_getaffinity(0)),
        "cpu_model": models[0].partition(":")[2].strip() if models else platform.processor(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "cpus_busy_before": round(busy(), 2),
    }
