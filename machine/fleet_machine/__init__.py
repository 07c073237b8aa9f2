"""What this machine gives a process: CPUs, memory, and how often it is held back.

Libraries that size thread pools by `os.cpu_count()` see neither affinity nor a container's CPU quota.
"""

from fleet_machine.cpus import CpuReading, visible_cpus
from fleet_machine.features import cpu_features
from fleet_machine.memory import visible_memory
from fleet_machine.throttling import Throttling, throttling
from fleet_machine.topology import cores

__all__ = ["CpuReading", "Throttling", "cores", "cpu_features", "throttling", "visible_cpus", "visible_memory"]
