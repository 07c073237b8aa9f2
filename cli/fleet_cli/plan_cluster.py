"""`encoderfleet plan --kubeconfig`: what a pool file becomes on a cluster, without installing anything there.

Reads nodes, and DaemonSets where that is allowed. Writes nothing.
"""

import asyncio
import dataclasses
from pathlib import Path
from typing import Any

import click
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from fleet_cli import consumers
from fleet_operator.api import EncoderPool
from fleet_operator.cluster_plan import PoolPlan, plan_pool
from fleet_operator.kube.client import Api
from fleet_operator.kube.configuration import load_configuration
from fleet_operator.kube.errors import ApiError, NoClusterError
from fleet_operator.nodes.distribute import Group as ReplicaGroup
from fleet_operator.nodes.distribute import distribute
from fleet_operator.nodes.shapes import label_keys, shapes
from fleet_operator.observed.mirror import Mirror
from fleet_operator.quantity import format_quantity
from fleet_operator.specs.names import MANAGER

DAEMONSETS_UNREAD = (
    "DaemonSets cannot be read: what they hold is not taken off; the operator, which can, may plan fewer"
)


@dataclasses.dataclass(frozen=True, slots=True)
class ClusterView:
    """What was read of a cluster.

    Attributes:
        mirror: With its nodes and DaemonSets.
        warnings: What could not be read.
    """

    mirror: Mirror
    warnings: tuple[str, ...]


def read_cluster(kubeconfig: Path | None, context: str | None) -> ClusterView:
    """Nodes and DaemonSets of a cluster.

    Raises:
        click.ClickException: There is no such kubeconfig, or nodes cannot be read.
    """
    try:
        return asyncio.run(_read(kubeconfig, context))
    except NoClusterError as error:
        raise click.ClickException(str(error)) from error
    except ApiError as error:
        raise click.ClickException(f"cannot read the cluster's nodes: {error}") from error


async def _read(kubeconfig: Path | None, context: str | None) -> ClusterView:
    mirror, warnings = Mirror(), []
    async with Api(await load_configuration(kubeconfig, context), MANAGER) as api:
        async for node in api.list("Node", None):
            mirror.put_node(node)
        try:
            async for daemon in api.list("DaemonSet", None):
                mirror.put_daemon(daemon)
        except ApiError as error:
            if error.code != 403:
                raise
            warnings.append(DAEMONSETS_UNREAD)
    return ClusterView(mirror, tuple(warnings))


def plan_on(pool: EncoderPool, view: ClusterView) -> tuple[PoolPlan, dict[str, int], int]:
    """The plan, replicas by shape, and how many nodes there are. As the operator plans a new pool."""
    view.mirror.fleet.look_at(label_keys(pool.spec))
    there = shapes(pool.spec, view.mirror.fleet.classes, view.mirror.daemons)
    made = plan_pool(pool, there, {}, ())
    spread = distribute(pool.spec.replicas, [ReplicaGroup(row.name, row.places) for row in made.runnable])
    warnings = made.warnings + view.warnings + (() if made.runnable else (_nothing(there),))
    return dataclasses.replace(made, warnings=warnings), dict(spread.counts), len(view.mirror.fleet)


def _nothing(there: tuple[Any, ...]) -> str:
    if there:
        return "no node has a whole CPU left for a replica"
    return (
        "no node takes the pool's pods: check spec.scheduling and spec.resources.gpus; where a cluster autoscaler is "
        "to add nodes, set spec.resources.cpus"
    )


def as_json(pool: EncoderPool, made: PoolPlan, replicas: dict[str, int], nodes: int) -> dict[str, Any]:
    """The plan for programs. Pure."""
    return {
        "pool": pool.metadata.name,
        "replicas": pool.spec.replicas,
        "nodes": nodes,
        "shapes": [
            {
                "name": row.name,
                "labels": dict(row.labels),
                "nodes": row.shape.nodes if row.shape else 0,
                "allocatableCpus": format_quantity(row.shape.cpus) if row.shape else None,
                "gpus": row.shape.gpus if row.shape else None,
                "cpusPerReplica": row.share.cpus,
                "gpusPerReplica": row.share.gpus,
                "fit": row.share.fit,
                "replicas": replicas.get(row.name, 0),
                "reason": row.share.reason,
                "env": [dataclasses.asdict(variable) for variable in row.env],
            }
            for row in made.rows
        ],
        "consumers": consumers.as_json(pool),
        "warnings": list(made.warnings),
    }


def as_tables(pool: EncoderPool, made: PoolPlan, replicas: dict[str, int], nodes: int) -> Group:
    """The plan for people. Pure."""
    eligible = sum(row.shape.nodes for row in made.rows if row.shape)
    title = f"EncoderPool {pool.metadata.name}: {pool.spec.replicas} replicas; {eligible} of {nodes} nodes take them\n"
    overview = _table("shape of node", "nodes", "CPUs", "GPUs", "a replica: CPUs", "GPUs", "replicas")
    for row in made.rows:
        counts = (
            [str(row.shape.nodes), format_quantity(row.shape.cpus), str(row.shape.gpus)]
            if row.shape
            else ["-", "-", "-"]
        )
        overview.add_row(row.name, *counts, str(row.share.cpus), str(row.share.gpus), str(replicas.get(row.name, 0)))
    parts: list[RenderableType] = [Text(title, style="bold"), overview]
    for row in made.rows:
        parts += [Text(f"\n{row.name}", style="bold"), Text(f"  {row.share.reason}", style="dim")]
        if row.budget:
            variables = _table("  variable", "why")
            for each in row.budget.env():
                variables.add_row(Text.assemble(f"  {each.name}=", (each.value, "cyan")), each.reason)
            parts.append(variables)
    if pool.spec.consumers:
        parts += [Text(), *map(Text, consumers.lines(pool, cluster=True))]
    parts += [Text(f"\nwarning: {warning}", style="yellow") for warning in made.warnings]
    return Group(*parts)


def _table(*header: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in header:
        table.add_column(name, overflow="fold")
    return table
