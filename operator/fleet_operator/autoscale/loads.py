"""Two readings of a pod -> its load in between. Pure.

Busy is the share of the time in which a resource had work, 0 to 1:

* *The CPU* is as busy as its CPU slots are held, or as the workers of its busiest stage are, whichever is more: decode
  and preprocess, and where there is no GPU also forward. Slots are what really limits, and a lone batch or clip takes
  all of them with one worker of several; workers are what limits where somebody capped them by hand. Slots held are
  seen at the two readings only: true on average over pods and time, coarse for one pod (`capacity` averages).
* *The device* is a GPU, busy while a forward stage is. The two forward stages take turns on it, so it rests only where
  both do, which are taken for independent. Without a GPU it is never busy.

Fetch and inspect wait for sockets and have workers to spare: they are never the bottleneck.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from fleet_operator.autoscale.samples import Reading, Stage

MIN_SECONDS = 1.0
"""Between two readings: over less than that a rate is the noise of single items."""

IO_STAGES = ("fetch", "inspect")
FORWARD_STAGES = ("forward", "forward_long")


@dataclass(frozen=True, slots=True)
class PodLoad:
    """What one encoder had to do between two readings.

    Attributes:
        offered: Patches per second asked for, the rejected included.
        served: Patches per second delivered, the cached included.
        computed: Patches per second that went through a forward pass.
        pending: Patches taken in and not yet answered, at the end.
        cpu_busy: See the module.
        device_busy: See the module.
        ready: At the end it takes work.
        draining: At the end it takes none any more.
    """

    offered: float
    served: float
    computed: float
    pending: float
    cpu_busy: float
    device_busy: float
    ready: bool = True
    draining: bool = False

    @property
    def serving(self) -> bool:
        """It takes work, now and later."""
        return self.ready and not self.draining

    @property
    def busy(self) -> float:
        """Of the busier resource: the one that limits."""
        return max(self.cpu_busy, self.device_busy)


@dataclass(frozen=True, slots=True)
class PoolLoad:
    """Sums over the serving pods that have a sample.

    Those that do not serve are left out: what waits there is being finished, and what comes goes elsewhere.

    Attributes:
        pods: How many there are.
        offered: As in `PodLoad`, and so on.
    """

    pods: int
    offered: float
    served: float
    computed: float
    pending: float
    cpu_busy: float
    device_busy: float
    busy: float

    @property
    def share_busy(self) -> float:
        """Of the busier resource, on average, 0 to 1."""
        return self.busy / self.pods if self.pods else 0.0


def pool_load(loads: Iterable[PodLoad]) -> PoolLoad:
    """The load of a pool."""
    serving = [load for load in loads if load.serving]
    return PoolLoad(
        pods=len(serving),
        offered=sum(load.offered for load in serving),
        served=sum(load.served for load in serving),
        computed=sum(load.computed for load in serving),
        pending=sum(load.pending for load in serving),
        cpu_busy=sum(load.cpu_busy for load in serving),
        device_busy=sum(load.device_busy for load in serving),
        busy=sum(load.busy for load in serving),
    )


def load_between(before: Reading, after: Reading) -> PodLoad | None:
    """The load of a pod between two of its readings.

    Returns:
        None where that cannot be said: they are too close, or the encoder started anew in between.
    """
    seconds = after.time - before.time
    if seconds < MIN_SECONDS or _restarted(before, after):
        return None
    busy = {
        name: _share(before.stages.get(name), stage, seconds)
        for name, stage in after.stages.items()
        if name not in IO_STAGES
    }
    forward = [busy.pop(name, 0.0) for name in FORWARD_STAGES] if after.device not in ("cpu", "") else []
    return PodLoad(
        offered=(after.offered - before.offered) / seconds,
        served=(after.served - before.served) / seconds,
        computed=(after.computed - before.computed) / seconds,
        pending=after.pending,
        cpu_busy=max((_held(before) + _held(after)) / 2, *busy.values(), 0.0),
        device_busy=1.0 - math.prod(1.0 - each for each in forward),
        ready=after.ready,
        draining=after.draining,
    )


def _share(before: Stage | None, after: Stage, seconds: float) -> float:
    worked = after.busy_seconds - (before.busy_seconds if before else 0.0)
    return min(1.0, worked / (max(1.0, after.workers) * seconds))


def _held(reading: Reading) -> float:
    return min(1.0, reading.slots_held / reading.slots) if reading.slots else 0.0


def _restarted(before: Reading, after: Reading) -> bool:
    """A counter went back, or a stage is gone: it is another process, and differences mean nothing."""
    counters = ((before.offered, after.offered), (before.served, after.served), (before.computed, after.computed))
    gone = Stage(0.0, -1.0)
    return any(late < early for early, late in counters) or any(
        after.stages.get(name, gone).busy_seconds < stage.busy_seconds for name, stage in before.stages.items()
    )
