"""Text of an encoder's /metrics -> a reading; two readings of a pod -> its load. Pure.

Busy is the share of the time in which a resource had work, 0 to 1:

* *The CPU* is as busy as its CPU slots are held, or as the workers of its busiest stage are, whichever is more: decode
  and preprocess, and where there is no GPU also forward. Slots are what really limits, and a lone batch or clip takes
  all of them with one worker of several; workers are what limits where somebody capped them by hand. Slots held are
  seen at the two readings only: true on average over pods and time, coarse for one pod (see `capacity`).
* *The device* is a GPU, busy while a forward stage is. The two forward stages take turns on it, so it rests only where
  both do, which are taken for independent. Without a GPU it is never busy.

Fetch and inspect wait for sockets and have workers to spare: they are never the bottleneck.
"""

import math
import re
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

MIN_SECONDS = 1.0
"""Between two readings: over less than that a rate is the noise of single items."""

IO_STAGES = ("fetch", "inspect")
FORWARD_STAGES = ("forward", "forward_long")

SERIES = (
    "encoder_build_info",
    "encoder_ready",
    "encoder_draining",
    "encoder_stage_workers",
    "encoder_stage_busy_seconds_total",
    "encoder_offered_patches_total",
    "encoder_served_patches_total",
    "encoder_computed_patches_total",
    "encoder_pending_patches",
    "encoder_cpu_slots",
    "encoder_cpu_slots_held",
)
"""All that is read. `encoder_stage_busy_ratio` is not: its window is not that of the rates."""

# The parser takes 20 ms for the 900 lines of an encoder, and this 0.2 for finding the 45 that matter.
_WANTED = re.compile(rf"\n((?:# TYPE )?(?:{'|'.join(SERIES)})[ {{].*)")


class MetricsError(Exception):
    """The text cannot be used.

    Attributes:
        missing: Series that it lacks; empty where it is no such text at all.
    """

    def __init__(self, message: str, missing: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.missing = missing


@dataclass(frozen=True, slots=True)
class Stage:
    """Of an encoder's pipeline: `workers`, and the seconds that they have worked, summed over them."""

    workers: float
    busy_seconds: float


@dataclass(frozen=True, slots=True)
class Reading:
    """One encoder at one moment.

    Attributes:
        time: Of the reading, in seconds of a clock that never goes back.
        ready: It is warm and takes work.
        draining: It finishes its work and takes nothing new.
        device: `cuda`, `cpu`, ...; empty before the weights are read.
        fingerprint: Of model and processor; empty likewise.
        offered: Patches asked for since it started, the rejected included.
        served: Patches delivered since then, the cached included.
        computed: Patches that went through a forward pass since then.
        pending: Patches taken in and not yet answered.
        slots: CPU slots.
        slots_held: Of these, held now.
        stages: By name.
    """

    time: float
    ready: bool
    draining: bool
    device: str
    fingerprint: str
    offered: float
    served: float
    computed: float
    pending: float
    slots: float
    slots_held: float
    stages: dict[str, Stage]


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
    def busy(self) -> float:
        """Of the busier resource: the one that limits."""
        return max(self.cpu_busy, self.device_busy)


def read(text: str, time: float) -> Reading:
    """What /metrics says, at `time`.

    Raises:
        MetricsError: The text is not that of an encoder.
    """
    wanted = "\n".join(_WANTED.findall(f"\n{text}"))
    try:
        # A series without samples, such as a counter of a modality that nobody has asked for, still has its type here.
        families = {family.name: family.samples for family in text_string_to_metric_families(wanted + "\n")}
    except ValueError as error:
        raise MetricsError(f"not Prometheus text: {error}") from error
    missing = tuple(name for name in SERIES if name.removesuffix("_total") not in families)
    if missing:
        raise MetricsError(f"not the metrics of an encoder of this version: {', '.join(missing)} missing", missing)

    def total(name: str) -> float:
        return sum(sample.value for sample in families[name])

    def by_stage(name: str) -> dict[str, float]:
        return {sample.labels.get("stage", ""): sample.value for sample in families[name]}

    about = next((sample.labels for sample in families["encoder_build_info"]), {})
    busy_seconds = by_stage("encoder_stage_busy_seconds")
    reading = Reading(
        time=time,
        ready=total("encoder_ready") > 0,
        draining=total("encoder_draining") > 0,
        device=about.get("device", ""),
        fingerprint=about.get("fingerprint", ""),
        offered=total("encoder_offered_patches"),
        served=total("encoder_served_patches"),
        computed=total("encoder_computed_patches"),
        pending=total("encoder_pending_patches"),
        slots=total("encoder_cpu_slots"),
        slots_held=total("encoder_cpu_slots_held"),
        stages={
            name: Stage(workers, busy_seconds.get(name, 0.0))
            for name, workers in by_stage("encoder_stage_workers").items()
        },
    )
    if not all(math.isfinite(value) and value >= 0 for value in _numbers(reading)):
        raise MetricsError("not the metrics of an encoder: a number is negative or none")
    return reading


def load(before: Reading, after: Reading) -> PodLoad | None:
    """The load of a pod between two of its readings.

    Returns:
        None where that cannot be said: they are too close, or the encoder started anew in between.
    """
    seconds = after.time - before.time
    if seconds < MIN_SECONDS or _restarted(before, after):
        return None
    idle = Stage(1.0, 0.0)
    busy = {
        name: min(1.0, (stage.busy_seconds - before.stages.get(name, idle).busy_seconds) / max(1.0, stage.workers) / seconds)
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


def _numbers(reading: Reading) -> list[float]:
    stages = [number for stage in reading.stages.values() for number in (stage.workers, stage.busy_seconds)]
    counted = [reading.offered, reading.served, reading.computed, reading.pending, reading.slots, reading.slots_held]
    return counted + stages


def _held(reading: Reading) -> float:
    return min(1.0, reading.slots_held / reading.slots) if reading.slots else 0.0


def _restarted(before: Reading, after: Reading) -> bool:
    """A counter went back, or a stage is gone: it is another process, and differences mean nothing."""
    counters = ((before.offered, after.offered), (before.served, after.served), (before.computed, after.computed))
    gone = Stage(0.0, -1.0)
    return any(late < early for early, late in counters) or any(
        after.stages.get(name, gone).busy_seconds < stage.busy_seconds for name, stage in before.stages.items()
    )
