"""The time between the start of a pool's replicas here and their end: signals, failures, the exit code."""

import asyncio
import signal
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress

from fleet_cli.up_report import Report
from fleet_operator.local.health import Patience
from fleet_operator.local.supervise import Change, ReplicaFailedError, State
from fleet_operator.local.world import ENCODER, World

UNFINISHED = 1
KILLED = 128 + signal.SIGINT


async def serve(
    report: Report, patience: Patience, program: Sequence[str] = ENCODER, *, language_servers: Sequence[str] = ()
) -> int:
    """Run the replicas of `report` until a signal or until one fails for good; returns the exit code."""
    stop, killed = asyncio.Event(), asyncio.Event()
    unclean: list[Change] = []

    def changed(change: Change) -> None:
        # -SIGTERM is how a replica ends that had not yet come to its own handler, and so had no work.
        if change.state is State.STOPPED and change.code not in (None, 0, -signal.SIGTERM):
            unclean.append(change)
        report.change(change)

    world = World(
        report.replicas,
        drain_seconds=report.plan.drain_seconds,
        on_change=changed,
        on_line=report.line,
        program=program,
        patience=patience,
        language_servers=language_servers,
    )

    def interrupted() -> None:
        if not stop.is_set():
            stop.set()
            return
        killed.set()
        report.killing()
        world.kill()

    _listen(report, stop, interrupted)
    report.starting()
    failed: ReplicaFailedError | None = None
    async with world:
        try:
            with report.waiting(world.supervisors):
                await _first(world.ready(), stop.wait())
            if not stop.is_set():
                report.ready([supervisor.pid for supervisor in world.supervisors])
                await _first(world.failure(), stop.wait())
        except ReplicaFailedError as error:
            failed = error
        stop.set()
        if any(supervisor.state in (State.STARTING, State.READY) for supervisor in world.supervisors):
            report.draining()
    report.drained()
    if failed is not None:
        report.failed(str(failed))
        return failed.exit_code
    if killed.is_set():
        return KILLED
    return UNFINISHED if unclean else 0


def _listen(report: Report, stop: asyncio.Event, interrupted: Callable[[], None]) -> None:
    """Hear signals, and that nobody reads the output any more."""
    loop = asyncio.get_running_loop()

    def broken() -> None:
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(stop.set)

    report.on_broken = broken
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Whoever started this under nohup wants it to outlive its terminal.
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            loop.add_signal_handler(number, interrupted)


async def _first(*waits: Coroutine[object, object, object]) -> None:
    """Wait for the first of `waits`, give the others up; raises what it raised."""
    tasks = [asyncio.create_task(wait) for wait in waits]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
    for task in done:
        task.result()
