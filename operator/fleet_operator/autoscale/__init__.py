"""How many replicas the load asks for, and which pods may go. Pure: who asks encoders and writes is elsewhere.

/metrics -> `read` -> two readings -> `load_between` -> `step`, which learns capacity, recommends, keeps to `behavior`.
"""

from fleet_operator.autoscale.control import Decision, Observation, State, step
from fleet_operator.autoscale.loads import PodLoad, load_between
from fleet_operator.autoscale.pods import deletion_costs
from fleet_operator.autoscale.samples import SERIES, MetricsError, Reading, read
from fleet_operator.autoscale.sglang_samples import read_sglang

__all__ = [
    "SERIES",
    "Decision",
    "MetricsError",
    "Observation",
    "PodLoad",
    "Reading",
    "State",
    "deletion_costs",
    "load_between",
    "read",
    "read_sglang",
    "step",
]
