"""What this machine gives a process: CPUs, and how often it is held back.

Libraries that size thread pools by `os.cpu_count()` see neither affinity nor a container's CPU quota.
"""

from fleet_machine.cpus import CpuReading, visible_cpus
from fleet_machine.throttling import Throttling, throttling

__all__ = ["CpuReading", "Throttling", "throttling", "visible_cpus"]
