"""Keeps one replica running until it is asked to drain."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from time import monotonic

from fleet_operator.local import backoff, health, probes
from fleet_operator.local.process import Command, OnLine, ReplicaProcess

ASK_BEFORE_TERM = 0.5
"""A replica takes a second signal that comes within a second of the first for the same one: less than that."""
DEFAULT_PATIENCE = health.Patience()


class State(StrEnum):
    """Where a replica stands."""

    STARTING = "starting"  # it loads and warms up
    READY = "ready"
    DRAINING = "draining"  # asked to finish
    CRASHED = "crashed"  # it ended unasked, and waits for its restart or will get none
    STOPPED = "stopped"  # it ended as asked


@dataclass(frozen=True, slots=True)
class Change:
    """A replica has changed its state.

    Attributes:
        replica: Its name.
        state: The new state.
        pid: Of the process that it is about.
        code: How that process ended, -n for signal n; None while it runs.
        restart_in: Seconds until the next start, where there will be one.
        message: For people, one line.
    """

    replica: str
    state: State
    pid: int
    code: int | None = None
    restart_in: float | None = None
    message: str = ""


class ReplicaFailedError(Exception):
    """A replica ended and no restart will help.

    Attributes:
        exit_code: What the waiting program should end with: 2 where somebody has to change something, else 1.
    """

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Supervisor:
    """One replica: started, restarted after a crash, drained at the end.

    Args:
        name: Of the replica.
        command: What runs.
        http_address: Host and port of its `/readyz` and `/healthz`.
        drain_seconds: From SIGTERM to SIGKILL.
        on_change: Told of every change of state. Must not raise, as `on_line`.
        on_line: Gets the replica's name and one line of its output.
        patience: How long it may take to start and to answer.
    """

    def __init__(
        self,
        name: str,
        command: Command,
        http_address: str,
        *,
        drain_seconds: float,
        on_change: Callable[[Change], None],
        on_line: Callable[[str, str], None],
        patience: health.Patience = DEFAULT_PATIENCE,
    ) -> None:
        self.name = name
        self.state = State.STARTING
        self.progress = ""
        """What the replica says about why it is not ready yet."""
        self.pid = 0
        self.ready = asyncio.Event()
        self._command = command
        self._http_address = http_address
        self._drain_seconds = drain_seconds
        self._on_change = on_change
        self._on_line: OnLine = lambda line: on_line(name, line)
        self._stop = asyncio.Event()
        self._kill = asyncio.Event()
        self._patience = patience
        self._ready_since: float | None = None
        self._why = ""

    def drain(self) -> None:
        """Ask it to finish what it has; `run` returns when it has ended."""
        self._stop.set()

    def kill(self) -> None:
        """End it now."""
        self._stop.set()
        self._kill.set()

    async def run(self) -> None:
        """Run the replica until `drain` or `kill`.

        Raises:
            ReplicaFailedError: It ended and is not to be restarted.
        """
        history = backoff.History()
        while not self._stop.is_set():
            ended, said = await self._run_once()
            if self._stop.is_set():
                self._change(State.STOPPED, code=ended.code, message="" if ended.code == 0 else ended.how)
                return
            decision = backoff.after(ended, history)
            if isinstance(decision, backoff.GiveUp):
                self._change(State.CRASHED, code=ended.code, message=ended.how)
                raise ReplicaFailedError(f"{self.name} {decision.reason}: {said}", decision.exit_code)
            history = decision.history
            self._change(State.CRASHED, code=ended.code, restart_in=decision.delay, message=ended.how)
            await _wait(self._stop, decision.delay)
        self._change(State.STOPPED)

    async def _run_once(self) -> tuple[backoff.Ended, str]:
        """From a start to the end; how that was, and the last that was said about it."""
        try:
            process = await ReplicaProcess.start(self._command, self._on_line)
        except OSError as error:
            self.pid = 0
            return backoff.Ended(None, why=f"could not be started: {error.strerror}"), "this machine refuses a process"
        ended = await self._until_end(process)
        return ended, next((line for line in reversed(process.last_lines) if line.strip()), "no output")

    async def _until_end(self, process: ReplicaProcess) -> backoff.Ended:
        """See a replica from its start to its end; whatever happens here, the process is gone afterwards."""
        self.pid, self.progress, self._ready_since, self._why = process.pid, "", None, ""
        helpers = [asyncio.create_task(self._watch(process)), asyncio.create_task(self._end_when_asked(process))]
        try:
            self._change(State.STARTING)
            code = await process.wait()
        finally:
            self.ready.clear()
            for helper in helpers:
                helper.cancel()
            process.kill()
            await process.wait()
            await asyncio.gather(*helpers, return_exceptions=True)
        ready_seconds = 0.0 if self._ready_since is None else monotonic() - self._ready_since
        return backoff.Ended(code, ready_seconds, self._why)

    async def _watch(self, process: ReplicaProcess) -> None:
        """Find out when the replica is ready; end it where it never is, or does not answer any more."""
        if not await health.until_ready(self._http_address, self._patience, self._progressed):
            self._end(process, f"was killed: not ready after {self._patience.start_seconds:.0f} s")
        elif process.running and not self._stop.is_set():
            self._ready_since = monotonic()
            self._change(State.READY)
            self.ready.set()
            await health.until_hung(self._http_address, self._patience)
            self._end(process, f"was killed: no answer from /healthz, {self._patience.health_failures} times in a row")

    def _progressed(self, said: str) -> None:
        self.progress = said

    def _end(self, process: ReplicaProcess, why: str) -> None:
        """End a replica that is of no use, unless it finishes already."""
        if process.running and not self._stop.is_set():
            self._why = why
            process.kill()

    async def _end_when_asked(self, process: ReplicaProcess) -> None:
        """SIGTERM when `drain` is called, SIGKILL after the drain time or when `kill` is called."""
        await self._stop.wait()
        if not self._kill.is_set():
            self._change(State.DRAINING)
            # Whoever stops `up` may have signalled its replicas too, and a second SIGTERM would end their work.
            if not (await probes.ask(self._http_address, "/readyz", ASK_BEFORE_TERM)).draining:
                process.terminate()
            await _wait(self._kill, self._drain_seconds)
        process.kill()

    def _change(
        self, state: State, *, code: int | None = None, restart_in: float | None = None, message: str = ""
    ) -> None:
        self.state = state
        self._on_change(Change(self.name, state, self.pid, code, restart_in, message))


async def _wait(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
