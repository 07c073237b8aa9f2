"""Where on this machine the replicas of a Plan go: ports, CPUs, GPUs."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from fleet_operator.local.claims import Claims
from fleet_operator.local.cpu_sets import exclusive_cpus
from fleet_operator.local.devices import gpus_for
from fleet_operator.local.ports import Ports, choose, with_sglang
from fleet_operator.plan import Plan

ROAMING = "roaming"
"""Claimed, by process id, by a pool whose replicas may run on any CPU, so that other pools know of it."""
SHARING = (
    "pool {pool} shares its CPUs with another pool that runs on this machine, and each was planned as if alone: both "
    "are slower; give each a part with spec.resources.cpus, or stop one"
)


@dataclass(frozen=True, slots=True)
class Replica:
    """One replica of the plan, placed on this machine.

    Attributes:
        name: `<pool>-<number>`.
        ports: Where it listens.
        env: All that is set for it.
        cpus: CPUs of its own; None where it shares them.
    """

    name: str
    ports: Ports
    env: dict[str, str]
    cpus: frozenset[int] | None


@dataclass(frozen=True, slots=True)
class Sglang:
    """The replicas serve SGLang's language servers, too.

    Attributes:
        first_port: See `ports.with_sglang`.
        register: Bootstrap addresses of language servers that the replicas tell of themselves.
    """

    first_port: int | None = None
    register: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Placement:
    """All replicas, and what may not be as intended, one line each."""

    replicas: tuple[Replica, ...]
    warnings: tuple[str, ...]


def place(
    plan: Plan,
    *,
    ports: Sequence[Ports],
    cpus: Sequence[frozenset[int]] | None,
    gpus: Sequence[str],
    log_format: str,
    register: Sequence[str] = (),
) -> tuple[Replica, ...]:
    """The plan's replicas with what only the machine knows: ports, CPU sets, devices. Pure.

    Args:
        plan: What is to run.
        ports: One pair a replica.
        cpus: One set a replica, or None.
        gpus: Devices of the machine, as CUDA_VISIBLE_DEVICES names them.
        log_format: text or json.
        register: See `Sglang`.
    """
    common = {variable.name: variable.value for variable in plan.env}
    replicas = []
    for number in range(plan.replicas):
        name = f"{plan.pool}-{number}"
        own = {
            "ENCODERFLEET_REPLICA": name,
            "ENCODERFLEET_BIND": ports[number].endpoint,
            "ENCODERFLEET_HTTP": ports[number].http_address,
            "ENCODERFLEET_SGLANG_HTTP": ports[number].sglang_address,
            "ENCODERFLEET_REGISTER": ",".join(register),
            "ENCODERFLEET_ADVERTISE": ports[number].sglang_url if register else "",
            "ENCODERFLEET_LOG_FORMAT": log_format,
            "CUDA_VISIBLE_DEVICES": gpus_for(gpus, number, plan.gpus_per_replica),
        }
        replicas.append(Replica(name, ports[number], {**common, **own}, None if cpus is None else cpus[number]))
    return tuple(replicas)


def place_here(
    plan: Plan,
    claims: Claims,
    *,
    cores: Sequence[frozenset[int]],
    pin: bool,
    gpus: Sequence[str],
    first_port: int | None,
    log_format: str,
    sglang: Sglang | None = None,
) -> Placement:
    """Claim what the plan needs of this machine, and place its replicas.

    Args:
        plan: What is to run.
        claims: Where ports and CPUs are held.
        cores: CPUs that this process may use, by core.
        pin: Whether a replica may get CPUs of its own. Not under a CPU quota: that is time on any of the CPUs, and
            pinned to some of them the replicas of many containers would crowd on the same few.
        gpus: Devices of the machine.
        first_port: See `ports.choose`.
        log_format: text or json.
        sglang: Where language servers of SGLang are served.

    Raises:
        PortBusyError: See `ports.choose`.
        OSError: This process may open no further file.
    """
    ports = choose(plan.replicas, first_port, claims)
    if sglang is not None:
        ports = with_sglang(ports, sglang.first_port, claims)
    cpus = exclusive_cpus(cores, plan.replicas, plan.cpus_per_replica, claims) if pin else None
    others = claims.of_others(ROAMING)
    if cpus is None:
        claims.take(ROAMING, os.getpid())
        others |= claims.of_others("cpu")
    register = () if sglang is None else sglang.register
    replicas = place(plan, ports=ports, cpus=cpus, gpus=gpus, log_format=log_format, register=register)
    return Placement(replicas, (SHARING.format(pool=plan.pool),) if others else ())
