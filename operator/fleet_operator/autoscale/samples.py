"""Text of an encoder's /metrics -> what it says of load, as one reading. Pure."""

import re
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

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
SILENT = frozenset(
    {
        "encoder_build_info",
        "encoder_stage_busy_seconds_total",
        "encoder_offered_patches_total",
        "encoder_served_patches_total",
        "encoder_computed_patches_total",
    }
)
"""Of these, those that have no sample before the first item of a kind: asked for by name, they are not there at all."""

TOO_LARGE = 2.0**50
"""No encoder counts so far."""
_LONGEST_FINGERPRINT = 128
_MOST_LINES = 1000
"""Ten times what an encoder has: more would keep the operator from all else while they are read."""

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


def read(text: str, time: float) -> Reading:
    """What /metrics says, at `time`.

    Raises:
        MetricsError: The text is not that of an encoder.
    """
    lines = _WANTED.findall(f"\n{text}")
    if len(lines) > _MOST_LINES:
        raise MetricsError(f"not the metrics of an encoder: {len(lines)} samples")
    wanted = "\n".join(lines)
    try:
        # A series without samples, such as a counter of a modality that nobody has asked for, still has its type here.
        families = {family.name: family.samples for family in text_string_to_metric_families(wanted + "\n")}
    except Exception as error:  # of what a line may hold, the parser expects least: IndexError, KeyError, ...
        raise MetricsError(f"not Prometheus text: {error or type(error).__name__}") from error
    missing = tuple(name for name in SERIES if name not in SILENT and name not in families)
    if missing:
        raise MetricsError(f"not the metrics of an encoder of this version: {', '.join(missing)} missing", missing)

    def total(name: str) -> float:
        return sum(sample.value for sample in families.get(name, ()))

    def by_stage(name: str) -> dict[str, float]:
        return {sample.labels.get("stage", ""): sample.value for sample in families.get(name, ())}

    about = next((sample.labels for sample in families.get("encoder_build_info", ())), {})
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
    if len(reading.fingerprint) > _LONGEST_FINGERPRINT:
        raise MetricsError("not the metrics of an encoder: its fingerprint is too long")
    if not all(0 <= number < TOO_LARGE for number in _numbers(reading)):
        raise MetricsError("not the metrics of an encoder: a number is negative, beyond counting, or none")
    return reading


def _numbers(reading: Reading) -> list[float]:
    stages = [number for stage in reading.stages.values() for number in (stage.workers, stage.busy_seconds)]
    counted = [reading.offered, reading.served, reading.computed, reading.pending, reading.slots, reading.slots_held]
    return counted + stages
