"""`encoderfleet up`: the replicas of a pool on this machine, in the foreground."""

import asyncio
import dataclasses
import os
from pathlib import Path

import click

from fleet_cli import consumers
from fleet_cli.pool_file import read_pool
from fleet_cli.this_machine import shape, working_gpus
from fleet_cli.up_checks import Fault, check_can_run, check_fits, check_language_server
from fleet_cli.up_json import JsonReport
from fleet_cli.up_serve import serve
from fleet_cli.up_table import TableReport
from fleet_machine import cores, visible_cpus
from fleet_operator.api import EncoderPool
from fleet_operator.local import shell
from fleet_operator.local.claims import Claims
from fleet_operator.local.health import Patience
from fleet_operator.local.placing import Sglang, place_here
from fleet_operator.local.ports import PortBusyError
from fleet_operator.plan import plan


@click.command()
@click.argument("pool_file", metavar="POOL", type=click.Path(path_type=Path))
@click.option(
    "--port",
    type=click.IntRange(1, 65534),
    metavar="P",
    help="Replica i listens on 127.0.0.1: port P+2i for clients, P+2i+1 for HTTP. [default: the first free from 5570]",
)
@click.option(
    "--replicas",
    type=click.IntRange(1, 1000),
    metavar="N",
    help="In place of spec.replicas; may be more than there are CPUs.",
)
@click.option(
    "--start-seconds",
    type=click.IntRange(1),
    default=600,
    show_default=True,
    metavar="S",
    help="A replica that is not ready by then is killed and started again, as after a crash.",
)
@click.option(
    "--sglang",
    is_flag=True,
    help="Serve SGLang's language servers, too, and print the flags to start them with.",
)
@click.option(
    "--sglang-port",
    type=click.IntRange(1, 65535),
    metavar="P",
    help="With --sglang: replica i listens for language servers on port P+i. [default: the first free from 30010]",
)
@click.option(
    "--register",
    metavar="URL",
    multiple=True,
    help="With --sglang: tell this running language server of the replicas, and when they go: http://127.0.0.1:PORT, "
    "its --port (SGLang's own is 30000) or its --encoder-bootstrap-port. Can be given several times.",
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
def command(
    pool_file: Path,
    port: int | None,
    replicas: int | None,
    start_seconds: int,
    sglang: bool,
    sglang_port: int | None,
    register: tuple[str, ...],
    output: str,
    log_format: str,
    quiet: bool,
) -> None:
    """Run the encoders of an EncoderPool file on this machine.

    Starts the pool's replicas with the threads that `encoderfleet plan` shows, waits until they are ready, prints where
    they are, and stays in the foreground. A replica that crashes or does not answer for half a minute is started again.
    Ctrl-C lets all of them finish what they have; a second Ctrl-C does not wait.

    Variables of the shell that a replica reads hold where neither the pool file nor an option says what they do; a
    warning names the others.

    Exit codes: 0 after a drain, 1 if a replica could not start or not finish, 2 if the file, the model, a setting, a
    port, the GPU driver or the way to the hub has to be changed, 130 after a second Ctrl-C.
    """
    if (sglang_port is not None or register) and not sglang:
        raise click.UsageError("--sglang-port and --register are for --sglang: add it")
    for url in register:
        check_language_server(url)
    pool = read_pool(pool_file)
    reading = visible_cpus()
    if replicas is None:
        check_fits(pool, reading.cpus)
    else:
        pool = with_replicas(pool, replicas)
    check_can_run(pool)
    gpus = working_gpus(pool)
    the_plan = plan(pool, shape(reading, gpus))
    with Claims() as claims:
        try:
            placement = place_here(
                the_plan,
                claims,
                cores=cores(os.sched_getaffinity(0)),
                pin=reading.affinity_binds,
                gpus=gpus if the_plan.gpus_per_replica else (),
                first_port=port,
                log_format=log_format,
                sglang=Sglang(sglang_port, register) if sglang else None,
            )
        except PortBusyError as error:
            raise Fault(str(error)) from error
        except OSError as error:
            raise Fault(f"no port can be taken here: {error.strerror}; `ulimit -n` shows the open files") from error
        warnings = the_plan.warnings + placement.warnings + consumers.untold(pool, register)
        warnings += shell.warnings(os.environ, [replica.env for replica in placement.replicas])
        the_plan = dataclasses.replace(the_plan, warnings=warnings)
        report = (JsonReport if output == "json" else TableReport)(the_plan, placement.replicas, quiet=quiet)
        code = asyncio.run(serve(report, Patience(start_seconds=start_seconds), language_servers=register))
        if not report.close():
            os._exit(code)  # an exit as usual would wait for the reader of the output
    raise SystemExit(code)


def with_replicas(pool: EncoderPool, replicas: int) -> EncoderPool:
    """The pool with another number of replicas."""
    return pool.model_copy(update={"spec": pool.spec.model_copy(update={"replicas": replicas})})
