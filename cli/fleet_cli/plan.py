"""`encoderfleet plan`: what a pool file becomes on a machine, with the reason of every number."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import click
from pydantic.alias_generators import to_camel
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from fleet_cli import consumers
from fleet_cli.pool_file import read_pool
from fleet_cli.this_machine import gpus_for_pool
from fleet_machine import visible_cpus, visible_memory
from fleet_operator.api import EncoderPool
from fleet_operator.local.devices import DriverError
from fleet_operator.plan import NodeShape, Plan, plan

Row = tuple[str, str, str]
"""What, its value, and why."""

MIN_WIDTH = 80
WIDTH_OF_REASONS = 35


@click.command()
@click.argument("pool_file", metavar="POOL", type=click.Path(path_type=Path))
@click.option(
    "--cpus", type=click.IntRange(1, 4096), metavar="N", help="Plan for a machine of N CPUs. [default: this one]"
)
@click.option(
    "--gpus", type=click.IntRange(0, 64), metavar="M", help="Plan for a machine of M GPUs. [default: this one]"
)
@click.option(
    "--kubeconfig",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Plan for the nodes of this cluster; reads nodes and DaemonSets, writes nothing.",
)
@click.option("--context", help="Of the kubeconfig; alone: of $KUBECONFIG, else ~/.kube/config.")
@click.option(
    "-o", "--output", type=click.Choice(["table", "json"]), default="table", help="For people, or one JSON object."
)
def command(
    pool_file: Path, cpus: int | None, gpus: int | None, kubeconfig: Path | None, context: str | None, output: str
) -> None:
    """Show what an EncoderPool file becomes on a machine or a cluster, and why.

    Starts nothing. Shows the arithmetic from the machine's CPUs and GPUs to the threads of one replica, and every
    environment variable that a replica gets. `encoderfleet up` runs exactly this; with --kubeconfig, the operator does.
    """
    pool = read_pool(pool_file)
    if kubeconfig or context:
        if cpus is not None or gpus is not None:
            raise click.UsageError(
                "--cpus and --gpus describe a machine, --kubeconfig a cluster: give one or the other"
            )
        _show(output, *_on_cluster(pool, kubeconfig, context))
        return
    shape, why, warnings = _machine(pool, cpus, gpus)
    the_plan = plan(pool, shape)
    the_plan = dataclasses.replace(the_plan, warnings=the_plan.warnings + warnings)
    _show(output, as_json(pool, the_plan, why), as_tables(pool, the_plan, why))


def _on_cluster(pool: EncoderPool, kubeconfig: Path | None, context: str | None) -> tuple[dict[str, Any], Group]:
    from fleet_cli import plan_cluster  # the Kubernetes client takes a second to load

    made, replicas, nodes = plan_cluster.plan_on(pool, plan_cluster.read_cluster(kubeconfig, context))
    return (
        plan_cluster.as_json(pool, made, replicas, nodes),
        plan_cluster.as_tables(pool, made, replicas, nodes),
    )


def _show(output: str, for_programs: dict[str, Any], for_people: Group) -> None:
    if output == "json":
        click.echo(json.dumps(for_programs, indent=2))
        return
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = max(MIN_WIDTH, console.width)
    console.print(for_people)


def _machine(
    pool: EncoderPool, cpus: int | None, gpus: int | None
) -> tuple[NodeShape, dict[str, str], tuple[str, ...]]:
    """The machine to plan for, where its numbers come from, and warnings; this one is read only for what is not given.

    Its memory is that of this one, unless the CPUs are those of another.
    """
    why, warnings = {"cpus": "--cpus", "gpus": "--gpus"}, []
    memory = None
    if cpus is None:
        reading = visible_cpus()
        cpus, why["cpus"], memory = reading.cpus, reading.reason, visible_memory()
    if gpus is None:
        unwanted = pool.spec.resources.gpus == 0
        why["gpus"] = "spec.resources.gpus: 0" if unwanted else "CUDA_VISIBLE_DEVICES, else nvidia-smi"
        try:
            gpus = len(gpus_for_pool(pool))
        except DriverError as error:
            gpus, why["gpus"] = 0, "the driver does not work"
            warnings.append(f"{error}: planned without GPU, and `up` refuses to run unless spec.resources.gpus is 0")
    return NodeShape(cpus, gpus, memory), why, tuple(warnings)


def as_json(pool: EncoderPool, the_plan: Plan, why: dict[str, str]) -> dict[str, Any]:
    """The plan for programs: every number beside its reason. Pure."""
    return {
        "pool": the_plan.pool,
        "replicas": the_plan.replicas,
        "machine": {
            "cpus": {"value": the_plan.shape.cpus, "reason": why["cpus"]},
            "gpus": {"value": the_plan.shape.gpus, "reason": why["gpus"]},
        },
        "replica": {
            "cpus": {"value": the_plan.cpus_per_replica, "reason": the_plan.reasons["cpus_per_replica"]},
            "gpus": {"value": the_plan.gpus_per_replica, "reason": the_plan.reasons["gpus_per_replica"]},
            "drainSeconds": the_plan.drain_seconds,
        },
        "threads": {
            to_camel(name): {"value": getattr(the_plan.budget, name), "reason": reason}
            for name, reason in the_plan.budget.reasons.items()
        },
        "env": [dataclasses.asdict(variable) for variable in the_plan.env],
        "consumers": consumers.as_json(pool),
        "warnings": list(the_plan.warnings),
    }


def arithmetic(the_plan: Plan, why: dict[str, str]) -> list[Row]:
    """From the machine to the threads of one replica, in the order in which they are computed. Pure."""
    budget, reasons = the_plan.budget, {**the_plan.budget.reasons, **the_plan.reasons}
    return [
        ("CPUs of the machine", str(the_plan.shape.cpus), why["cpus"]),
        ("GPUs of the machine", str(the_plan.shape.gpus), why["gpus"]),
        ("replicas", str(the_plan.replicas), "spec.replicas"),
        ("CPUs of a replica", str(the_plan.cpus_per_replica), reasons["cpus_per_replica"]),
        ("GPUs of a replica", str(the_plan.gpus_per_replica), reasons["gpus_per_replica"]),
        ("preprocessing workers", str(budget.preprocess_workers), reasons["preprocess_workers"]),
        ("  threads in each", str(budget.intra_op_threads), reasons["intra_op_threads"]),
        ("decoders of one video", str(budget.video_decode_threads), reasons["video_decode_threads"]),
        ("  threads in each", str(budget.ffmpeg_threads), reasons["ffmpeg_threads"]),
        ("forward pass threads", str(budget.forward_threads), reasons["forward_threads"]),
    ]


def as_tables(pool: EncoderPool, the_plan: Plan, why: dict[str, str]) -> Group:
    """The plan for people, at its best on 80 columns or more. Pure."""
    count = "1 replica" if the_plan.replicas == 1 else f"{the_plan.replicas} replicas"
    steps = _table("From machine to replica", "", "why")
    for what, number, reason in arithmetic(the_plan, why):
        steps.add_row(what, Text(number, style="cyan", justify="right"), reason)
    variables = _table("Environment of a replica", "why")
    for each in the_plan.env:
        variables.add_row(Text.assemble(f"{each.name}=", (each.value, "cyan")), each.reason)
    parts: list[RenderableType] = [
        Text(f"EncoderPool {the_plan.pool}: {count}\n", style="bold"),
        steps,
        Text(),
        variables,
    ]
    if pool.spec.consumers:
        parts += [Text(), *map(Text, consumers.lines(pool, cluster=False))]
    if the_plan.warnings:
        parts.append(Text())
    parts += [Text(f"warning: {warning}", style="yellow") for warning in the_plan.warnings]
    return Group(*parts)


def _table(*header: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in header[:-1]:
        table.add_column(name, overflow="fold")
    table.add_column(header[-1], style="dim", overflow="fold", min_width=WIDTH_OF_REASONS)
    return table
