"""The other world of a Plan: its replicas as processes on this machine.

    async with World(replicas, ...) as world:
        await world.ready()
        print(world.replicas)
        await world.failure()

Leaving the block drains all of them.
"""

import asyncio
import sys
from collections.abc import Callable, Sequence
from functools import partial
from types import TracebackType
from typing import Self

from fleet_operator.local.farewell import Farewell
from fleet_operator.local.health import Patience
from fleet_operator.local.placing import Replica
from fleet_operator.local.process import Command
from fleet_operator.local.supervise import DEFAULT_PATIENCE, Change, State, Supervisor

ENCODER = (sys.executable, "-P", "-m", "fleet_encoder")
GRACE_SECONDS = 5.0
"""A replica that drains uses all of its drain seconds at worst; it gets this much longer to write its last line."""


class World:
    """The replicas, running. An async context manager: entering starts them, leaving drains them.

    Args:
        replicas: From `placing.place_here`.
        drain_seconds: What the plan gives a replica to finish.
        on_change: Told of every change of state of a replica. Must not raise, as `on_line`.
        on_line: Gets a replica's name and one line of its output.
        program: The encoder.
        patience: How long a replica may take to start and to answer.
        language_servers: SGLang's, that the replicas tell of themselves.
    """

    def __init__(
        self,
        replicas: Sequence[Replica],
        *,
        drain_seconds: float,
        on_change: Callable[[Change], None],
        on_line: Callable[[str, str], None],
        program: Sequence[str] = ENCODER,
        patience: Patience = DEFAULT_PATIENCE,
        language_servers: Sequence[str] = (),
    ) -> None:
        self._on_change = on_change
        self._farewell = Farewell(language_servers)
        self.replicas = tuple(replicas)
        self.supervisors = tuple(
            Supervisor(
                replica.name,
                Command(tuple(program), replica.env, replica.cpus),
                replica.ports.http_address,
                drain_seconds=drain_seconds + GRACE_SECONDS,
                on_change=partial(self._changed, replica),
                on_line=on_line,
                patience=patience,
            )
            for replica in self.replicas
        )
        self._runs: list[asyncio.Task[None]] = []

    @property
    def endpoints(self) -> tuple[str, ...]:
        """What a client connects to."""
        return tuple(replica.ports.endpoint for replica in self.replicas)

    def _changed(self, replica: Replica, change: Change) -> None:
        """Language servers are told of a crash in the background: a line of output waits for none of them."""
        if replica.ports.sglang is not None:
            url = replica.ports.sglang_url
            if change.state is State.CRASHED:
                self._farewell.died(url)
            elif change.state is State.READY:
                self._farewell.lives(url)
        self._on_change(change)

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
