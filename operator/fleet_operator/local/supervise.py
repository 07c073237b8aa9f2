"""Keeps one replica running until it is asked to drain."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from http.client import HTTPConnection, HTTPException
from time import monotonic

from fleet_operator.local import backoff
from fleet_operator.local.process import Command, OnLine, ReplicaProcess

PROBE_INTERVAL = 0.2
PROBE_TIMEOUT = 2.0


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
        exit_code: What the waiting program should end with: 2 for a bad setting, else 1.
    """

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Supervisor:
    """One replica: started, restarted after a crash, drained at the end.

    Args:
        name: Of the replica.
        command: What runs.
        http_address: Host and port of its `/readyz`.
        drain_seconds: From SIGTERM to SIGKILL.
        on_change: Told of every change of state. Must not raise, as `on_line`.
        on_line: Gets the replica's name and one line of its output.
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
        self._ready_since: float | None = None

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
            ReplicaFailedError: It ended and is not to be restarted, or no process can be started.
        """
        history = backoff.History()
        while not self._stop.is_set():
            try:
                process = await ReplicaProcess.start(self._command, self._on_line)
            except OSError as error:
                raise ReplicaFailedError(f"{self.name}: this machine starts no further process: {error}", 1) from error
            ended = await self._until_end(process)
            if self._stop.is_set():
                message = "" if ended.code == 0 else backoff.describe(ended.code)
                self._change(State.STOPPED, code=ended.code, message=message)
                return
            decision = backoff.after(ended, history)
            how = backoff.describe(ended.code)
            if isinstance(decision, backoff.GiveUp):
                self._change(State.CRASHED, code=ended.code, message=how)
                said = next((line for line in reversed(process.last_lines) if line.strip()), "no output")
                raise ReplicaFailedError(f"{self.name} {decision.reason}: {said}", decision.exit_code)
            history = decision.history
            self._change(State.CRASHED, code=ended.code, restart_in=decision.delay, message=how)
            await _wait(self._stop, decision.delay)
        self._change(State.STOPPED)

    async def _until_end(self, process: ReplicaProcess) -> backoff.Ended:
        """See a replica from its start to its end; whatever happens here, the process is gone afterwards."""
        self.pid, self.progress, self._ready_since = process.pid, "", None
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
        return backoff.Ended(code, ready_seconds)

    async def _watch(self, process: ReplicaProcess) -> None:
        """Find out when the replica is ready."""
        while process.running:
            is_ready, self.progress = await asyncio.to_thread(probe, self._http_address)
            if is_ready and process.running and not self._stop.is_set():
                self._ready_since = monotonic()
                self._change(State.READY)
                self.ready.set()
                return
            await asyncio.sleep(PROBE_INTERVAL)

    async def _end_when_asked(self, process: ReplicaProcess) -> None:
        """SIGTERM when `drain` is called, SIGKILL after the drain time or when `kill` is called."""
        await self._stop.wait()
        if not self._kill.is_set():
            self._change(State.DRAINING)
            process.terminate()
            await _wait(self._kill, self._drain_seconds)
        process.kill()

    def _change(
        self, state: State, *, code: int | None = None, restart_in: float | None = None, message: str = ""
    ) -> None:
        self.state = state
        self._on_change(Change(self.name, state, self.pid, code, restart_in, message))


def probe(address: str) -> tuple[bool, str]:
    """Ask `/readyz` at host:port `address`: whether it is ready, and what it says or why it cannot be asked."""
    connection = HTTPConnection(address, timeout=PROBE_TIMEOUT)
    try:
        connection.request("GET", "/readyz")
        response = connection.getresponse()
        said = response.read(500).decode("utf-8", "replace").strip().partition("\n")[0]
    except (OSError, HTTPException):
        return False, ""
    finally:
        connection.close()
    return response.status == 200, said


async def _wait(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
