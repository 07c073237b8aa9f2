"""The other world of a Plan: its replicas as processes on this machine.

    async with World(plan, layout) as world:
        await world.ready()
        print(world.replicas)
        await world.failure()

Leaving the block drains all of them.
"""

import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from fleet_operator.local import devices
from fleet_operator.local.claims import Claims
from fleet_operator.local.ports import Ports, choose
from fleet_operator.local.process import Command
from fleet_operator.local.supervise import Change, Supervisor
from fleet_operator.plan import Plan

ENCODER = (sys.executable, "-P", "-m", "fleet_encoder")
GRACE_SECONDS = 5.0
"""A replica that drains uses all of its drain seconds at worst; it gets this much longer to write its last line."""


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


def place(
    plan: Plan,
    *,
    ports: Sequence[Ports],
    cpus: Sequence[frozenset[int]] | None,
    gpus: Sequence[str],
    log_format: str,
) -> tuple[Replica, ...]:
    """The plan's replicas with what only the machine knows: ports, CPU sets, devices. Pure.

    Args:
        plan: What is to run.
        ports: One pair a replica.
        cpus: One set a replica, or None.
        gpus: Devices of the machine, as CUDA_VISIBLE_DEVICES names them.
        log_format: text or json.
    """
    common = {variable.name: variable.value for variable in plan.env}
    replicas = []
    for number in range(plan.replicas):
        name = f"{plan.pool}-{number}"
        own = {
            "ENCODERFLEET_REPLICA": name,
            "ENCODERFLEET_BIND": ports[number].endpoint,
            "ENCODERFLEET_HTTP": ports[number].http_address,
            "ENCODERFLEET_LOG_FORMAT": log_format,
            "CUDA_VISIBLE_DEVICES": devices.gpus_for(gpus, number, plan.gpus_per_replica),
        }
        replicas.append(Replica(name, ports[number], {**common, **own}, None if cpus is None else cpus[number]))
    return tuple(replicas)


def place_here(plan: Plan, claims: Claims, *, first_port: int | None, log_format: str) -> tuple[Replica, ...]:
    """Claim what the plan needs of this machine, and place its replicas.

    Raises:
        PortBusyError: See `ports.choose`.
    """
    return place(
        plan,
        ports=choose(plan.replicas, first_port, claims),
        cpus=devices.exclusive_cpus(os.sched_getaffinity(0), plan.replicas, plan.cpus_per_replica, claims),
        gpus=devices.visible_gpus() if plan.gpus_per_replica else (),
        log_format=log_format,
    )


class World:
    """The replicas, running. An async context manager: entering starts them, leaving drains them.

    Args:
        replicas: From `place_here`.
        drain_seconds: What the plan gives a replica to finish.
        on_change: Told of every change of state of a replica. Must not raise, as `on_line`.
        on_line: Gets a replica's name and one line of its output.
        program: The encoder.
    """

    def __init__(
        self,
        replicas: Sequence[Replica],
        *,
        drain_seconds: float,
        on_change: Callable[[Change], None],
        on_line: Callable[[str, str], None],
        program: Sequence[str] = ENCODER,
    ) -> None:
        self.replicas = tuple(replicas)
        self.supervisors = tuple(
            Supervisor(
                replica.name,
                Command(tuple(program), replica.env, replica.cpus),
                replica.ports.http_address,
                drain_seconds=drain_seconds + GRACE_SECONDS,
                on_change=on_change,
                on_line=on_line,
            )
            for replica in self.replicas
        )
        self._runs: list[asyncio.Task[None]] = []

    @property
    def endpoints(self) -> tuple[str, ...]:
        """What a client connects to."""
        return tuple(replica.ports.endpoint for replica in self.replicas)

    async def ready(self) -> None:
        """Wait until every replica is ready.

        Raises:
            ReplicaFailedError: One of them never will be.
        """
        failure = asyncio.create_task(self.failure())
        ready = asyncio.create_task(self._all_ready())
        try:
            await asyncio.wait((failure, ready), return_when=asyncio.FIRST_COMPLETED)
            if failure.done():
                await failure
        finally:
            failure.cancel()
            ready.cancel()

    async def failure(self) -> None:
        """Wait until a replica has ended for good, and raise why; returns when all have drained.

        Raises:
            ReplicaFailedError: A replica is not to be restarted.
        """
        done, _ = await asyncio.wait(self._runs, return_when=asyncio.FIRST_EXCEPTION)
        for run in done:
            run.result()

    async def drain(self) -> None:
        """Let all replicas finish, side by side; returns when none is left."""
        for supervisor in self.supervisors:
            supervisor.drain()
        await asyncio.gather(*self._runs, return_exceptions=True)

    def kill(self) -> None:
        """End all replicas now."""
        for supervisor in self.supervisors:
            supervisor.kill()

    async def _all_ready(self) -> None:
        # Not a gather of all: one may crash again while another is still loading.
        while waited_for := [each for each in self.supervisors if not each.ready.is_set()]:
            await waited_for[0].ready.wait()

    async def __aenter__(self) -> Self:
        self._runs = [asyncio.create_task(supervisor.run()) for supervisor in self.supervisors]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            await self.drain()
        finally:
            # Cancelled while draining: whoever did that does not want to wait.
            for run in self._runs:
                run.cancel()
            await asyncio.gather(*self._runs, return_exceptions=True)
