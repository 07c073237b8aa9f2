"""`encoderfleet up`: the replicas of a pool on this machine, in the foreground."""

import asyncio
import importlib.util
import signal
from collections.abc import Coroutine, Sequence
from pathlib import Path

import click

from fleet_cli.pool_file import read_pool
from fleet_cli.up_json import JsonReport
from fleet_cli.up_report import Report
from fleet_cli.up_table import TableReport
from fleet_machine import visible_cpus
from fleet_operator.api import EncoderPool
from fleet_operator.local.claims import Claims
from fleet_operator.local.devices import visible_gpus
from fleet_operator.local.ports import PortBusyError
from fleet_operator.local.supervise import Change, ReplicaFailedError, State
from fleet_operator.local.world import ENCODER, World, place_here
from fleet_operator.plan import NodeShape, plan

USAGE = 2
UNFINISHED = 1
KILLED = 128 + signal.SIGINT


class Fault(click.ClickException):
    """Ends `up` with one line and exit code 2: the user has to change something."""

    exit_code = USAGE


@click.command()
@click.argument("pool_file", metavar="POOL", type=click.Path(path_type=Path))
@click.option(
    "--port",
    type=click.IntRange(1, 65534),
    metavar="P",
    help="Replica i listens on 127.0.0.1: port P+2i for clients, P+2i+1 for HTTP. [default: the first free from 5570]",
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json"]),
    default="table",
    help="For people, or one JSON object a line.",
)
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", help="Of the replicas' own lines.")
@click.option("--quiet", is_flag=True, help="Leave the replicas' own lines out.")
def command(pool_file: Path, port: int | None, output: str, log_format: str, quiet: bool) -> None:
    """Run the encoders of an EncoderPool file on this machine.

    Starts the pool's replicas with the threads that `encoderfleet plan` shows, waits until they are ready, prints where
    they are, and stays in the foreground. A replica that crashes is started again. Ctrl-C lets all of them finish what
    they have; a second Ctrl-C does not wait.

    Exit codes: 0 after a drain, 1 if a replica could not start or not finish, 2 if the file, the model, a setting or a
    port has to be changed.
    """
    pool = read_pool(pool_file)
    check_can_run(pool)
    the_plan = plan(pool, NodeShape(visible_cpus().cpus, len(visible_gpus())))
    with Claims() as claims:
        try:
            replicas = place_here(the_plan, claims, first_port=port, log_format=log_format)
        except PortBusyError as error:
            raise Fault(str(error)) from error
        kind = JsonReport if output == "json" else TableReport
        code = asyncio.run(serve(kind(the_plan, replicas, quiet=quiet)))
    raise SystemExit(code)


def check_can_run(pool: EncoderPool) -> None:
    """Find before anything is started what would end every replica.

    Raises:
        Fault: There is nothing to run, or the model or the encoder's packages are missing.
    """
    if pool.spec.replicas == 0:
        raise Fault("spec.replicas: 0 leaves nothing to run here; set it to 1 or more")
    model = pool.spec.model.path
    if model is None:
        raise Fault(
            f"spec.model.name: {pool.spec.model.name} is a name, and this machine runs models from a folder: "
            "fetch it and give the folder as spec.model.path"
        )
    if not (Path(model) / "config.json").is_file():
        family = "qwen2_audio" if "audio" in pool.spec.modalities else "qwen2_5_vl"
        raise Fault(
            f"spec.model.path: there is no model in {model} (config.json is missing); a small one to try: "
            f"encoderfleet model new --family {family} {model}"
        )
    if importlib.util.find_spec("torch") is None:
        raise Fault("the replicas need the encoder extra: pip install 'encoderfleet[encoder]'")


async def serve(report: Report, program: Sequence[str] = ENCODER) -> int:
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
    )

    def interrupted() -> None:
        if not stop.is_set():
            stop.set()
            return
        killed.set()
        report.killing()
        world.kill()

    report.on_broken = stop.set
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, interrupted)
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
