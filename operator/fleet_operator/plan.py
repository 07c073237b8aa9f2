"""A pool on machines of one shape -> what runs there, and why. Pure.

The one plan of two worlds: `encoderfleet up` makes processes of it, the operator makes Kubernetes objects.

    CPUs of a replica  = the machine's / replicas, rounded down, at most spec.resources.cpus, at least 1
    GPUs of a replica  = the machine's / replicas, rounded down, at most spec.resources.gpus (unset: 1)
    threads            = see `threads.py`

A machine that has less than the pool asks for is used as it is, with a warning: the same file runs on a laptop.
"""

from dataclasses import dataclass

from fleet_operator.api import EncoderPool
from fleet_operator.environment import EnvVar, settings
from fleet_operator.quantity import format_quantity
from fleet_operator.threads import ThreadBudget, budget
from fleet_operator.wording import counted

__all__ = ["EnvVar", "NodeShape", "Plan", "ThreadBudget", "plan"]


@dataclass(frozen=True, slots=True)
class NodeShape:
    """What one machine has for the pool: whole CPUs, at least 1, GPUs, and bytes of memory, None where unknown."""

    cpus: int
    gpus: int
    memory: int | None = None

    def __post_init__(self) -> None:
        if self.cpus < 1 or self.gpus < 0:
            raise ValueError(f"a machine has a CPU at least, and not less than no GPU: {self}")


@dataclass(frozen=True, slots=True)
class Plan:
    """What runs on one machine.

    Attributes:
        pool: Name.
        replicas: Encoders.
        shape: The machine.
        cpus_per_replica: Whole CPUs.
        gpus_per_replica: 0: the replicas compute on the CPU.
        budget: Threads of a replica.
        env: Environment of a replica, but for what only the world knows: its name and its addresses.
        drain_seconds: A replica's time to finish.
        warnings: What may not be as intended, one line each.
        reasons: Why `cpus_per_replica` and `gpus_per_replica` are what they are, by these names.
    """

    pool: str
    replicas: int
    shape: NodeShape
    cpus_per_replica: int
    gpus_per_replica: int
    budget: ThreadBudget
    env: tuple[EnvVar, ...]
    drain_seconds: int
    warnings: tuple[str, ...]
    reasons: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Share:
    """A replica's part of one resource."""

    count: int
    reason: str
    warnings: tuple[str, ...] = ()


def plan(pool: EncoderPool, shape: NodeShape) -> Plan:
    """What `pool` is on a machine of `shape`. A pool of no replicas is planned as for one."""
    cpus, gpus = _cpus(pool, shape), _gpus(pool, shape)
    threads = budget(cpus.count, gpus.count, pool.spec.threads)
    common = settings(pool, gpus=gpus.count)
    return Plan(
        pool=pool.metadata.name,
        replicas=pool.spec.replicas,
        shape=shape,
        cpus_per_replica=cpus.count,
        gpus_per_replica=gpus.count,
        budget=threads,
        env=threads.env() + common,
        drain_seconds=pool.spec.lifecycle.drain_seconds,
        warnings=cpus.warnings + gpus.warnings + _memory(pool, shape) + threads.warnings(),
        reasons={"cpus_per_replica": cpus.reason, "gpus_per_replica": gpus.reason},
    )


def _cpus(pool: EncoderPool, shape: NodeShape) -> _Share:
    replicas, asked = pool.spec.replicas, pool.spec.resources.cpus
    share = max(1, shape.cpus // max(1, replicas))
    arithmetic = _division(shape.cpus, "CPU", replicas)
    warnings: list[str] = []
    if replicas > shape.cpus:
        warnings.append(
            f"spec.replicas: {replicas} replicas on {counted(shape.cpus, 'CPU')} are planned with 1 each and share "
            f"them in truth; at most {shape.cpus} fit"
        )
    if asked is None:
        return _Share(share, arithmetic, tuple(warnings))
    whole = max(1, int(asked))
    rounding = (
        "" if whole == asked else f" ({format_quantity(asked)}, {'rounded down' if asked > 1 else 'but at least 1'})"
    )
    if whole <= share:
        return _Share(whole, f"spec.resources.cpus{rounding}; the share would be {share}", tuple(warnings))
    warnings.append(
        f"spec.resources.cpus: {whole} a replica are asked for, there are {share} ({arithmetic}): planned with {share}"
    )
    return _Share(share, f"{arithmetic}; spec.resources.cpus asks for {whole}", tuple(warnings))


def _gpus(pool: EncoderPool, shape: NodeShape) -> _Share:
    replicas, asked = pool.spec.replicas, pool.spec.resources.gpus
    share = shape.gpus // max(1, replicas)
    arithmetic = _division(shape.gpus, "GPU", replicas)
    if asked == 0:
        return _Share(0, "spec.resources.gpus")
    if shape.gpus == 0:
        missing = "spec.resources.gpus: this machine has no GPU: the replicas run on the CPU, slower"
        return _Share(0, "the machine has none", (missing,) if asked else ())
    if share == 0:
        return _Share(0, arithmetic, (_too_few(replicas, shape.gpus),))
    if asked is None:
        return _Share(1, f"one is enough; {arithmetic}")
    if asked > share:
        fewer = f"spec.resources.gpus: {asked} a replica are asked for, there are {share} ({arithmetic})"
        return _Share(share, f"{arithmetic}; spec.resources.gpus asks for {asked}", (fewer,))
    idle = f"spec.resources.gpus: an encoder computes on one GPU: {asked - 1} of {asked} will idle, ask for 1"
    return _Share(asked, f"spec.resources.gpus; the share would be {share}", (idle,) if asked > 1 else ())


def _memory(pool: EncoderPool, shape: NodeShape) -> tuple[str, ...]:
    """A warning where what the replicas may fill, beside weights and frames, is more than the machine has."""
    each = pool.spec.cache.size + pool.spec.admission.max_pending_bytes
    replicas = max(1, pool.spec.replicas)
    if shape.memory is None or replicas * each <= shape.memory:
        return ()
    return (
        f"spec.cache.size, spec.admission.maxPendingBytes: {counted(replicas, 'replica')} x {_gibibytes(each)} may be "
        f"filled, and there are {_gibibytes(shape.memory)} of memory: lower them or spec.replicas",
    )


def _gibibytes(size: int) -> str:
    return f"{size / 2**30:.3g} GiB"


def _too_few(replicas: int, gpus: int) -> str:
    return (
        f"spec.replicas: {counted(gpus, 'GPU')} for {replicas} replicas: too few for one each, so all of them run on "
        f"the CPU; with replicas: {gpus} they would run on the GPU"
    )


def _division(total: int, unit: str, replicas: int) -> str:
    if replicas == 0:
        return f"{counted(total, unit)}, as for one replica"
    rounded = ", rounded down" if total % replicas and total > replicas else ""
    at_least = ", but at least 1" if unit == "CPU" and total < replicas else ""
    return f"{counted(total, unit)} / {counted(replicas, 'replica')}{rounded}{at_least}"
