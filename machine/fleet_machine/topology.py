"""Which CPUs are threads of one core."""

from collections.abc import Iterable
from pathlib import Path

from fleet_machine import parse


def cores(cpus: Iterable[int], root: Path = Path("/")) -> tuple[frozenset[int], ...]:
    """`cpus`, grouped by the core that they are hardware threads of, by their lowest number.

    A CPU of which the kernel tells nothing counts as a core of its own.

    Args:
        cpus: CPU numbers.
        root: Of the file system whose `sys` is read.
    """
    wanted = frozenset(cpus)
    groups = {(_siblings(cpu, root) | {cpu}) & wanted for cpu in wanted}
    return tuple(sorted(groups, key=min))


def _siblings(cpu: int, root: Path) -> frozenset[int]:
    path = root / f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"
    try:
        return parse.cpu_list(path.read_text())
    except OSError:
        return frozenset()
